// What DuckDB's metadata say about one index: which state of which file, and the configuration that WITH (...) chose.
//
// DuckDB does not store the options of CREATE INDEX (lifecycle trap 4), so the marker is where they survive; the file's
// head holds them as well, and both must agree. Everything is kept as separate keys of IndexStorageInfo::options, so
// that a later version can add keys and an older one can say which it misses.
#pragma once

#include "index/options.hpp"
#include "storage/format.hpp"

#include "duckdb/storage/index_storage_info.hpp"

#include <optional>

namespace duckdb {

//! The marker in a form the adapter works with.
struct IndexMarker {
	lm_diskann::Marker state;
	lm_diskann::IndexConfiguration configuration;
	string file_name;
	uint64_t covered_rows = 0;
	//! Checkpoint iteration of the database when the marker was made.
	uint64_t iteration = 0;
	//! False: the file must not be used; `reason` says why.
	bool is_valid = false;
	string reason;
};

//! The marker in DuckDB's form.
IndexStorageInfo WriteMarker(const string &index_name, const IndexMarker &marker);

//! Nothing when `info` holds no marker of this kind or an incomplete one; then `reason` says what is missing.
std::optional<IndexMarker> ReadMarker(const IndexStorageInfo &info, string &reason);

} // namespace duckdb
