#!/bin/sh
# Runs the tests of the core under the address and undefined sanitizers, then under the thread sanitizer. The core has
# the threads, the page file and the arithmetic, and needs no library that is not instrumented.
# usage: sanitize.sh [JOBS]
set -eu
cd "$(dirname "$0")/.."
jobs=${1:-$(nproc)}
# A corrupt count shows as a failed allocation, which the code under test has to survive.
export ASAN_OPTIONS=allocator_may_return_null=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1

for sanitizer in address,undefined thread; do
	build=build/sanitize-${sanitizer%%,*}
	echo "tests of the core under the $sanitizer sanitizer"
	mkdir -p build
	cmake -G Ninja -S . -B "$build" -DSANITIZE="$sanitizer" -DBUILD_DUCKDB_TARGETS=OFF --log-level=WARNING \
		>"$build.log" || {
		cat "$build.log"
		exit 1
	}
	ninja --quiet -C "$build" -j "$jobs" core_tests fuzz_open_file fuzz_options fuzz_operations
	# Memory is counted by an allocator of its own, and churn only repeats what core_tests do.
	ctest --progress --output-on-failure --no-tests=error -j "$jobs" --test-dir "$build" \
		-E '^(check\.|churn\.|memory_tests)'
done
