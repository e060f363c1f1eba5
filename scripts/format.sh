#!/bin/sh
# Formats the C++ sources with clang-format; with --check only says which files differ, and fails if any does.
set -eu
cd "$(dirname "$0")/.."
folders=$(ls -d src shell test bench 2>/dev/null || true) # some may not exist

list_sources() {
	# shellcheck disable=SC2086 # a list of folders
	find $folders -name node_modules -prune -o \( -name '*.cpp' -o -name '*.hpp' \) -print
}

if [ "${1:-}" = --check ]; then
	if list_sources | xargs clang-format --dry-run --Werror 2>&1 | grep -o '^[^:]*\.[ch]pp' | sort -u | grep .; then
		echo "these files are not formatted: run make format"
		exit 1
	fi
else
	list_sources | xargs clang-format -i
fi
