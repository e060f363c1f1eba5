#!/bin/sh
# Property: the extension file is what a host expects: the footer of DuckDB's loader, one entry point, RUNPATH $ORIGIN,
# and libduckdb.so as a library it needs.
# usage: extension_file_test.sh FILE PLATFORM DUCKDB_VERSION EXTENSION_VERSION
set -u
file=$1 platform=$2 duckdb_version=$3 extension_version=$4
failed=0

expect() {
	if [ "$2" != "$3" ]; then
		echo "$1: expected \"$2\", found \"$3\""
		failed=1
	fi
}

# footer_field OFFSET: the text at OFFSET of the last 512 bytes.
footer_field() {
	tail -c 512 "$file" | tail -c +$(($1 + 1)) | head -c 32 | tr -d '\0'
}

expect 'ABI' CPP "$(footer_field 96)"
expect 'extension version' "$extension_version" "$(footer_field 128)"
expect 'DuckDB version' "$duckdb_version" "$(footer_field 160)"
expect 'platform' "$platform" "$(footer_field 192)"
expect 'magic' 4 "$(footer_field 224)"
expect 'signature bytes that are not zero' 0 "$(tail -c 256 "$file" | tr -d '\0' | wc -c)"

dynamic=$(readelf -d "$file")
# shellcheck disable=SC2016 # $ORIGIN is for the dynamic linker
expect 'RUNPATH' '$ORIGIN' "$(echo "$dynamic" | sed -n 's/.*(RUNPATH).*\[\(.*\)\]/\1/p')"
expect 'libduckdb.so' libduckdb.so "$(echo "$dynamic" | grep -o 'libduckdb\.so')"
expect 'SONAME' '' "$(echo "$dynamic" | grep SONAME)"
# The strong symbols it exports; weak ones are shared templates and inline functions of DuckDB and the library.
expect 'exported functions' lm_diskann_duckdb_cpp_init "$(nm -D --defined-only "$file" | sed -n 's/.* T //p')"

exit $failed
