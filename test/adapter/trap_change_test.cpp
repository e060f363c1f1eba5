// Traps 1, 7, 8, 9, 10, 13 and 15 of DuckDB's index lifecycle: commits, rollbacks and deletes beside an index.
// Property: the index and the table agree whatever becomes of a transaction, and no change waits for the index.
#include "host.hpp"

#include "adapter/lm_diskann_index.hpp"

#include <atomic>

namespace {

using namespace lmd_test; // NOLINT

//! The same rows under other ids, so with other vectors than SomeRows gives them.
std::string OtherRows(int64_t first, int64_t count) {
	return "SELECT id - 5000 AS id, v FROM (" + SomeRows(5000 + first, count) + ")";
}

//===--------------------------------------------------------------------===//
// 1: an exception out of Index::Delete ends the process
//===--------------------------------------------------------------------===//
static_assert(noexcept(std::declval<duckdb::LmDiskannIndex &>().Delete(std::declval<duckdb::IndexLock &>(),
                                                                       std::declval<duckdb::DataChunk &>(),
                                                                       std::declval<duckdb::Vector &>())));

//! Deletes and updates rows that a reader still needs; the reader's end lets DuckDB call Delete.
void DeleteUnderAReader(Host &host) {
	Connection reader(*host.database);
	Execute(reader, "BEGIN");
	EXPECT_EQ(Execute(reader, "SELECT count(*) FROM t"), "50");
	Execute(host, "DELETE FROM t WHERE id IN (3, 4, 49)");
	Execute(host, "UPDATE t SET v = [id, 1, 1, 1, 1, 1, 1, 1]::FLOAT[8] WHERE id = 5");
	ExpectExactAnswer(reader, 50);
	ExpectExactAnswer(host, 47);
	Execute(reader, "COMMIT");
	ExpectExactAnswer(host, 47);
}

TEST(Trap, T01_DeleteInCleanupReachesTheIndex) {
	Host host;
	MakeTable(host, 50);
	DeleteUnderAReader(host);
	EXPECT_EQ(Execute(host, "SELECT deletes FROM lm_diskann_stats()"), "4");
	EXPECT_EQ(Info(host, "row_count"), "47");
	ExpectSound(host);
}

TEST(Trap, T01_DeleteInCleanupOfADegradedIndexIsHarmless) {
	Host host;
	MakeTable(host, 50);
	host.Close();
	std::filesystem::remove(host.IndexFile());
	host.Open();
	Execute(host, "SET GLOBAL lm_diskann_auto_rebuild = false");
	DeleteUnderAReader(host);
	EXPECT_EQ(Info(host, "state"), "needs_rebuild");
	Execute(host, "DELETE FROM t WHERE id < 10");
	Execute(host, "CHECKPOINT");
	Execute(host, "SET GLOBAL lm_diskann_auto_rebuild = true");
	ExpectExactAnswer(host);
	ExpectSound(host);
}

TEST(Trap, T01_DeleteNeedsNoFile) {
	Host host;
	MakeTable(host, 50);
	host.hooks->Fail({FileCall::OPEN, FileCall::READ, FileCall::WRITE, FileCall::SYNC, FileCall::RESIZE}, ".lmdsk");
	Execute(host, "DELETE FROM t WHERE id < 10");
	host.hooks->Set(nullptr);
	EXPECT_EQ(Info(host, "row_count"), "40");
	ExpectSound(host);
}

//===--------------------------------------------------------------------===//
// 7: what is published between checkpoints may name rows that never were
//===--------------------------------------------------------------------===//
TEST(Trap, T07_OnlyACheckpointWritesTheFile) {
	Host host;
	MakeTable(host, 100);
	Execute(host, "CHECKPOINT");
	const auto before = ReadBytes(host.IndexFile());
	Execute(host, "INSERT INTO t " + SomeRows(100, 30));
	Execute(host, "DELETE FROM t WHERE id % 7 = 0");
	Execute(host, "BEGIN; INSERT INTO t " + SomeRows(200, 30) + "; ROLLBACK");
	ExpectExactAnswer(host);
	EXPECT_TRUE(ReadBytes(host.IndexFile()) == before) << "written without a checkpoint";
	EXPECT_EQ(Info(host, "generation"), "1");
	Execute(host, "CHECKPOINT");
	EXPECT_FALSE(ReadBytes(host.IndexFile()) == before);
	EXPECT_EQ(Info(host, "generation"), "2");
	Execute(host, "CREATE TABLE u(i INT)");
	Execute(host, "CHECKPOINT");
	EXPECT_EQ(Info(host, "generation"), "2") << "nothing changed in the index";
	ExpectSound(host);
}

//===--------------------------------------------------------------------===//
// 8: the row ids of a failed commit are given out again
//===--------------------------------------------------------------------===//
TEST(Trap, T08_ReusedRowIdsHaveTheirOwnVectors) {
	Host host;
	MakeTable(host, 50);
	Execute(host, "CREATE UNIQUE INDEX u ON t(id)"); // comes after t_idx, and fails the commit below after it
	{
		Connection loser(*host.database);
		Execute(loser, "BEGIN");
		Execute(loser, "INSERT INTO t " + OtherRows(55, 10));
		Execute(host, "INSERT INTO t " + SomeRows(60, 1));
		EXPECT_NE(ExecuteError(loser, "COMMIT").find("onstraint"), std::string::npos);
	}
	EXPECT_EQ(Execute(host, "SELECT count(*) FROM t"), "51");
	EXPECT_EQ(Info(host, "row_count"), "51");
	Execute(host, "INSERT INTO t " + SomeRows(50, 10));
	EXPECT_EQ(Execute(host, "SELECT max(rowid) FROM t"), "60") << "the ids were not given out again";
	ExpectExactAnswer(host, 61);
	ExpectSound(host);
	host.Open();
	ExpectExactAnswer(host, 61);
	ExpectSound(host);
}

TEST(Trap, T08_ACommitThatCannotBeLoggedLeavesNoRow) {
	Host host;
	MakeTable(host, 50);
	Execute(host, "CHECKPOINT");
	for (int round = 0; round < 3; round++) {
		host.hooks->Fail({FileCall::WRITE, FileCall::SYNC}, ".wal");
		ExecuteError(host, "INSERT INTO t " + OtherRows(50, 10));
		host.hooks->Set(nullptr);
		ExpectExactAnswer(host, 50);
		EXPECT_EQ(Info(host, "row_count"), "50");
	}
	Execute(host, "INSERT INTO t " + SomeRows(50, 10));
	EXPECT_EQ(Execute(host, "SELECT max(rowid) FROM t"), "59");
	ExpectExactAnswer(host, 60);
	ExpectSound(host);
	host.Open();
	ExpectExactAnswer(host, 60);
	ExpectSound(host);
}

//===--------------------------------------------------------------------===//
// 9: CREATE INDEX scans a snapshot, and the scan leaves out rows with a pending delete
//===--------------------------------------------------------------------===//
//! Runs `meanwhile` when a build has scanned the table and begins to write its file.
void DuringTheBuild(Host &host, std::function<void()> meanwhile) {
	host.hooks->Set(
	    [is_done = false, meanwhile = std::move(meanwhile)](FileCall call, const std::string &path) mutable {
		    if (!is_done && call == FileCall::OPEN && path.find(".lmdsk.tmp") != std::string::npos) {
			    is_done = true;
			    meanwhile();
		    }
	    });
}

//! The two ways to build an index over a table that others change.
class TrapBuild : public testing::TestWithParam<bool> {
protected:
	//! Makes what Build needs.
	void Prepare(Host &host) const {
		Execute(host, "CREATE TABLE t AS " + SomeRows(0, 50));
		if (GetParam()) {
			Execute(host, "CREATE INDEX t_idx ON t USING LM_DISKANN (v)");
		}
	}
	void Build(Host &host) const {
		Execute(host,
		        GetParam() ? "PRAGMA lm_diskann_rebuild('t_idx')" : "CREATE INDEX t_idx ON t USING LM_DISKANN (v)");
	}
};
INSTANTIATE_TEST_SUITE_P(CreateOrRebuild, TrapBuild, testing::Bool());

TEST_P(TrapBuild, T09_RowsChangedMeanwhileAreNotLost) {
	Host host;
	Prepare(host);
	Connection writer(*host.database);
	bool is_called = false;
	DuringTheBuild(host, [&] {
		is_called = true;
		Execute(writer, "INSERT INTO t " + SomeRows(50, 10));
		Execute(writer, "INSERT INTO t VALUES (99, NULL)");
		Execute(writer, "DELETE FROM t WHERE id IN (7, 55)");
		Execute(writer, "UPDATE t SET v = [id, 1, 1, 1, 1, 1, 1, 1]::FLOAT[8] WHERE id = 9");
	});
	Build(host);
	EXPECT_TRUE(is_called);
	ExpectExactAnswer(host, 58);
	ExpectSound(host);
}

TEST_P(TrapBuild, T09_RowsWhosePendingDeleteRollsBackAreNotLost) {
	Host host;
	Prepare(host);
	Connection deleter(*host.database);
	Execute(deleter, "BEGIN");
	Execute(deleter, "DELETE FROM t WHERE id IN (1, 2, 40)");
	Build(host);
	Execute(deleter, "ROLLBACK");
	ExpectExactAnswer(host, 50);
	ExpectSound(host);
}

TEST_P(TrapBuild, T09_RowsCommittedAfterwardsByAnOpenTransactionAreNotLost) {
	Host host;
	Prepare(host);
	Connection writer(*host.database);
	Execute(writer, "BEGIN");
	Execute(writer, "INSERT INTO t " + SomeRows(50, 10));
	Build(host);
	Execute(writer, "COMMIT");
	ExpectExactAnswer(host, 60);
	ExpectSound(host);
}

//===--------------------------------------------------------------------===//
// 10: a slow Append stalls every commit of the database
//===--------------------------------------------------------------------===//
TEST_P(TrapBuild, T10_ChangesDoNotWaitForABuild) {
	Host host;
	Prepare(host);
	bool is_called = false;
	DuringTheBuild(host, [&] {
		is_called = true;
		// The build waits for this: if a change waited for the build, neither would end.
		WithinAMinute([&] {
			Connection other(*host.database);
			Execute(other, "INSERT INTO t " + SomeRows(50, 10));
			Execute(other, "DELETE FROM t WHERE id = 7");
			Execute(other, "CREATE TABLE u AS SELECT 1 AS i");
			ExpectExactAnswer(other);
		});
	});
	WithinAMinute([&] { Build(host); });
	EXPECT_TRUE(is_called);
	ExpectSound(host);
}

TEST(Trap, T10_ChangesDoNotWaitForASearch) {
	Host host;
	MakeTable(host, 500);
	host.OpenWithoutCache();
	EXPECT_EQ(Info(host, "state"), "ready"); // from here on only a search reads
	bool is_called = false;
	host.hooks->Set([&](FileCall call, const std::string &path) {
		if (!is_called && call == FileCall::READ && path.find(".lmdsk") != std::string::npos) {
			is_called = true;
			WithinAMinute([&] {
				Connection other(*host.database);
				Execute(other, "INSERT INTO t " + SomeRows(500, 10));
				Execute(other, "DELETE FROM t WHERE id = 7");
			});
		}
	});
	WithinAMinute([&] { ExpectExactAnswer(host); });
	EXPECT_TRUE(is_called);
	ExpectSound(host);
}

TEST(Trap, T10_AppendDoesNoInputOrOutput) {
	Host host;
	MakeTable(host, 500);
	host.OpenWithoutCache();
	EXPECT_EQ(Info(host, "state"), "ready"); // binds
	std::atomic<int> call_count {0};
	host.hooks->Set(
	    [&](FileCall, const std::string &path) { call_count += path.find(".lmdsk") != std::string::npos ? 1 : 0; });
	// Fewer than a merge in the background waits for.
	Execute(host, "INSERT INTO t " + SomeRows(500, 1500));
	Execute(host, "UPDATE t SET v = [id, 1, 1, 1, 1, 1, 1, 1]::FLOAT[8] WHERE id = 9");
	Execute(host, "DELETE FROM t WHERE id < 5");
	EXPECT_EQ(call_count, 0);
	host.hooks->Set(nullptr);
	ExpectSound(host);
}

//===--------------------------------------------------------------------===//
// 13: what the index finds are candidates (more in test/sql/visibility.test and query_shapes.test)
//===--------------------------------------------------------------------===//
TEST(Trap, T13_CandidatesAreCheckedAgainstTheTransaction) {
	Host host;
	MakeTable(host, 100);
	Connection other(*host.database);
	Execute(other, "BEGIN");
	Execute(other, "INSERT INTO t " + OtherRows(100, 20));
	Execute(other, "DELETE FROM t WHERE id < 30");
	Execute(host, "BEGIN");
	Execute(host, "INSERT INTO t " + SomeRows(100, 20));
	Execute(host, "DELETE FROM t WHERE id BETWEEN 50 AND 79");
	EXPECT_TRUE(IsPlannedByIndex(host));
	ExpectExactAnswer(host, 90);
	EXPECT_TRUE(IsPlannedByIndex(other));
	ExpectExactAnswer(other, 90);
	const auto with_offset = NearestQuery(10) + " OFFSET 15";
	const auto answer = Execute(host, with_offset);
	Execute(host, "SET lm_diskann_enable_index_scan = false");
	EXPECT_EQ(answer, Execute(host, with_offset));
	Execute(host, "ROLLBACK");
	Execute(other, "COMMIT");
	Execute(host, "SET lm_diskann_enable_index_scan = true");
	ExpectExactAnswer(host, 90);
	ExpectSound(host);
}

//===--------------------------------------------------------------------===//
// 15: INSERT OR REPLACE leaves indexed columns as they are
//===--------------------------------------------------------------------===//
TEST(Trap, T15_TableAndIndexAgreeAfterInsertOrReplace) {
	Host host;
	Execute(host, "CREATE TABLE t(id INT PRIMARY KEY, v FLOAT[8])");
	Execute(host, "INSERT INTO t " + SomeRows(0, 50));
	Execute(host, "CREATE INDEX t_idx ON t USING LM_DISKANN (v)");
	const auto before = Execute(host, "SELECT v FROM t WHERE id = 7");
	Execute(host, "INSERT OR REPLACE INTO t VALUES (7, [9, 9, 9, 9, 9, 9, 9, 9])");
	EXPECT_EQ(Execute(host, "SELECT v FROM t WHERE id = 7"),
	          LMD_DUCKDB_15 ? "[9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0]" : before)
	    << "DuckDB learned it: change the README";
	ExpectExactAnswer(host, 50);
	Execute(host, "INSERT INTO t VALUES (7, [0.1, 0.2, 0.3, -0.1, -0.2, 0.5, 0.6, 0.7]) "
	              "ON CONFLICT DO UPDATE SET v = EXCLUDED.v");
	EXPECT_EQ(ExpectExactAnswer(host, 1), "7");
	ExpectExactAnswer(host, 50);
	ExpectSound(host);
}

} // namespace
