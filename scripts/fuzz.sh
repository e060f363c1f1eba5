#!/bin/sh
# Runs each fuzz target for so many seconds under libFuzzer with the address and undefined sanitizers, beginning with
# the stored corpus. Inputs that reach further go to build/fuzz/found/TARGET; what crashes, hangs or takes too much
# memory goes to build/fuzz/crash-*, and the run fails.
# usage: fuzz.sh [SECONDS [TARGET...]]
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- open_file options operations
build=build/fuzz
corpus=test/fuzz/corpus

if ! command -v clang++ >/dev/null; then
	echo "fuzz: installing the Debian package clang"
	sudo=$([ "$(id -u)" -eq 0 ] || echo sudo)
	$sudo apt-get install -y --no-install-recommends clang >/dev/null
fi
mkdir -p $build
cmake -G Ninja -S . -B $build -DCMAKE_CXX_COMPILER=clang++ -DFUZZ=ON -DSANITIZE=address,undefined \
	-DBUILD_DUCKDB_TARGETS=OFF --log-level=WARNING >$build.log || {
	cat $build.log
	exit 1
}
for target in "$@"; do
	ninja --quiet -C $build -j "${JOBS:-$(nproc)}" "fuzz_$target"
done

export UBSAN_OPTIONS=print_stacktrace=1
for target in "$@"; do
	found=$build/found/$target
	mkdir -p "$found"
	echo "fuzzing $target for $seconds seconds, log in $build/$target.log"
	# An index of an input has some 100 KiB: a minute and 64 MiB at once are far beyond any answer.
	$build/test/fuzz_"$target" -max_total_time="$seconds" -max_len=1024 -timeout=60 -malloc_limit_mb=64 \
		-rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix=$build/ "$found" $corpus/"$target" \
		>$build/"$target".log 2>&1 || {
		tail -n 40 $build/"$target".log
		exit 1
	}
	grep -E 'number_of_executed_units|new_units_added' $build/"$target".log
done
