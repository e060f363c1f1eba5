// Where index files live and how they come and go.
//
// A persistent database x.duckdb has the folder x.duckdb.lmdiskann/ with one <uuid>.lmdsk per index. A file is written
// as <uuid>.lmdsk.tmp and moved into place when it is durable, so a file under its final name is always complete.
// DuckDB's metadata holds only the file's name: a database and its folder can be copied or moved together.
#pragma once

#include "adapter/compat.hpp"

#include "storage/file.hpp"
#include "storage/format.hpp"

#include "duckdb/common/file_system.hpp"
#include "duckdb/common/mutex.hpp"

namespace duckdb {

class AttachedDatabase;
class DatabaseInstance;

//! A fresh random identity.
lm_diskann::Uuid GenerateUuid();
string UuidToString(const lm_diskann::Uuid &uuid);
//! False when `text` is not a UUID.
bool UuidFromString(const string &text, lm_diskann::Uuid &uuid);

//! True for databases on disk; false for in-memory databases and temporary tables, whose indexes live in RAM.
bool HasIndexFiles(AttachedDatabase &db);

//! Throws BinderException where an index cannot have a file: encrypted databases (the file would hold plain vectors)
//! and remote ones (no positional write, no sync).
void RequireSupportedDatabase(AttachedDatabase &db, const string &index_name);

//! The file of one index. Thread-safe. Knows paths only; the bytes belong to the File objects it opens.
class IndexFile {
public:
	IndexFile(AttachedDatabase &db, string file_name_p);

	//! Creates folder and file under the temporary name. Throws IOException, also when the file exists.
	unique_ptr<lm_diskann::File> CreateTemporary();
	//! Opens the file under its final name. Throws IOException when it is missing.
	unique_ptr<lm_diskann::File> Open(bool is_read_only);
	//! Gives the synced temporary file its final name, and makes the name survive a loss of power.
	void MoveIntoPlace();
	//! Removes the file under either name, and the folder when nothing is left in it. Handles that are open keep
	//! working (POSIX). Does nothing the second time. Never throws: a file that stays is an orphan, not an error.
	void Remove() noexcept;

	const string &FileName() const {
		return file_name;
	}
	//! Path under the final name.
	const string &Path() const {
		return path;
	}

private:
	FileSystem &AllowedFileSystem();
	void RemoveNow();

	DatabaseInstance &instance;
	const string database_path;
	const string file_name;
	const string folder;
	const string path;
	const string temporary_path;
	mutex lock;
	bool is_removed = false;
};

} // namespace duckdb
