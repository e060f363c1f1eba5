// A program that uses DuckDB with the extension linked in: its database file, its folder, and what tests ask it.
#pragma once

#include "file_hooks.hpp"
#include "lm_diskann_extension.hpp"

#include "duckdb.hpp"
#include "duckdb/common/enum_util.hpp"
#include "duckdb/logging/logging.hpp"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <gtest/gtest.h>
#include <random>
#include <string>
#include <vector>

namespace lmd_test {

using duckdb::Connection;
using duckdb::DuckDB;

//! How a database is opened.
struct HostOptions {
	bool is_read_only = false;
	bool has_extension = true;
	bool has_external_access = true;
	bool checkpoints_on_close = true;

	static HostOptions ReadOnly() {
		HostOptions options;
		options.is_read_only = true;
		return options;
	}
	static HostOptions WithoutExtension() {
		HostOptions options;
		options.has_extension = false;
		return options;
	}
	static HostOptions WithoutExternalAccess() {
		HostOptions options;
		options.has_external_access = false;
		return options;
	}
	//! What no statement checkpoints stays in the log.
	static HostOptions WithoutCheckpointOnClose() {
		HostOptions options;
		options.checkpoints_on_close = false;
		return options;
	}
};

//! A database file t.duckdb in a folder of its own, removed at the end.
class Host {
public:
	//! Creates the folder, and opens the database in it.
	Host() : Host(std::nullopt) {
		Open();
	}
	//! Creates the folder, and puts a copy of that database and its index files there.
	static Host CopyOf(const std::filesystem::path &database_path) {
		Host host(std::nullopt);
		host.Replace(database_path);
		return host;
	}
	~Host() {
		if (!folder.empty()) {
			hooks->Set(nullptr);
			Close();
			std::filesystem::remove_all(folder);
		}
	}
	Host(Host &&other) noexcept
	    : folder(std::exchange(other.folder, {})), hooks(std::move(other.hooks)), database(std::move(other.database)),
	      connection(std::move(other.connection)) {
	}

	//! Closes the database and opens it again.
	void Open(const HostOptions &options = HostOptions()) {
		Close();
		duckdb::DBConfig config;
		config.file_system = duckdb::make_uniq<duckdb::VirtualFileSystem>(duckdb::make_uniq<HookedFileSystem>(hooks));
		config.options.access_mode =
		    options.is_read_only ? duckdb::AccessMode::READ_ONLY : duckdb::AccessMode::READ_WRITE;
		config.SetOptionByName("enable_external_access", duckdb::Value::BOOLEAN(options.has_external_access));
		config.options.checkpoint_on_shutdown = options.checkpoints_on_close;
		database = std::make_unique<DuckDB>(Path().string(), &config);
		if (options.has_extension) {
			database->LoadStaticExtension<duckdb::LmDiskannExtension>();
		}
		connection = std::make_unique<Connection>(*database);
	}
	//! The same without room for blocks: every search and merge reads, and nothing else does.
	void OpenWithoutCache() {
		Open();
		connection->Query("SET lm_diskann_cache_size = '1KB'");
	}
	void Close() {
		connection.reset();
		if (database) {
			EXPECT_EQ(database->instance.use_count(), 1) << "a connection of the test keeps the database open";
		}
		database.reset();
	}
	//! A connection that lives until the database is closed, so that a host can be given to the functions below.
	operator Connection &() const { // NOLINT: meant to convert
		return *connection;
	}
	//! Puts a copy of another database and its index files in the place of this one, which is closed.
	void Replace(const std::filesystem::path &database_path) const {
		std::filesystem::remove_all(IndexFolder());
		for (const std::string suffix : {"", ".wal", ".lmdiskann"}) {
			std::filesystem::remove(Path().string() + suffix);
			if (std::filesystem::exists(database_path.string() + suffix)) {
				std::filesystem::copy(database_path.string() + suffix, Path().string() + suffix,
				                      std::filesystem::copy_options::recursive);
			}
		}
	}

	std::filesystem::path Path() const {
		return folder / "t.duckdb";
	}
	std::filesystem::path IndexFolder() const {
		return folder / "t.duckdb.lmdiskann";
	}
	//! In order of their names.
	std::vector<std::filesystem::path> IndexFiles() const {
		std::vector<std::filesystem::path> files;
		if (std::filesystem::exists(IndexFolder())) {
			for (const auto &entry : std::filesystem::directory_iterator(IndexFolder())) {
				if (entry.is_regular_file()) {
					files.push_back(entry.path());
				}
			}
		}
		std::sort(files.begin(), files.end());
		return files;
	}
	size_t IndexFileCount() const {
		return IndexFiles().size();
	}
	//! The one index file.
	std::filesystem::path IndexFile() const {
		const auto files = IndexFiles();
		EXPECT_EQ(files.size(), 1U);
		return files.empty() ? std::filesystem::path() : files[0];
	}

	std::filesystem::path folder;
	std::shared_ptr<FileHooks> hooks = std::make_shared<FileHooks>();
	std::unique_ptr<DuckDB> database;

private:
	std::unique_ptr<Connection> connection;

	explicit Host(std::nullopt_t)
	    : folder(std::filesystem::temp_directory_path() / ("lmd_host_" + std::to_string(std::random_device()()))) {
		std::filesystem::create_directory(folder);
	}
};

//! Runs SQL that must succeed and returns its rows as text: values separated by "|", rows by newlines.
inline std::string Execute(Connection &connection, const std::string &sql) {
	const auto result = connection.Query(sql);
	EXPECT_FALSE(result->HasError()) << sql << "\n" << result->GetError();
	std::string text;
	if (!result->HasError()) {
		for (duckdb::idx_t row = 0; row < result->RowCount(); row++) {
			text += row > 0 ? "\n" : "";
			for (duckdb::idx_t column = 0; column < result->ColumnCount(); column++) {
				text += (column > 0 ? "|" : "") + result->GetValue(column, row).ToString();
			}
		}
	}
	return text;
}

//! Runs SQL that must fail and returns the message.
inline std::string ExecuteError(Connection &connection, const std::string &sql) {
	const auto result = connection.Query(sql);
	EXPECT_TRUE(result->HasError()) << sql;
	return result->HasError() ? result->GetError() : "";
}

//! Runs `action` on a thread of its own. What hangs inside DuckDB cannot be stopped, so that ends the process.
template <class ACTION>
void WithinAMinute(ACTION &&action) {
	auto done = std::async(std::launch::async, std::forward<ACTION>(action));
	if (done.wait_for(std::chrono::minutes(1)) != std::future_status::ready) {
		ADD_FAILURE() << "still running after a minute";
		std::abort();
	}
	done.get();
}

inline std::string ReadBytes(const std::filesystem::path &path) {
	std::ifstream stream(path, std::ios::binary);
	return std::string(std::istreambuf_iterator<char>(stream), {});
}

inline void WriteBytes(const std::filesystem::path &path, const std::string &bytes) {
	std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

//===--------------------------------------------------------------------===//
// The table of most tests: t(id, v FLOAT[8]) and its index t_idx
//===--------------------------------------------------------------------===//
//! Rows `first` .. `first + count`, whose vectors depend on the id alone and are all at different distances.
inline std::string SomeRows(int64_t first, int64_t count) {
	return "SELECT i AS id, list_transform(range(8), x -> sin((i + 1) * (x + 1) * 0.7))::FLOAT[8] AS v FROM range(" +
	       std::to_string(first) + ", " + std::to_string(first + count) + ") r(i)";
}

inline void MakeTable(Connection &connection, int64_t count, const std::string &options = "") {
	Execute(connection, "CREATE TABLE t AS " + SomeRows(0, count));
	Execute(connection, "CREATE INDEX t_idx ON t USING LM_DISKANN (v)" + (options.empty() ? "" : " WITH " + options));
}

//! The nearest rows, with a search list larger than the table: an index that is right answers exactly.
inline std::string NearestQuery(int64_t k = 10) {
	return "SELECT id FROM t ORDER BY array_distance(v, [0.1, 0.2, 0.3, -0.1, -0.2, 0.5, 0.6, 0.7]::FLOAT[8]) LIMIT " +
	       std::to_string(k);
}

//! Runs the query by the index, if it is ready, and by DuckDB alone; both must agree. Returns the answer.
inline std::string ExpectExactAnswer(Connection &connection, int64_t k = 10) {
	Execute(connection, "SET lm_diskann_l_search = 10000");
	const auto answer = Execute(connection, NearestQuery(k));
	Execute(connection, "SET lm_diskann_enable_index_scan = false");
	EXPECT_EQ(answer, Execute(connection, NearestQuery(k)));
	Execute(connection, "SET lm_diskann_enable_index_scan = true");
	return answer;
}

inline bool IsPlannedByIndex(Connection &connection) {
	return Execute(connection, "EXPLAIN " + NearestQuery()).find("LM_DISKANN_INDEX_SCAN") != std::string::npos;
}

//! One column of lm_diskann_index_info() of the one index; looking never heals.
inline std::string Info(Connection &connection, const std::string &column) {
	return Execute(connection, "SELECT " + column + " FROM lm_diskann_index_info()");
}

//! Usable, agreeing with the table, in use and right.
inline void ExpectSound(Connection &connection, const std::string &index_name = "t_idx") {
	// Background work may have begun.
	EXPECT_EQ(Execute(connection, "SELECT state = 'merging' OR (state = 'ready' AND state_reason IS NULL) "
	                              "FROM lm_diskann_index_info() WHERE index_name = '" +
	                                  index_name + "'"),
	          "true")
	    << Execute(connection, "SELECT state, state_reason FROM lm_diskann_index_info()");
	EXPECT_EQ(Execute(connection, "SELECT violation FROM lm_diskann_verify('" + index_name + "')"), "");
	EXPECT_TRUE(IsPlannedByIndex(connection));
	ExpectExactAnswer(connection);
}

//! As DuckDB's log calls it: the name differs between versions.
inline std::string WarningLevel() {
	return duckdb::EnumUtil::ToString(duckdb::LogLevel(40)); // NOLINT: the same number in all of them
}

inline void EnableLog(Connection &connection) {
	Execute(connection, "CALL enable_logging(level = '" + WarningLevel() + "')");
}

//! A database whose index file is gone, open, with the log enabled.
inline Host MakeDamaged() {
	Host host;
	MakeTable(host, 50);
	host.Close();
	std::filesystem::remove(host.IndexFile());
	host.Open();
	EnableLog(host);
	return host;
}

//! Warnings of the extension since EnableLog, one a line.
inline std::string Warnings(Connection &connection) {
	return Execute(connection, "SELECT message FROM duckdb_logs WHERE log_level = '" + WarningLevel() +
	                               "' AND message LIKE "
	                               "'LM_DISKANN%'");
}

} // namespace lmd_test
