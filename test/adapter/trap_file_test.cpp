// Traps 11, 12, 16 and 18 of DuckDB's index lifecycle: who needs an index file, and for how long.
// Property: a file goes with its index and not before, a query keeps what it works with, and no two databases ever
// share one, however the files were copied or linked.
#include "host.hpp"

#include "adapter/compat.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace lmd_test; // NOLINT

//===--------------------------------------------------------------------===//
// 11: CommitDrop runs before the drop is durable
//===--------------------------------------------------------------------===//
TEST(Trap, T11_ADropThatCannotBeLoggedKeepsTheFile) {
	Host host;
	MakeTable(host, 50);
	const auto file = host.IndexFile();
	host.hooks->Fail({FileCall::WRITE, FileCall::SYNC}, ".wal");
	ExecuteError(host, "DROP INDEX t_idx");
	host.hooks->Set(nullptr);
	if (LMD_DUCKDB_15) { // drops when the log is written: nothing happened
		ExpectSound(host);
		host.Open();
		EXPECT_TRUE(std::filesystem::exists(file));
		ExpectSound(host);
		return;
	}
	// DuckDB has destroyed the object and takes only the catalog's change back, as in trap 21.
	EXPECT_EQ(Info(host, "state"), "needs_rebuild");
	Execute(host, "INSERT INTO t " + SomeRows(50, 5)); // a later commit of this thread must not finish that drop
	EXPECT_TRUE(std::filesystem::exists(file));
	ExpectExactAnswer(host);
	{
		Host crash = Host::CopyOf(host.Path());
		crash.Open();
		ExpectExactAnswer(crash);
		ExpectSound(crash);
	}
	Execute(host, "CHECKPOINT"); // without the object
	host.Open();
	EXPECT_EQ(Info(host, "state"), "unconfigured");
	EXPECT_FALSE(std::filesystem::exists(file)) << "no index names it";
	ExpectExactAnswer(host);
	Execute(host, "DROP INDEX t_idx");
	Execute(host, "CREATE INDEX t_idx ON t USING LM_DISKANN (v)");
	ExpectSound(host);
}

TEST(Trap, T11_ACrashDuringADropLeavesTheIndexOrNothing) {
	Host host;
	MakeTable(host, 50);
	Execute(host, "CHECKPOINT");
	std::vector<Host> crashes;
	host.hooks->Set([&](FileCall call, const std::string &) {
		if (call != FileCall::READ && call != FileCall::OPEN) {
			crashes.push_back(Host::CopyOf(host.Path()));
		}
	});
	Execute(host, "DROP INDEX t_idx");
	host.hooks->Set(nullptr);
	EXPECT_EQ(host.IndexFileCount(), 0U);
	EXPECT_GE(crashes.size(), 3U); // log written, log synced, file removed
	size_t index_count = 0;
	for (auto &crash : crashes) {
		crash.Open();
		if (Info(crash, "count(*)") == "1") {
			index_count++;
			ExpectSound(crash);
		} else {
			EXPECT_EQ(crash.IndexFileCount(), 0U);
			ExpectExactAnswer(crash);
		}
	}
	EXPECT_GT(index_count, 0U);
	EXPECT_LT(index_count, crashes.size());
}

//===--------------------------------------------------------------------===//
// 12: DuckDB destroys the index object under running queries
//===--------------------------------------------------------------------===//
//! Runs `meanwhile` when the next search reads a block.
void DuringASearch(Host &host, std::function<void()> meanwhile) {
	host.hooks->Set(
	    [is_done = false, meanwhile = std::move(meanwhile)](FileCall call, const std::string &path) mutable {
		    if (!is_done && call == FileCall::READ && path.find(".lmdsk") != std::string::npos) {
			    is_done = true;
			    meanwhile();
		    }
	    });
}

TEST(Trap, T12_ADropDuringASearchIsSafe) {
	for (const std::string drop : {"DROP INDEX t_idx", "PRAGMA lm_diskann_rebuild('t_idx')"}) {
		SCOPED_TRACE(drop);
		Host host;
		MakeTable(host, 300);
		const auto expected = ExpectExactAnswer(host, 50);
		host.OpenWithoutCache();
		EXPECT_EQ(Info(host, "state"), "ready"); // from here on only a search reads
		Execute(host, "SET lm_diskann_l_search = 1000");
		bool is_called = false;
		DuringASearch(host, [&] {
			is_called = true;
			WithinAMinute([&] {
				Connection other(*host.database);
				Execute(other, drop);
			});
		});
		EXPECT_EQ(Execute(host, NearestQuery(50)), expected);
		EXPECT_TRUE(is_called);
		ExpectExactAnswer(host);
	}
}

TEST(Trap, T12_ARolledBackCreateIndexDuringASearchIsSafe) {
	Host host;
	Execute(host, "SET lm_diskann_cache_size = '1KB'"); // so that a search reads
	Execute(host, "CREATE TABLE t AS " + SomeRows(0, 300));
	const auto expected = ExpectExactAnswer(host, 50);
	Connection creator(*host.database);
	Execute(creator, "BEGIN");
	Execute(creator, "CREATE INDEX t_idx ON t USING LM_DISKANN (v)");
	bool is_called = false;
	DuringASearch(host, [&] {
		is_called = true;
		Execute(creator, "ROLLBACK");
	});
	EXPECT_EQ(Execute(host, NearestQuery(50)), expected);
	EXPECT_TRUE(is_called) << "DuckDB showed the uncommitted index to nobody else";
	EXPECT_EQ(host.IndexFileCount(), 0U);
	ExpectExactAnswer(host);
}

TEST(Trap, T12_APreparedQueryOutlivesTheIndex) {
	Host host;
	MakeTable(host, 100);
	const auto expected = ExpectExactAnswer(host);
	Execute(host, "PREPARE nearest AS " + NearestQuery());
	EXPECT_EQ(Execute(host, "EXECUTE nearest"), expected);
	Execute(host, "DROP INDEX t_idx");
	EXPECT_EQ(Execute(host, "EXECUTE nearest"), expected);
	Execute(host, "CREATE INDEX t_idx ON t USING LM_DISKANN (v)");
	EXPECT_EQ(Execute(host, "EXECUTE nearest"), expected);
	Execute(host, "PRAGMA lm_diskann_rebuild('t_idx')"); // changes no catalog: the plan keeps the former core
	Execute(host, "DELETE FROM t WHERE id = " + expected.substr(0, expected.find('\n')));
	EXPECT_EQ(Execute(host, "EXECUTE nearest"), ExpectExactAnswer(host));
}

//===--------------------------------------------------------------------===//
// 16: enable_external_access = false hides every file but the database and its log
//===--------------------------------------------------------------------===//
TEST(Trap, T16_NoExternalAccessIsNeeded) {
	const std::string orphan = "01234567-89ab-cdef-0123-456789abcdef.lmdsk.tmp";
	Host host;
	host.Open(HostOptions::WithoutExternalAccess());
	MakeTable(host, 50);
	Execute(host, "INSERT INTO t " + SomeRows(50, 5));
	ExpectSound(host);
	host.Close();
	WriteBytes(host.IndexFolder() / orphan, "x");
	host.Open(HostOptions::WithoutExternalAccess());
	ExpectSound(host);
	EXPECT_EQ(host.IndexFileCount(), 1U) << "the orphan was not collected";
	host.Close();
	std::filesystem::remove(host.IndexFile());
	host.Open(HostOptions::WithoutExternalAccess());
	ExpectExactAnswer(host);
	ExpectSound(host);
	Execute(host, "DROP INDEX t_idx");
	EXPECT_EQ(host.IndexFileCount(), 0U);
	EXPECT_NE(ExecuteError(host, "FROM read_text('" + (host.folder / "other").string() + "')").find("disabled"),
	          std::string::npos);
}

//===--------------------------------------------------------------------===//
// 18: copies and links of a database, and the locks of files that hold between processes only
//===--------------------------------------------------------------------===//
void ExpectHealsIntoAFileOfItsOwn(Host &host, const std::string &reason) {
	const auto file = Info(host, "file_path");
	EXPECT_EQ(Info(host, "state"), "needs_rebuild");
	EXPECT_NE(Info(host, "state_reason").find(reason), std::string::npos) << Info(host, "state_reason");
	EXPECT_NE(Info(host, "state_reason").find(file), std::string::npos) << Info(host, "state_reason");
	ExpectExactAnswer(host);
	ExpectSound(host);
	EXPECT_NE(Info(host, "file_path"), file);
}

//! Each changes in its own way, and neither sees anything of the other.
void ExpectIndependent(Host &a, Host &b) {
	Execute(a, "INSERT INTO t " + SomeRows(50, 20));
	Execute(b, "DELETE FROM t WHERE id < 10");
	for (Host *host : {&a, &b, &a}) {
		Execute(*host, "CHECKPOINT");
		ExpectSound(*host);
	}
	a.Open();
	b.Open();
	ExpectExactAnswer(a); // heals what closing and opening in this order took away
	ExpectExactAnswer(b);
	ExpectSound(a);
	ExpectSound(b);
}

TEST(Trap, T18_ACopyWithoutItsFolderHeals) {
	Host host;
	MakeTable(host, 50);
	host.Close();
	Host copy = Host::CopyOf(host.Path());
	std::filesystem::remove_all(copy.IndexFolder());
	host.Open();
	copy.Open();
	ExpectHealsIntoAFileOfItsOwn(copy, "is missing");
	ExpectIndependent(host, copy);
}

TEST(Trap, T18_ACopyWithItsFolderIsIndependent) {
	Host host;
	MakeTable(host, 50);
	host.Close();
	Host copy = Host::CopyOf(host.Path());
	const auto file = copy.IndexFile();
	host.Open();
	copy.Open();
	ExpectSound(copy);
	EXPECT_EQ(Info(copy, "file_path"), file.string());
	ExpectIndependent(host, copy);
	EXPECT_EQ(copy.IndexFile(), file) << "nothing had to heal";
}

TEST(Trap, T18_ACopyWithALinkedFolderGetsAFileOfItsOwn) {
	Host host;
	MakeTable(host, 50);
	host.Close();
	Host copy = Host::CopyOf(host.Path());
	std::filesystem::remove_all(copy.IndexFolder());
	std::filesystem::create_directory_symlink(host.IndexFolder(), copy.IndexFolder());
	host.Open();
	ExpectSound(host);
	copy.Open();
	ExpectHealsIntoAFileOfItsOwn(copy, "is in use by another database of this process");
	ExpectIndependent(host, copy);
}

//! A copy of a closed database whose index file is the original's, by a hard link.
Host CopyWithLinkedFile(const Host &host) {
	Host copy = Host::CopyOf(host.Path());
	const auto file = copy.IndexFile();
	std::filesystem::remove(file);
	std::filesystem::create_hard_link(host.IndexFile(), file);
	return copy;
}

TEST(Trap, T18_ACopyWithLinkedFilesGetsAFileOfItsOwn) {
	Host host;
	MakeTable(host, 50);
	host.Close();
	Host copy = CopyWithLinkedFile(host);
	host.Open();
	ExpectSound(host);
	copy.Open();
	ExpectHealsIntoAFileOfItsOwn(copy, "is in use by another database of this process");
	ExpectIndependent(host, copy);
}

TEST(Trap, T18_CopiesWithLinkedFilesOpenedInTurnNoticeEachOther) {
	Host host;
	MakeTable(host, 50);
	host.Close();
	Host copy = CopyWithLinkedFile(host);
	int64_t row_count = 50;
	for (int round = 0; round < 3; round++) {
		for (Host *turn : {&host, &copy}) {
			SCOPED_TRACE("round " + std::to_string(round) + (turn == &host ? ", original" : ", copy"));
			turn->Open();
			ExpectExactAnswer(*turn);
			ExpectExactAnswer(*turn); // a block that the other changed is found by the first, healed by the second
			ExpectSound(*turn);
			Execute(*turn, "INSERT INTO t " + SomeRows(row_count, 10 + round));
			Execute(*turn, "CHECKPOINT");
			turn->Close();
		}
		row_count += 10 + round;
	}
}

TEST(Trap, T18_AFileThatAnotherProcessHasOpenIsLeftAlone) {
	Host host;
	MakeTable(host, 50);
	host.Close();
	const auto file = host.IndexFile();
	int locked[2];
	int release[2];
	ASSERT_EQ(pipe(locked), 0);
	ASSERT_EQ(pipe(release), 0);
	const pid_t child = fork();
	if (child == 0) {
		// Only what is safe after fork in a process with threads.
		struct flock lock = {};
		lock.l_type = F_WRLCK;
		lock.l_whence = SEEK_SET;
		const int descriptor = open(file.c_str(), O_RDWR);
		char byte = fcntl(descriptor, F_SETLK, &lock) == 0 ? 'y' : 'n';
		const bool is_told = write(locked[1], &byte, 1) == 1;
		close(release[1]);
		_exit(is_told && read(release[0], &byte, 1) == 0 ? 0 : 1);
	}
	char is_locked = 'n';
	ASSERT_EQ(read(locked[0], &is_locked, 1), 1);
	ASSERT_EQ(is_locked, 'y');
	const auto before = ReadBytes(file);
	host.Open();
	ExpectHealsIntoAFileOfItsOwn(host, "lock");
	Execute(host, "CHECKPOINT");
	Execute(host, "CREATE TABLE u AS SELECT 1 AS i");
	Execute(host, "CHECKPOINT");
	host.Open();
	ExpectSound(host);
	EXPECT_TRUE(std::filesystem::exists(file)) << "the other process may need it";
	EXPECT_TRUE(ReadBytes(file) == before);
	close(release[1]); // the child ends
	int status = 1;
	ASSERT_EQ(waitpid(child, &status, 0), child);
	EXPECT_EQ(status, 0);
	host.Open();
	EXPECT_FALSE(std::filesystem::exists(file)) << "nobody needs it any more";
	ExpectSound(host);
	for (const int descriptor : {locked[0], locked[1], release[0]}) {
		close(descriptor);
	}
}

} // namespace
