#!/bin/bash
# Builds against another DuckDB and runs the SQL tests in it: `make check-duckdb NODE_API=1.5.5-r.5 HEADERS=folder`.
# DuckDB's library comes from the npm package of that version; its headers, which npm does not have, from the
# `src/include` of a source tree of the same version. Nothing of either is kept in the project.
# usage: check_duckdb.sh NODE_API_VERSION HEADERS JOBS
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -eq 3 ] && [ -n "$1" ] && [ -f "$2/duckdb.hpp" ] || {
	echo "check-duckdb: needs NODE_API=<version of @duckdb/node-api> HEADERS=<src/include of that DuckDB>" >&2
	exit 1
}
node_api=$1 headers=$(realpath "$2") jobs=$3
version=v${node_api%%-*}
folder=build/duckdb-$version

# The tests find `@duckdb/node-api` beside them, so they run in a copy.
mkdir -p "$folder/project"
cp -r test package.json "$folder/project"
npm install --prefix "$folder/project" --ignore-scripts --no-audit --no-fund --no-save --omit=dev \
	"@duckdb/node-api@$node_api" >"$folder/npm.log" 2>&1 || { cat "$folder/npm.log"; exit 1; }
modules=$PWD/$folder/project/node_modules

cmake -G Ninja -S . -B "$folder/build" --log-level=WARNING -DBUILD_TESTING=OFF -DDUCKDB_NODE_MODULES="$modules" \
	-DDUCKDB_HEADERS="$headers" -DDUCKDB_VERSION="$version" >"$folder/cmake.log" || { cat "$folder/cmake.log"; exit 1; }
ninja --quiet -C "$folder/build" -j "$jobs" lm_diskann_extension
node "$folder/project/test/run_sql_tests.mjs" --extension "$folder/build/lm_diskann.duckdb_extension" \
	"$folder"/project/test/sql/*.test
