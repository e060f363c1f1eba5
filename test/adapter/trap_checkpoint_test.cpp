// Traps 5, 6 and 14 of DuckDB's index lifecycle: checkpoints that fail, and crashes in the middle of one.
// Property: a failed write of the index never harms the database, and the generation that DuckDB's durable metadata
// name stays intact until a later one is durable. A crash is a copy of all files at one moment.
#include "host.hpp"

#include "adapter/compat.hpp"

#include <csignal>
#include <mutex>
#include <sys/resource.h>

namespace {

using namespace lmd_test; // NOLINT

//===--------------------------------------------------------------------===//
// 5: an exception out of SerializeToDisk invalidates the database
//===--------------------------------------------------------------------===//
//! What a checkpoint does to the index file.
class TrapFailedWrite : public testing::TestWithParam<FileCall> {
protected:
	static void ExpectHarmless(Host &host, const std::string &checkpoint) {
		Execute(host, "SET GLOBAL lm_diskann_auto_rebuild = false");
		Execute(host, "INSERT INTO t " + SomeRows(50, 3000));
		host.hooks->Fail({GetParam()}, ".lmdsk");
		Execute(host, checkpoint);
		EXPECT_EQ(Info(host, "state"), "needs_rebuild");
		EXPECT_NE(Info(host, "state_reason").find("a checkpoint could not be written"), std::string::npos)
		    << Info(host, "state_reason");
		Execute(host, "INSERT INTO t " + SomeRows(4000, 5));
		Execute(host, "DELETE FROM t WHERE id = 3");
		ExpectExactAnswer(host);
		Execute(host, "CHECKPOINT"); // again, while it still fails
		host.hooks->Set(nullptr);
		host.Open(); // what is durable says so
		Execute(host, "SET lm_diskann_auto_rebuild = false");
		EXPECT_EQ(Info(host, "state"), "needs_rebuild");
		EXPECT_NE(Info(host, "state_reason").find("a checkpoint could not be written"), std::string::npos);
		Execute(host, "SET lm_diskann_auto_rebuild = true");
		ExpectExactAnswer(host);
		ExpectSound(host);
		host.Open();
		ExpectSound(host);
		EXPECT_EQ(host.IndexFileCount(), 1U);
	}
};
INSTANTIATE_TEST_SUITE_P(Call, TrapFailedWrite, testing::Values(FileCall::WRITE, FileCall::SYNC, FileCall::RESIZE));

TEST_P(TrapFailedWrite, T05_CheckpointIsHarmless) {
	Host host;
	MakeTable(host, 50);
	ExpectHarmless(host, "CHECKPOINT");
}

TEST_P(TrapFailedWrite, T05_AutomaticCheckpointIsHarmless) {
	Host host;
	MakeTable(host, 50);
	ExpectHarmless(host, "SET checkpoint_threshold = '1B'; INSERT INTO t VALUES (9000, [9, 9, 9, 9, 9, 9, 9, 9])");
}

TEST_P(TrapFailedWrite, T05_CreateIndexFailsCleanly) {
	Host host;
	Execute(host, "CREATE TABLE t AS " + SomeRows(0, 50));
	host.hooks->Fail({GetParam()}, ".lmdsk");
	EXPECT_NE(ExecuteError(host, "CREATE INDEX t_idx ON t USING LM_DISKANN (v)").find("the test fails this call"),
	          std::string::npos);
	host.hooks->Set(nullptr);
	EXPECT_EQ(host.IndexFileCount(), 0U);
	EXPECT_EQ(Info(host, "count(*)"), "0");
	Execute(host, "CREATE INDEX t_idx ON t USING LM_DISKANN (v)");
	ExpectSound(host);
}

TEST_P(TrapFailedWrite, T05_ARebuildThatCannotWriteIsTriedOnce) {
	Host host = MakeDamaged();
	host.hooks->Fail({GetParam()}, ".lmdsk");
	for (int query = 0; query < 3; query++) {
		ExpectExactAnswer(host);
		EXPECT_EQ(Info(host, "state"), "needs_rebuild");
	}
	const auto warnings = Warnings(host);
	EXPECT_NE(warnings.find("could not be healed"), std::string::npos) << warnings;
	EXPECT_EQ(warnings.find("could not be healed"), warnings.rfind("could not be healed")) << warnings;
	ExecuteError(host, "PRAGMA lm_diskann_rebuild('t_idx')");
	host.hooks->Set(nullptr);
	EXPECT_EQ(host.IndexFileCount(), 0U);
	Execute(host, "PRAGMA lm_diskann_rebuild('t_idx')");
	ExpectSound(host);
}

TEST(Trap, T05_AFileThatMayNotGrowIsHarmless) {
	Host host;
	Execute(host, "CREATE TABLE t AS " + SomeRows(0, 50));
	// A large block makes the index file the largest of all.
	Execute(host, "CREATE INDEX t_idx ON t USING LM_DISKANN (v) WITH (block_size = 65536, R = 256)");
	Execute(host, "CHECKPOINT");
	Execute(host, "INSERT INTO t " + SomeRows(50, 5000));
	// As a full disk or a quota: the system refuses what lies beyond the present size.
	rlimit before = {};
	ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
	const auto former_handler = std::signal(SIGXFSZ, SIG_IGN);
	const rlimit limited {std::filesystem::file_size(host.IndexFile()), before.rlim_max};
	ASSERT_GT(limited.rlim_cur, std::filesystem::file_size(host.Path()) * 2);
	ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limited), 0);
	Execute(host, "CHECKPOINT");
	const auto state = Info(host, "state");
	const auto reason = Info(host, "state_reason");
	setrlimit(RLIMIT_FSIZE, &before);
	std::signal(SIGXFSZ, former_handler);
	EXPECT_EQ(state, "needs_rebuild");
	EXPECT_NE(reason.find(host.IndexFile().string()), std::string::npos) << reason;
	ExpectExactAnswer(host);
	ExpectSound(host);
}

//===--------------------------------------------------------------------===//
// 6: the checkpoint is durable later than SerializeToDisk, and nobody is told
//===--------------------------------------------------------------------===//
//! One change that every checkpoint of these tests has to write.
void Change(Host &host, int64_t step) {
	Execute(host, "INSERT INTO t " + SomeRows(100 + step * 10, 10));
	Execute(host, "DELETE FROM t WHERE id IN (" + std::to_string(step) + ", " + std::to_string(101 + step * 10) + ")");
}

//! What crashes at the calls of `action` that change something for good leave behind: each copy has an index that needs
//! no healing and agrees with its table.
void ExpectEachCrashRecovers(Host &host, const std::function<void()> &action) {
	// A merge in the background may write thousands of blocks meanwhile, and each copy takes tens of megabytes: behind
	// the first writes that are all copied, one of many is.
	constexpr size_t WRITES_COPIED = 150, WRITES_APART = 64;
	std::mutex mutex; // a merge writes beside the checkpoint
	size_t write_count = 0;
	std::vector<Host> crashes;
	host.hooks->Set([&](FileCall call, const std::string &path) {
		const std::lock_guard<std::mutex> guard(mutex);
		const bool is_our_write = call == FileCall::WRITE && path.find(".lmdsk") != std::string::npos;
		write_count += is_our_write ? 1 : 0;
		const bool is_sampled = write_count <= WRITES_COPIED || write_count % WRITES_APART == 0;
		// DuckDB writes its header between two syncs; of its many other writes one state is as good as another.
		if (call == FileCall::SYNC || call == FileCall::REMOVE || (is_our_write && is_sampled)) {
			crashes.push_back(Host::CopyOf(host.Path()));
		}
	});
	action();
	host.hooks->Set(nullptr);
	EXPECT_GE(crashes.size(), 6U);
	crashes.push_back(Host::CopyOf(host.Path()));
	for (size_t i = 0; i < crashes.size(); i++) {
		SCOPED_TRACE("crash at call " + std::to_string(i));
		crashes[i].Open();
		ExpectSound(crashes[i]);
	}
}

TEST(Trap, T06_ACrashAtAnyCallOfACheckpointLeavesASoundIndex) {
	Host host;
	MakeTable(host, 100);
	Execute(host, "CHECKPOINT");
	for (int64_t step = 0; step < 5; step++) {
		Change(host, step);
		ExpectEachCrashRecovers(host, [&] { Execute(host, "CHECKPOINT"); });
	}
	ExpectSound(host);
}

TEST(Trap, T06_ACrashInAFailingAutomaticCheckpointLeavesASoundIndex) {
	Host host;
	MakeTable(host, 100);
	Execute(host, "CHECKPOINT");
	Execute(host, "SET checkpoint_threshold = '1B'");
	// Each of these fails before the header, and DuckDB 1.4 goes on: the first generation is named all the while.
	// DuckDB 1.5 asks to be opened again after the first.
	Execute(host, "SET debug_checkpoint_abort = 'before_header'");
	for (int64_t step = 0; step < (LMD_DUCKDB_15 ? 1 : 5); step++) {
		SCOPED_TRACE("failing checkpoint " + std::to_string(step));
		ExpectEachCrashRecovers(host,
		                        [&] { ExecuteError(host, "INSERT INTO t " + SomeRows(100 + step * 2000, 2000)); });
	}
	if (LMD_DUCKDB_15) {
		host.Open();
		Execute(host, "SET checkpoint_threshold = '1B'");
	}
	// DuckDB has counted this one when it fails. After a second such it overwrites blocks of its own last checkpoint.
	Execute(host, "SET debug_checkpoint_abort = 'after_free_list_write'");
	ExpectEachCrashRecovers(host, [&] { ExecuteError(host, "INSERT INTO t " + SomeRows(20000, 2000)); });
}

//===--------------------------------------------------------------------===//
// 14: CHECKPOINT without the extension invalidates the open database
//===--------------------------------------------------------------------===//
TEST(Trap, T14_NothingIsLostByACheckpointWithoutTheExtension) {
	Host host;
	MakeTable(host, 50);
	host.Open(HostOptions::WithoutExtension());
	Execute(host, "CREATE TABLE u AS SELECT 7 AS i");
	EXPECT_NE(ExecuteError(host, "CHECKPOINT").find("LM_DISKANN"), std::string::npos);
	host.Open();
	EXPECT_EQ(Execute(host, "FROM u"), "7");
	Execute(host, "CHECKPOINT");
	ExpectSound(host);
}

} // namespace
