// Which index files this process has in use.
//
// The locks of the system (fcntl) hold between processes only: two databases of one process that reach the same file,
// by a copied path or a link, would both write it (lifecycle trap 18), and opening it a second time would even drop the
// first one's lock. So every open file is claimed here by device and inode first, and every path an index may still
// need is listed, so that no garbage collection takes it.
#pragma once

#include "storage/local_reader.hpp"

#include "duckdb/common/common.hpp"

#include <utility>

namespace duckdb {

//! Device and inode of a file.
using FileIdentity = std::pair<uint64_t, uint64_t>;

//! The right to have one file open; given back at the end. Many readers or one writer. Thread-safe.
class FileClaim {
public:
	//! `path` exists. Throws IOException when the file is claimed otherwise.
	FileClaim(const string &path, bool is_read_only_p);
	~FileClaim();
	FileClaim(const FileClaim &) = delete;
	FileClaim &operator=(const FileClaim &) = delete;

	//! True when `path` is the claimed file at this moment.
	bool IsOf(const string &path) const;
	bool IsOf(const lm_diskann::LocalReader &reader) const;

	//! True when some database of this process has the file open, under whatever path.
	static bool IsHeld(const string &path);

private:
	FileIdentity identity;
	bool is_read_only;
};

//! Lists a path as needed while it lives. Thread-safe.
class PathInUse {
public:
	explicit PathInUse(string path_p);
	~PathInUse();
	PathInUse(const PathInUse &) = delete;
	PathInUse &operator=(const PathInUse &) = delete;

	static bool IsListed(const string &path);

private:
	const string path;
};

} // namespace duckdb
