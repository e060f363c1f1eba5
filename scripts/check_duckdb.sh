#!/bin/bash
# Builds against another DuckDB and runs the tests in it: `make check-duckdb NODE_API=1.5.5-r.5 HEADERS=folder`.
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
folder=$PWD/build/duckdb-$version
project=$folder/project

# The tests find `@duckdb/node-api` in the project's folder, so they run in a copy that has the other version.
mkdir -p "$project"
git ls-files -z --cached --others --exclude-standard | tar --null --ignore-failed-read -T - -c | tar -x -C "$project"
rm "$project/package-lock.json"
(
	cd "$project"
	npm pkg delete devDependencies.duckdb
	npm pkg set "devDependencies[@duckdb/node-api]=$node_api"
	npm install --no-package-lock --no-progress
) >"$folder/npm.log" 2>&1 || { cat "$folder/npm.log"; exit 1; }

CCACHE_BASEDIR=$project cmake -G Ninja -S "$project" -B "$folder/build" --log-level=WARNING \
	-DDUCKDB_HEADERS="$headers" -DDUCKDB_VERSION="$version" >"$folder/cmake.log" || { cat "$folder/cmake.log"; exit 1; }
ninja --quiet -C "$folder/build" -j "$jobs" lm_diskann_extension lm_diskann_shell adapter_tests kill_tests soak_kill \
	soak_queries soak_dml example_cpp hidden_host
ctest --test-dir "$folder/build" --output-on-failure --no-tests=error -j "$jobs" \
	-R '^(adapter|sql|dml|queries|kill|example|dist)\.'
