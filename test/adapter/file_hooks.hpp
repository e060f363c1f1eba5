// DuckDB's file system with a hook: a test sees every call before it happens, on the thread that makes it, and may
// fail it (throw), take a copy of the files (what a crash at this point leaves), or run something in between.
#pragma once

#include "duckdb.hpp"
#include "duckdb/common/local_file_system.hpp"
#include "duckdb/common/virtual_file_system.hpp"

#include <functional>
#include <memory>
#include <mutex>
#include <string>

namespace lmd_test {

enum class FileCall { OPEN, READ, WRITE, SYNC, RESIZE, MOVE, REMOVE };

//! Shared by a test and the file systems of its databases. Thread-safe. A hook is not called while it runs, on any
//! thread, so it may use the database itself.
class FileHooks {
public:
	using Hook = std::function<void(FileCall call, const std::string &path)>;

	//! Replaces the present hook; an empty one ends it.
	void Set(Hook next) {
		std::lock_guard<std::mutex> guard(lock);
		hook = next ? std::make_shared<Hook>(std::move(next)) : nullptr;
	}
	//! Makes every call of these kinds on files whose path contains `part` fail, until Set.
	void Fail(std::vector<FileCall> calls, std::string part) {
		Set([calls = std::move(calls), part = std::move(part)](FileCall call, const std::string &path) {
			if (path.find(part) != std::string::npos && std::find(calls.begin(), calls.end(), call) != calls.end()) {
				throw duckdb::IOException("the test fails this call");
			}
		});
	}
	void Before(FileCall call, const std::string &path) {
		std::shared_ptr<Hook> present;
		{
			std::lock_guard<std::mutex> guard(lock);
			if (is_running || !hook) {
				return;
			}
			is_running = true;
			present = hook;
		}
		struct Done {
			~Done() {
				std::lock_guard<std::mutex> guard(hooks.lock);
				hooks.is_running = false;
			}
			FileHooks &hooks;
		} done {*this};
		(*present)(call, path);
	}

private:
	std::mutex lock;
	std::shared_ptr<Hook> hook;
	bool is_running = false;
};

class HookedFileSystem : public duckdb::LocalFileSystem {
public:
	explicit HookedFileSystem(std::shared_ptr<FileHooks> hooks_p) : hooks(std::move(hooks_p)) {
	}

	duckdb::unique_ptr<duckdb::FileHandle>
	OpenFile(const std::string &path, duckdb::FileOpenFlags flags,
	         duckdb::optional_ptr<duckdb::FileOpener> opener = nullptr) override {
		hooks->Before(FileCall::OPEN, path);
		return LocalFileSystem::OpenFile(path, flags, opener);
	}
	void Read(duckdb::FileHandle &handle, void *buffer, int64_t size, duckdb::idx_t offset) override {
		hooks->Before(FileCall::READ, handle.path);
		LocalFileSystem::Read(handle, buffer, size, offset);
	}
	int64_t Read(duckdb::FileHandle &handle, void *buffer, int64_t size) override {
		hooks->Before(FileCall::READ, handle.path);
		return LocalFileSystem::Read(handle, buffer, size);
	}
	void Write(duckdb::FileHandle &handle, void *buffer, int64_t size, duckdb::idx_t offset) override {
		hooks->Before(FileCall::WRITE, handle.path);
		LocalFileSystem::Write(handle, buffer, size, offset);
	}
	int64_t Write(duckdb::FileHandle &handle, void *buffer, int64_t size) override {
		hooks->Before(FileCall::WRITE, handle.path);
		return LocalFileSystem::Write(handle, buffer, size);
	}
	void FileSync(duckdb::FileHandle &handle) override {
		hooks->Before(FileCall::SYNC, handle.path);
		LocalFileSystem::FileSync(handle);
	}
	void Truncate(duckdb::FileHandle &handle, int64_t size) override {
		hooks->Before(FileCall::RESIZE, handle.path);
		LocalFileSystem::Truncate(handle, size);
	}
	void MoveFile(const std::string &source, const std::string &target,
	              duckdb::optional_ptr<duckdb::FileOpener> opener = nullptr) override {
		hooks->Before(FileCall::MOVE, source);
		LocalFileSystem::MoveFile(source, target, opener);
	}
	void RemoveFile(const std::string &path, duckdb::optional_ptr<duckdb::FileOpener> opener = nullptr) override {
		hooks->Before(FileCall::REMOVE, path);
		LocalFileSystem::RemoveFile(path, opener);
	}

private:
	std::shared_ptr<FileHooks> hooks;
};

} // namespace lmd_test
