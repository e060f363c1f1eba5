#!/bin/sh
# Runs clang-tidy with .clang-tidy over the sources named, or over all of src/ and shell/; needs a configured build.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build/release}

# gcc's precompiled header means nothing to clang: the compile commands are used without it.
mkdir -p build/tidy
sed -e 's/-include [^ ]*cmake_pch\.hxx//g' -e 's/-Winvalid-pch//g' -e 's/-fpch-preprocess//g' -e 's/-Wlogical-op//g' \
	"$build/compile_commands.json" >build/tidy/compile_commands.json
if [ $# -eq 0 ]; then
	# shellcheck disable=SC2046 # one word per file
	set -- $(find src shell -name '*.cpp' | sort)
fi
printf '%s\n' "$@" | xargs -n 4 -P "$(nproc)" clang-tidy --quiet -p build/tidy
