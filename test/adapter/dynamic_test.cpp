// Property: what changes in bulk costs no more than a build, whoever notices it: the file follows the rows, and an
// index that was outgrown is built anew by the next query, unless that is not wanted. What goes on in the background is
// told, and hinders neither DROP INDEX nor DETACH, with queries under way.
#include "adapter/instance_state.hpp"
#include "host.hpp"

#include <atomic>
#include <regex>
#include <thread>

namespace lmd_test {
namespace {

constexpr int64_t SMALL = 200, LARGE = 16000;

void Insert(Connection &connection, int64_t first, int64_t count) {
	Execute(connection, "INSERT INTO t " + SomeRows(first, count));
}

TEST(Dynamic, AMergeUnderWayIsToldWithItsProgress) {
	Host host;
	MakeTable(host, 2000);
	// Nothing is cached, so the merge reads blocks: at the first of them it is under way for certain.
	host.OpenWithoutCache();
	Execute(host, "FROM lm_diskann_index_info()");
	std::promise<std::string> told;
	std::atomic<bool> is_told {false};
	const auto main_thread = std::this_thread::get_id();
	Connection other(*host.database);
	host.hooks->Set([&](FileCall call, const std::string &path) {
		if (call == FileCall::READ && path.find(".lmdiskann") != std::string::npos &&
		    std::this_thread::get_id() != main_thread && !is_told.exchange(true)) {
			told.set_value(Info(other, "state, state_reason"));
		}
	});
	Insert(host, 2000, 3000);
	auto text = told.get_future();
	ASSERT_EQ(text.wait_for(std::chrono::minutes(1)), std::future_status::ready);
	EXPECT_TRUE(std::regex_match(text.get(), std::regex("merging\\|rows are merged into the graph, [0-9]+ % done")));
	host.hooks->Set(nullptr);
	ExpectExactAnswer(host);
}

TEST(Dynamic, WhatMergesFreeCountsNoMoreInDuckDBsMemory) {
	constexpr int64_t BUILT = 3000, WAITING = 2000, MERGED = 4000;
	constexpr uint64_t ROW_BYTES_MIN = 8 * (sizeof(float) + 1), ROW_BYTES_MAX = 120;
	Host host;
	MakeTable(host, BUILT);
	const auto used_bytes = [&] {
		return duckdb::InstanceState::Get(*host.database->instance)->Account()->UsedBytes();
	};
	const auto before = used_bytes();
	// Too few for the background.
	Insert(host, BUILT, WAITING);
	EXPECT_GE(used_bytes(), before + WAITING * ROW_BYTES_MIN);
	Execute(host, "PRAGMA lm_diskann_compact('t_idx')");
	EXPECT_LT(used_bytes(), before + WAITING * ROW_BYTES_MIN);

	// Some of these may come when the others are merged already, and are too few again.
	Insert(host, BUILT + WAITING, MERGED);
	const uint64_t left_bytes_max = before + WAITING * ROW_BYTES_MAX;
	const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
	while (used_bytes() > left_bytes_max && std::chrono::steady_clock::now() < deadline) {
		Info(host, "delta_count");
	}
	EXPECT_LE(used_bytes(), left_bytes_max);
}

//! Runs `query` again and again on a connection of its own until it fails or `is_done`; returns why it failed.
std::string QueryUntil(DuckDB &database, const std::string &query, const std::string &answer,
                       const std::atomic<bool> &is_done) {
	Connection connection(database);
	while (!is_done) {
		const auto result = connection.Query(query);
		if (result->HasError()) {
			return result->GetError();
		}
		EXPECT_EQ(result->GetValue(0, 0).ToString(), answer);
	}
	return "";
}

TEST(Dynamic, DropIndexWhileQueriesAndAMergeGoOnChangesNoAnswer) {
	Host host;
	MakeTable(host, 2000);
	const std::string query = "SELECT count(DISTINCT id) FROM (" + NearestQuery() + ")";
	for (int64_t round = 0; round < 2; round++) {
		std::atomic<bool> is_done {false};
		std::vector<std::future<std::string>> readers;
		for (int reader = 0; reader < 2; reader++) {
			readers.push_back(
			    std::async(std::launch::async, [&] { return QueryUntil(*host.database, query, "10", is_done); }));
		}
		Insert(host, 10000 + round * 2100, 2100);
		Execute(host, "DROP INDEX t_idx");
		is_done = true;
		for (auto &reader : readers) {
			EXPECT_EQ(reader.get(), "");
		}
		Execute(host, "CREATE INDEX t_idx ON t USING LM_DISKANN (v)");
	}
	ExpectSound(host);
}

TEST(Dynamic, DetachWhileQueriesAndAMergeGoOnLeavesASoundIndex) {
	Host host;
	const auto path = host.folder / "other.duckdb";
	const std::string attach = "ATTACH '" + path.string() + "' AS other";
	Execute(host, attach);
	Execute(host, "CREATE TABLE other.t AS " + SomeRows(0, 2000));
	Execute(host, "CREATE INDEX t_idx ON other.t USING LM_DISKANN (v)");
	std::string query = "SELECT count(DISTINCT id) FROM (" + NearestQuery() + ")";
	query.replace(query.find("FROM t "), 7, "FROM other.t ");
	for (int64_t round = 0; round < 2; round++) {
		const std::atomic<bool> is_done {false};
		std::vector<std::future<std::string>> readers;
		for (int reader = 0; reader < 2; reader++) {
			readers.push_back(
			    std::async(std::launch::async, [&] { return QueryUntil(*host.database, query, "10", is_done); }));
		}
		Execute(host, "INSERT INTO other.t " + SomeRows(10000 + round * 2100, 2100));
		Execute(host, "DETACH other");
		for (auto &reader : readers) {
			// Every answer before was right; afterwards there is no such table.
			EXPECT_NE(reader.get().find("other"), std::string::npos);
		}
		Execute(host, attach);
		EXPECT_EQ(Execute(host, "SELECT count(*) FROM other.t"), std::to_string(2000 + (round + 1) * 2100));
		EXPECT_EQ(Execute(host, "SELECT violation FROM lm_diskann_verify('t_idx')"), "");
	}
	EXPECT_EQ(Execute(host, "SELECT count(*) FROM lm_diskann_index_info() WHERE state IN ('ready', 'merging')"), "1");
}

TEST(Dynamic, ACompactMakesTheFileSmall) {
	Host host;
	MakeTable(host, 2000);
	const auto size = [&] { return std::stoll(Info(host, "file_size_bytes")); };
	const auto full = size();
	Execute(host, "DELETE FROM t WHERE id % 20 <> 7");
	Execute(host, "PRAGMA lm_diskann_compact('t_idx')");
	EXPECT_LT(size(), full / 8);
	EXPECT_EQ(int64_t(std::filesystem::file_size(host.IndexFile())), size());
	ExpectSound(host);
	host.Open();
	EXPECT_LT(size(), full / 8);
	ExpectSound(host);
	Insert(host, 5000, 300);
	ExpectSound(host);
}

TEST(Dynamic, AQueryRebuildsAnIndexThatABulkLoadHasOutgrown) {
	Host host;
	MakeTable(host, SMALL);
	const auto before = host.IndexFile();
	Insert(host, SMALL, LARGE);
	ExpectExactAnswer(host);
	EXPECT_EQ(Info(host, "row_count, delta_count"), std::to_string(SMALL + LARGE) + "|0");
	EXPECT_NE(Info(host, "file_path"), before.string());
	ExpectSound(host);
	host.Open();
	ExpectSound(host);
	EXPECT_EQ(host.IndexFileCount(), 1U);
}

TEST(Dynamic, WhatIsTooLargeForRamIsWrittenOutInTheBackground) {
	// 70 MiB in fewer rows than are worth a merge.
	constexpr int64_t DIMS = 12000, ROWS = 1500;
	const std::string type = "::FLOAT[" + std::to_string(DIMS) + "]";
	const auto vector = [&](const std::string &first) {
		return "list_resize([" + first + "::FLOAT], " + std::to_string(DIMS) + ", 0)" + type;
	};
	const auto rows = [&](int64_t first, int64_t count) {
		return "SELECT i AS id, " + vector("i") + " AS v FROM range(" + std::to_string(first) + ", " +
		       std::to_string(first + count) + ") r(i)";
	};
	Host host;
	Execute(host, "CREATE TABLE t AS " + rows(0, 20));
	Execute(host, "CREATE INDEX t_idx ON t USING LM_DISKANN (v)");
	std::promise<void> written;
	std::atomic<bool> is_written {false};
	const auto main_thread = std::this_thread::get_id();
	host.hooks->Set([&](FileCall call, const std::string &path) {
		if (call == FileCall::WRITE && path.find(".lmdiskann") != std::string::npos &&
		    std::this_thread::get_id() != main_thread && !is_written.exchange(true)) {
			written.set_value();
		}
	});
	Execute(host, "INSERT INTO t " + rows(20, ROWS));
	ASSERT_EQ(written.get_future().wait_for(std::chrono::minutes(1)), std::future_status::ready);
	host.hooks->Set(nullptr);
	EXPECT_EQ(Info(host, "delta_count"), std::to_string(ROWS)) << "it is no merge";
	EXPECT_EQ(Execute(host, "SELECT id FROM t ORDER BY array_distance(v, " + vector("77") + ") LIMIT 1"), "77");
	EXPECT_EQ(Execute(host, "SELECT count(*) FROM lm_diskann_verify('t_idx')"), "0");
}

TEST(Dynamic, WithoutAutomaticRebuildsABulkLoadIsMerged) {
	Host host;
	MakeTable(host, SMALL);
	const auto before = host.IndexFile();
	Execute(host, "SET lm_diskann_auto_rebuild = false");
	Insert(host, SMALL, LARGE);
	ExpectExactAnswer(host);
	EXPECT_EQ(Info(host, "file_path"), before.string());
	EXPECT_EQ(Info(host, "row_count"), std::to_string(SMALL + LARGE));
}

} // namespace
} // namespace lmd_test
