// Where index files live and how they come and go.
//
// A persistent database x.duckdb has the folder x.duckdb.lmdiskann/ with one <uuid>.lmdsk per index. A file is written
// as <uuid>.lmdsk.tmp and moved into place when it is durable, so a file under its final name is always complete.
// DuckDB's metadata holds only the file's name: a database and its folder can be copied or moved together.
#pragma once

#include "adapter/compat.hpp"
#include "adapter/file_registry.hpp"

#include "storage/file.hpp"
#include "storage/format.hpp"

#include "duckdb/common/file_system.hpp"
#include "duckdb/common/mutex.hpp"

#include <memory>

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

//! The folder of the index files of a database on disk.
string IndexFolder(AttachedDatabase &db);

//! True for names an index file or its temporary form can have, in `folder` or anywhere.
bool IsIndexFileName(const string &file_name);

//! DuckDB's file system, allowed to work in `folder` also with enable_external_access = false (lifecycle trap 16).
FileSystem &AllowedFileSystem(DatabaseInstance &instance, const string &folder);

//! The file of one index. Thread-safe. Knows paths only; the bytes belong to the File objects it opens. While it lives,
//! no garbage collection removes the file.
class IndexFile {
public:
	IndexFile(AttachedDatabase &db, string file_name_p);
	//! A file with a fresh identity.
	static std::shared_ptr<IndexFile> Make(AttachedDatabase &db, const lm_diskann::Uuid &uuid);

	//! Creates folder and file under the temporary name. Throws IOException, also when the file exists.
	unique_ptr<lm_diskann::File> CreateTemporary();
	//! Opens the file under its final name, locked against other processes and claimed in this one. Throws IOException
	//! when it is missing or in use.
	unique_ptr<lm_diskann::File> Open(bool is_read_only);
	//! Gives the synced temporary file its final name, and makes the name survive a loss of power.
	void MoveIntoPlace();
	//! Removes the file under either name, and the folder when nothing is left in it. Handles that are open keep
	//! working (POSIX). Does nothing the second time. A file that could never be opened goes only if nobody else has
	//! it. Never throws: a file that stays is an orphan, not an error.
	void Remove() noexcept;

	const string &FileName() const {
		return file_name;
	}
	//! Path under the final name.
	const string &Path() const {
		return path;
	}

private:
	void RemoveNow();
	unique_ptr<lm_diskann::File> Wrap(unique_ptr<FileHandle> handle, unique_ptr<FileClaim> claim) const;

	DatabaseInstance &instance;
	const string database_path;
	const string file_name;
	const string folder;
	const string path;
	const string temporary_path;
	const PathInUse path_in_use;
	const PathInUse temporary_path_in_use;
	mutex lock;
	//! This object made it or had it open for writing, so nobody else did.
	bool is_own = false;
	bool is_removed = false;
};

//! Removes a file unless this process or another has it open. Throws IOException.
void RemoveUnlessOpen(FileSystem &fs, const string &path);

} // namespace duckdb
