// kNN joins and range searches in bad company: an index that is dropped or rebuilt in the middle, whose file cannot be
// read any more or is damaged. Whatever happens, the rows are those of DuckDB's exact plan, each once.
#include "host.hpp"

#include <atomic>
#include <thread>

namespace {

using namespace lmd_test; // NOLINT

//! The left rows come from no table: a scan of one would keep a rebuild from its checkpoint as long as it is open.
const std::string JOIN =
    "SELECT a.id, r.id, r.d FROM (" + SomeRows(0, 100) +
    ") a LEFT JOIN LATERAL (SELECT b.id, array_distance(b.v, a.v) AS d FROM t b WHERE b.id <> a.id "
    "ORDER BY d LIMIT 3) r ON true ORDER BY ALL";
const std::string RANGE =
    "SELECT id FROM t WHERE array_distance(v, [0.1, 0.2, 0.3, -0.1, -0.2, 0.5, 0.6, 0.7]::FLOAT[8]) "
    "< 2.2 ORDER BY id";

//! A table and its index, of which searches read every block; L covers the table.
Host MakeHost() {
	Host host;
	MakeTable(host, 300);
	host.OpenWithoutCache();
	Execute(host, "SET lm_diskann_l_search = 1000");
	return host;
}

std::string RunExactly(Connection &connection, const std::string &sql) {
	Execute(connection, "SET lm_diskann_enable_index_scan = false");
	const auto rows = Execute(connection, sql);
	Execute(connection, "SET lm_diskann_enable_index_scan = true");
	return rows;
}

void ExpectPlannedByIndex(Connection &connection, const std::string &sql) {
	EXPECT_NE(Execute(connection, "EXPLAIN " + sql).find("LM_DISKANN_INDEX"), std::string::npos);
}

bool IsIndexRead(FileCall call, const std::string &path) {
	return call == FileCall::READ && path.find(".lmdsk") != std::string::npos;
}

TEST(JoinAndRange, ADropOrARebuildInTheMiddleIsSafe) {
	for (const auto &sql : {JOIN, RANGE}) {
		for (const std::string change : {"DROP INDEX t_idx", "PRAGMA lm_diskann_rebuild('t_idx')"}) {
			SCOPED_TRACE(change + ": " + sql);
			auto host = MakeHost();
			const auto expected = RunExactly(host, sql);
			ExpectPlannedByIndex(host, sql);
			bool is_called = false;
			host.hooks->Set([&](FileCall call, const std::string &path) {
				if (!is_called && IsIndexRead(call, path)) {
					is_called = true;
					WithinAMinute([&] {
						Connection other(*host.database);
						Execute(other, change);
					});
				}
			});
			EXPECT_EQ(Execute(host, sql), expected);
			EXPECT_TRUE(is_called);
			host.hooks->Set(nullptr);
			EXPECT_EQ(Execute(host, sql), expected);
		}
	}
}

TEST(JoinAndRange, AFileThatCannotBeReadAnyMoreLeavesTheAnswerToTheTable) {
	for (const auto &sql : {JOIN, RANGE}) {
		SCOPED_TRACE(sql);
		auto host = MakeHost();
		const auto expected = RunExactly(host, sql);
		ExpectPlannedByIndex(host, sql);
		std::atomic<int> reads {0};
		host.hooks->Set([&](FileCall call, const std::string &path) {
			if (IsIndexRead(call, path) && ++reads > 20) {
				throw duckdb::IOException("the test fails this read");
			}
		});
		EXPECT_EQ(Execute(host, sql), expected);
		EXPECT_GT(reads, 20);
		host.hooks->Set(nullptr);
		// What could not be read once may be read later.
		EXPECT_EQ(Info(host, "state"), "ready");
		EXPECT_EQ(Execute(host, sql), expected);
	}
}

TEST(JoinAndRange, ADamagedBlockDegradesTheIndexAndLosesNoRow) {
	for (const auto &sql : {JOIN, RANGE}) {
		SCOPED_TRACE(sql);
		auto host = MakeHost();
		const auto expected = RunExactly(host, sql);
		host.Close();
		auto bytes = ReadBytes(host.IndexFile());
		const auto begin = bytes.size() / 3 / 4096 * 4096;
		std::fill_n(bytes.begin() + int64_t(begin), 10 * 4096, '\0');
		WriteBytes(host.IndexFile(), bytes);
		host.Open();
		Execute(host, "SET lm_diskann_auto_rebuild = false");
		Execute(host, "SET lm_diskann_l_search = 1000");
		ExpectPlannedByIndex(host, sql);
		EXPECT_EQ(Execute(host, sql), expected);
		EXPECT_EQ(Info(host, "state"), "needs_rebuild");
		EXPECT_EQ(Execute(host, sql), expected);
	}
}

TEST(JoinAndRange, AnInterruptEndsAJoin) {
	Host host;
	MakeTable(host, 3000);
	Connection connection(*host.database);
	Execute(connection, "SET lm_diskann_l_search = 10000");
	std::string error;
	std::thread runner([&] {
		const auto result = connection.Query("SELECT count(*) FROM t a, LATERAL (SELECT b.id FROM t b ORDER BY "
		                                     "array_distance(b.v, a.v) LIMIT 3)");
		error = result->HasError() ? result->GetError() : "";
	});
	// The join takes minutes; it is to end between two of its searches.
	while (Execute(host, "SELECT queries > 20 FROM lm_diskann_stats()") != "true") {
		std::this_thread::yield();
	}
	connection.Interrupt();
	runner.join();
	EXPECT_NE(error.find("nterrupt"), std::string::npos) << error;
}

} // namespace
