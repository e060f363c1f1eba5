#include "adapter/file_registry.hpp"

#include "duckdb/common/exception.hpp"
#include "duckdb/common/mutex.hpp"

#include <map>
#include <sys/stat.h>

namespace duckdb {

namespace {

//! Of the whole process; never destroyed, because databases may be closed by destructors of static objects.
struct Registry {
	mutex lock;
	//! Number of readers, or -1 for a writer.
	std::map<FileIdentity, int64_t> open_files;
	std::map<string, int64_t> paths;

	static Registry &Get() {
		static auto &registry = *new Registry();
		return registry;
	}
};

bool Identify(const string &path, FileIdentity &identity) {
	struct stat status = {};
	if (stat(path.c_str(), &status) != 0) {
		return false;
	}
	identity = FileIdentity(uint64_t(status.st_dev), uint64_t(status.st_ino));
	return true;
}

} // namespace

FileClaim::FileClaim(const string &path, bool is_read_only_p) : is_read_only(is_read_only_p) {
	if (!Identify(path, identity)) {
		throw IOException("file \"%s\" is missing", path);
	}
	auto &registry = Registry::Get();
	lock_guard<mutex> guard(registry.lock);
	auto &holders = registry.open_files[identity];
	if (is_read_only ? holders < 0 : holders != 0) {
		throw IOException("file \"%s\" is in use by another database of this process (a copy that shares its folder?)",
		                  path);
	}
	holders += is_read_only ? 1 : -1;
}

FileClaim::~FileClaim() {
	auto &registry = Registry::Get();
	lock_guard<mutex> guard(registry.lock);
	auto entry = registry.open_files.find(identity);
	entry->second += is_read_only ? -1 : 1;
	if (entry->second == 0) {
		registry.open_files.erase(entry);
	}
}

bool FileClaim::IsOf(const string &path) const {
	FileIdentity found;
	return Identify(path, found) && found == identity;
}

bool FileClaim::IsOf(const lm_diskann::LocalReader &reader) const {
	return reader.Is(identity.first, identity.second);
}

bool FileClaim::IsHeld(const string &path) {
	FileIdentity identity;
	if (!Identify(path, identity)) {
		return false;
	}
	auto &registry = Registry::Get();
	lock_guard<mutex> guard(registry.lock);
	return registry.open_files.count(identity) > 0;
}

PathInUse::PathInUse(string path_p) : path(std::move(path_p)) {
	auto &registry = Registry::Get();
	lock_guard<mutex> guard(registry.lock);
	registry.paths[path]++;
}

PathInUse::~PathInUse() {
	auto &registry = Registry::Get();
	lock_guard<mutex> guard(registry.lock);
	auto entry = registry.paths.find(path);
	if (--entry->second == 0) {
		registry.paths.erase(entry);
	}
}

bool PathInUse::IsListed(const string &path) {
	auto &registry = Registry::Get();
	lock_guard<mutex> guard(registry.lock);
	return registry.paths.count(path) > 0;
}

} // namespace duckdb
