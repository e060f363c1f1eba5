# Imported targets for DuckDB's C++ headers and prebuilt library, both from packages that `npm ci` installs:
#   DuckDB::headers   headers only             DuckDB::duckdb   headers and libduckdb.so
#
# DUCKDB_NODE_MODULES names another node_modules folder; DUCKDB_HEADERS and DUCKDB_LIBRARY name an official libduckdb
# release or a source tree instead. Headers and library must be of one version: DuckDB's C++ ABI is not stable.

set(DUCKDB_NODE_MODULES "${PROJECT_SOURCE_DIR}/node_modules" CACHE PATH "node_modules folder made by npm ci")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
	set(npm_architecture arm64)
	set(DUCKDB_PLATFORM linux_arm64)
else()
	set(npm_architecture x64)
	set(DUCKDB_PLATFORM linux_amd64)
endif()

find_path(DUCKDB_HEADERS duckdb.hpp NO_DEFAULT_PATH
	PATHS "${DUCKDB_NODE_MODULES}/duckdb/src/duckdb/src/include")
find_library(DUCKDB_LIBRARY duckdb NO_DEFAULT_PATH
	PATHS "${DUCKDB_NODE_MODULES}/@duckdb/node-bindings-linux-${npm_architecture}")
if(NOT DUCKDB_HEADERS OR NOT DUCKDB_LIBRARY)
	message(FATAL_ERROR "DuckDB is not in ${DUCKDB_NODE_MODULES}: run `make setup`, "
		"or set DUCKDB_HEADERS (folder of duckdb.hpp) and DUCKDB_LIBRARY (libduckdb.so)")
endif()

# The version the headers belong to stands in a source file beside them. Where there is none, as in an official release,
# -DDUCKDB_VERSION=v1.5.5 names it.
set(version_source "${DUCKDB_HEADERS}/../function/table/version/pragma_version.cpp")
if(NOT DUCKDB_VERSION)
	set(DUCKDB_VERSION v1.4.4)
endif()
if(EXISTS "${version_source}")
	file(STRINGS "${version_source}" version_line REGEX "#define DUCKDB_VERSION ")
	string(REGEX MATCH "\"([^\"]+)\"" matched "${version_line}")
	if(matched)
		set(DUCKDB_VERSION "${CMAKE_MATCH_1}")
	endif()
endif()
file(STRINGS "${DUCKDB_LIBRARY}" library_version REGEX "^${DUCKDB_VERSION}$" LIMIT_COUNT 1)
if(NOT library_version)
	message(FATAL_ERROR "${DUCKDB_LIBRARY} is not DuckDB ${DUCKDB_VERSION}, the version of the headers")
endif()

add_library(DuckDB::headers INTERFACE IMPORTED)
target_include_directories(DuckDB::headers SYSTEM INTERFACE "${DUCKDB_HEADERS}")
target_compile_definitions(DuckDB::headers INTERFACE NDEBUG)

add_library(DuckDB::duckdb SHARED IMPORTED)
set_target_properties(DuckDB::duckdb PROPERTIES IMPORTED_LOCATION "${DUCKDB_LIBRARY}" IMPORTED_SONAME libduckdb.so)
target_link_libraries(DuckDB::duckdb INTERFACE DuckDB::headers)
