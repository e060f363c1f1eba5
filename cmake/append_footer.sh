#!/bin/sh
# Turns a shared object into a DuckDB extension file by appending DuckDB's 512-byte footer: 256 bytes of metadata (eight
# fields of 32 bytes, zero-padded, last field first) and 256 zeros where a signature would stand.
# usage: append_footer.sh INPUT.so OUTPUT.duckdb_extension PLATFORM DUCKDB_VERSION EXTENSION_VERSION
set -eu

zeros() {
	head -c "$1" /dev/zero
}

field() {
	printf '%s' "$1"
	zeros $((32 - ${#1}))
}

input=$1 output=$2 platform=$3 duckdb_version=$4 extension_version=$5

# A process that has the previous file mapped keeps its own bytes: the result is moved into place, never written there.
cp -- "$input" "$output.partial"
{
	zeros 96 # fields 8, 7 and 6 are reserved
	field CPP # the ABI
	field "$extension_version"
	field "$duckdb_version"
	field "$platform"
	field 4 # the magic of this layout
	zeros 256
} >>"$output.partial"
mv -- "$output.partial" "$output"
