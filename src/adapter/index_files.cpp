#include "adapter/index_files.hpp"

#include "adapter/duckdb_file.hpp"
#include "adapter/errors.hpp"
#include "adapter/instance_state.hpp"

#include "duckdb/common/exception/binder_exception.hpp"
#include "duckdb/common/string_util.hpp"
#include "duckdb/common/types/uuid.hpp"
#include "duckdb/main/attached_database.hpp"
#include "duckdb/main/config.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/storage/storage_manager.hpp"

#include <chrono>
#include <thread>

namespace duckdb {

namespace {

constexpr const char *FOLDER_SUFFIX = ".lmdiskann";
constexpr const char *FILE_SUFFIX = ".lmdsk";
constexpr const char *TEMPORARY_SUFFIX = ".tmp";
constexpr int CLOSING_WAIT_STEPS = 100;

//! Makes a name in `folder` survive a loss of power. DuckDB has no call for it; opening a folder to sync it works
//! through its local file system on Linux, other systems order names and data themselves or cannot do it.
void SyncFolder(FileSystem &fs, const string &folder) {
#ifdef __linux__
	fs.OpenFile(folder, FileFlags::FILE_FLAGS_READ)->Sync();
#else
	(void)fs;
	(void)folder;
#endif
}

} // namespace

lm_diskann::Uuid GenerateUuid() {
	lm_diskann::Uuid uuid;
	UUID::ToBlob(UUID::GenerateRandomUUID(), uuid.data());
	return uuid;
}

string UuidToString(const lm_diskann::Uuid &uuid) {
	return UUID::ToString(UUID::FromBlob(uuid.data()));
}

bool UuidFromString(const string &text, lm_diskann::Uuid &uuid) {
	hugeint_t value;
	if (!UUID::FromString(text, value)) {
		return false;
	}
	UUID::ToBlob(value, uuid.data());
	return true;
}

bool HasIndexFiles(AttachedDatabase &db) {
	return !db.IsTemporary() && !db.GetStorageManager().InMemory();
}

void RequireSupportedDatabase(AttachedDatabase &db, const string &index_name) {
	if (!HasIndexFiles(db)) {
		return;
	}
	auto &storage = db.GetStorageManager();
	if (storage.IsEncrypted()) {
		throw BinderException("%sdatabase \"%s\" is encrypted, and the index file would hold its vectors in plain; "
		                      "only databases without encryption are allowed",
		                      IndexMessagePrefix(index_name), db.GetName());
	}
	if (FileSystem::IsRemoteFile(storage.GetDBPath())) {
		throw BinderException("%sdatabase \"%s\" is the remote file \"%s\"; only local and in-memory databases are "
		                      "allowed",
		                      IndexMessagePrefix(index_name), db.GetName(), storage.GetDBPath());
	}
}

string IndexFolder(AttachedDatabase &db) {
	return db.GetStorageManager().GetDBPath() + FOLDER_SUFFIX;
}

bool IsIndexFileName(const string &file_name) {
	auto stem = file_name;
	if (StringUtil::EndsWith(stem, TEMPORARY_SUFFIX)) {
		stem.resize(stem.size() - strlen(TEMPORARY_SUFFIX));
	}
	if (!StringUtil::EndsWith(stem, FILE_SUFFIX)) {
		return false;
	}
	stem.resize(stem.size() - strlen(FILE_SUFFIX));
	lm_diskann::Uuid uuid;
	return UuidFromString(stem, uuid) && UuidToString(uuid) == stem;
}

FileSystem &AllowedFileSystem(DatabaseInstance &instance, const string &folder) {
	// With enable_external_access = false DuckDB opens only what it was told to: the database, its log, and this
	// folder.
	auto &config = DBConfig::GetConfig(instance);
	if (!config.CanAccessFile(folder, FileType::FILE_TYPE_DIR)) {
		static mutex config_lock;
		lock_guard<mutex> guard(config_lock);
		config.AddAllowedPath(folder);
		config.AddAllowedDirectory(folder);
	}
	return FileSystem::GetFileSystem(instance);
}

void RemoveUnlessOpen(FileSystem &fs, const string &path) {
	// First the claims of this process: opening and closing a file it has open would drop its lock.
	if (FileClaim::IsHeld(path)) {
		return;
	}
	unique_ptr<FileHandle> lock_of_other_processes;
	try {
		lock_of_other_processes =
		    fs.OpenFile(path, FileFlags::FILE_FLAGS_READ | FileFlags::FILE_FLAGS_WRITE | FileLockType::WRITE_LOCK);
	} catch (const IOException &) {
		return;
	}
	fs.RemoveFile(path);
}

IndexFile::IndexFile(AttachedDatabase &db, string file_name_p)
    : instance(db.GetDatabase()), database_path(db.GetStorageManager().GetDBPath()), file_name(std::move(file_name_p)),
      folder(IndexFolder(db)), path(FileSystem::GetFileSystem(instance).JoinPath(folder, file_name)),
      temporary_path(path + TEMPORARY_SUFFIX), path_in_use(path), temporary_path_in_use(temporary_path) {
}

std::shared_ptr<IndexFile> IndexFile::Make(AttachedDatabase &db, const lm_diskann::Uuid &uuid) {
	return std::make_shared<IndexFile>(db, UuidToString(uuid) + FILE_SUFFIX);
}

unique_ptr<lm_diskann::File> IndexFile::Wrap(unique_ptr<FileHandle> handle, unique_ptr<FileClaim> claim) const {
	return make_uniq<DuckDBFile>(std::move(handle), std::move(claim), InstanceState::Get(instance)->DirectIo(),
	                             vector<string> {path, temporary_path});
}

unique_ptr<lm_diskann::File> IndexFile::CreateTemporary() {
	lock_guard<mutex> guard(lock);
	auto &fs = AllowedFileSystem(instance, folder);
	if (!fs.DirectoryExists(folder)) {
		fs.CreateDirectory(folder);
	}
	const auto flags = FileFlags::FILE_FLAGS_READ | FileFlags::FILE_FLAGS_WRITE | FileFlags::FILE_FLAGS_FILE_CREATE |
	                   FileFlags::FILE_FLAGS_EXCLUSIVE_CREATE | FileLockType::WRITE_LOCK;
	auto handle = fs.OpenFile(temporary_path, flags);
	auto claim = make_uniq<FileClaim>(temporary_path, false);
	is_own = true;
	return Wrap(std::move(handle), std::move(claim));
}

unique_ptr<lm_diskann::File> IndexFile::Open(bool is_read_only) {
	lock_guard<mutex> guard(lock);
	auto &fs = AllowedFileSystem(instance, folder);
	if (!fs.FileExists(path)) {
		throw IOException("file \"%s\" is missing", path);
	}
	// Background work of a database that was just closed lets go of the file within some milliseconds.
	for (int i = 0; i < CLOSING_WAIT_STEPS && FileClaim::IsHeld(path); i++) {
		std::this_thread::sleep_for(std::chrono::milliseconds(5));
	}
	auto claim = make_uniq<FileClaim>(path, is_read_only);
	auto flags = FileFlags::FILE_FLAGS_READ | FileLockType::READ_LOCK;
	if (!is_read_only) {
		flags = FileFlags::FILE_FLAGS_READ | FileFlags::FILE_FLAGS_WRITE | FileLockType::WRITE_LOCK;
	}
	auto handle = fs.OpenFile(path, flags);
	is_own = !is_read_only;
	return Wrap(std::move(handle), std::move(claim));
}

void IndexFile::MoveIntoPlace() {
	lock_guard<mutex> guard(lock);
	auto &fs = AllowedFileSystem(instance, folder);
	fs.MoveFile(temporary_path, path);
	SyncFolder(fs, folder);
	// The folder itself may be fresh: its name is in the folder of the database.
	const auto separator = database_path.find_last_of("/\\");
	const auto parent = separator == string::npos ? string(".") : database_path.substr(0, separator + 1);
	try {
		SyncFolder(*FileSystem::CreateLocal(), parent);
	} catch (const std::exception &) { // NOLINT
		// A folder that may be written but not read cannot be synced; then the name is durable a little later.
	}
}

void IndexFile::Remove() noexcept {
	try {
		RemoveNow();
	} catch (...) { // NOLINT: the caller is a commit, a rollback or a destructor
	}
}

void IndexFile::RemoveNow() {
	lock_guard<mutex> guard(lock);
	if (is_removed) {
		return;
	}
	auto &fs = AllowedFileSystem(instance, folder);
	if (is_own) {
		fs.TryRemoveFile(temporary_path);
		fs.TryRemoveFile(path);
	} else if (fs.FileExists(path)) {
		RemoveUnlessOpen(fs, path);
	}
	is_removed = true;
	// RemoveDirectory removes what is inside, too: only an empty folder may go.
	idx_t entry_count = 0;
	fs.ListFiles(folder, [&](const string &, bool) { entry_count++; });
	if (entry_count == 0 && fs.DirectoryExists(folder)) {
		fs.RemoveDirectory(folder);
	}
}

} // namespace duckdb
