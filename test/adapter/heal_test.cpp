// Healing: what starts it and what does not, once per reason, into a file of its own, durable when it is said to be.
// The damage itself is in damage_test.cpp; rows that were never offered are trap 3.
#include "host.hpp"

#include <algorithm>

namespace {

using namespace lmd_test; // NOLINT

size_t LineCount(const std::string &text) {
	return text.empty() ? 0 : size_t(std::count(text.begin(), text.end(), '\n')) + 1;
}

TEST(Heal, LookingNeverHeals) {
	Host host = MakeDamaged();
	for (const std::string look :
	     {"FROM lm_diskann_index_info()", "FROM lm_diskann_stats()", "FROM lm_diskann_verify('t_idx')",
	      "FROM duckdb_indexes()", "SELECT * FROM t ORDER BY id LIMIT 3", "CHECKPOINT"}) {
		SCOPED_TRACE(look);
		Execute(host, look);
		EXPECT_EQ(Info(host, "state"), "needs_rebuild");
	}
	EXPECT_FALSE(IsPlannedByIndex(host));
	Execute(host,
	        "PREPARE other AS SELECT id FROM t ORDER BY array_cosine_distance(v, [1, 1, 1, 1, 1, 1, 1, 1]::FLOAT[8]) "
	        "LIMIT 3");
	Execute(host, "EXECUTE other"); // another metric: this index is of no use to it
	EXPECT_EQ(Info(host, "state"), "needs_rebuild");
	EXPECT_EQ(host.IndexFileCount(), 0U);
}

TEST(Heal, WhatUsesTheIndexHealsIt) {
	for (const std::string start : {"", "EXPLAIN ANALYZE ", "CREATE TABLE u AS "}) {
		SCOPED_TRACE(start);
		Host host = MakeDamaged();
		Execute(host, start + NearestQuery());
		ExpectSound(host);
	}
	Host host = MakeDamaged();
	Execute(host, "SET lm_diskann_auto_rebuild = false");
	Execute(host, "PREPARE nearest AS " + NearestQuery());
	Execute(host, "SET lm_diskann_auto_rebuild = true");
	EXPECT_EQ(Info(host, "state"), "needs_rebuild");
	Execute(host, "DROP INDEX IF EXISTS no_such_index; CREATE TABLE w(i INT)"); // makes EXECUTE plan again
	const auto answer = Execute(host, "EXECUTE nearest");
	EXPECT_EQ(answer, ExpectExactAnswer(host));
	ExpectSound(host);
}

TEST(Heal, NothingIsRebuiltWhenSwitchedOff) {
	Host host = MakeDamaged();
	Execute(host, "SET lm_diskann_auto_rebuild = false");
	for (int query = 0; query < 3; query++) {
		ExpectExactAnswer(host);
		EXPECT_EQ(Info(host, "state"), "needs_rebuild");
	}
	EXPECT_EQ(host.IndexFileCount(), 0U);
	Execute(host, "PRAGMA lm_diskann_rebuild('t_idx')");
	ExpectSound(host);
}

TEST(Heal, EachReasonIsLoggedOnce) {
	Host host = MakeDamaged();
	Execute(host, "SET lm_diskann_auto_rebuild = false");
	for (int query = 0; query < 3; query++) {
		ExpectExactAnswer(host);
		Execute(host, "INSERT INTO t VALUES (999, NULL)");
		Info(host, "state_reason");
	}
	const auto warnings = Warnings(host);
	EXPECT_EQ(LineCount(warnings), 1U) << warnings;
	EXPECT_NE(warnings.find("LM_DISKANN index \"t_idx\": "), std::string::npos) << warnings;
	EXPECT_NE(warnings.find("is missing"), std::string::npos) << warnings;
	EXPECT_NE(warnings.find("queries run exact plans"), std::string::npos) << warnings;
}

TEST(Heal, SurvivesTheNextRestart) {
	for (const std::string durable : {"", "CHECKPOINT", "INSERT INTO t VALUES (999, NULL)"}) {
		SCOPED_TRACE(durable);
		Host host = MakeDamaged();
		// Keeps the query from taking the time for a checkpoint itself.
		auto other = std::make_unique<Connection>(*host.database);
		ExpectExactAnswer(host);
		ExpectSound(host);
		const auto file = Info(host, "file_path");
		if (!durable.empty()) {
			Execute(host, durable);
		}
		other.reset();
		host.Open();
		ExpectSound(host);
		EXPECT_EQ(host.IndexFile(), file) << "healed a second time";
	}
}

TEST(Heal, ACrashAfterALazyHealHealsAgain) {
	Host host = MakeDamaged();
	Connection other(*host.database);
	ExpectExactAnswer(host);
	Host crash = Host::CopyOf(host.Path());
	crash.Open();
	ExpectExactAnswer(crash);
	ExpectSound(crash);
	EXPECT_EQ(crash.IndexFileCount(), 1U) << "the file of the forgotten heal was not collected";
}

//===--------------------------------------------------------------------===//
// PRAGMA lm_diskann_rebuild
//===--------------------------------------------------------------------===//
TEST(Heal, ThePragmaRebuildsAHealthyIndexDurably) {
	Host host;
	MakeTable(host, 50);
	Execute(host, "INSERT INTO t " + SomeRows(50, 20));
	Execute(host, "DELETE FROM t WHERE id < 10");
	const auto before = Info(host, "file_path");
	EXPECT_EQ(Info(host, "delta_count, tombstone_count"), "20|10");
	Execute(host, "PRAGMA lm_diskann_rebuild('t_idx')");
	EXPECT_EQ(Info(host, "delta_count, tombstone_count, row_count"), "0|0|60");
	EXPECT_NE(Info(host, "file_path"), before);
	ExpectSound(host);
	const auto after = Info(host, "file_path");
	Host crash = Host::CopyOf(host.Path());
	crash.Open();
	EXPECT_EQ(Info(crash, "state, delta_count"), "ready|0") << "not durable at once";
	ExpectSound(crash);
	EXPECT_EQ(crash.IndexFileCount(), 1U) << "the replaced file was not collected";
	host.Open();
	EXPECT_EQ(host.IndexFile(), after);
	ExpectSound(host);
}

TEST(Heal, ThePragmaInATransactionThatRollsBackIsSafe) {
	Host host;
	MakeTable(host, 50);
	Execute(host, "BEGIN");
	Execute(host, "INSERT INTO t " + SomeRows(50, 20));
	Execute(host, "PRAGMA lm_diskann_rebuild('t_idx')");
	ExpectExactAnswer(host, 70);
	Execute(host, "ROLLBACK");
	ExpectExactAnswer(host, 50);
	ExpectSound(host);
	host.Open();
	ExpectExactAnswer(host, 50);
	ExpectSound(host);
	EXPECT_EQ(host.IndexFileCount(), 1U);
}

TEST(Heal, ThePragmaSaysWhatItCannotDo) {
	Host host;
	MakeTable(host, 50);
	EXPECT_NE(ExecuteError(host, "PRAGMA lm_diskann_rebuild('other')").find("\"other\" does not exist"),
	          std::string::npos);
	host.Open(HostOptions::ReadOnly());
	EXPECT_NE(ExecuteError(host, "PRAGMA lm_diskann_rebuild('t_idx')").find("read-only"), std::string::npos);
	ExpectSound(host);
}

TEST(Heal, ChangesMadeWhileTheDamagedIndexIsRebuiltAreInIt) {
	Host host = MakeDamaged();
	bool is_called = false;
	host.hooks->Set([&](FileCall call, const std::string &path) {
		if (!is_called && call == FileCall::OPEN && path.find(".lmdsk.tmp") != std::string::npos) {
			is_called = true;
			Connection other(*host.database);
			Execute(other, "INSERT INTO t " + SomeRows(50, 20));
			Execute(other, "DELETE FROM t WHERE id IN (5, 55)");
			EXPECT_EQ(Execute(other, NearestQuery(68)).empty(), false) << "queries go on by exact plans";
		}
	});
	Execute(host, NearestQuery());
	EXPECT_TRUE(is_called);
	ExpectExactAnswer(host, 68);
	ExpectSound(host);
	EXPECT_EQ(Info(host, "row_count"), "68");
}

TEST(Heal, RowsThatOnlyAReaderStillSeesLeaveTheRebuiltIndex) {
	Host host;
	MakeTable(host, 50);
	Connection reader(*host.database);
	Execute(reader, "BEGIN");
	Execute(reader, "SELECT count(*) FROM t"); // keeps deleted rows in the table, where the rebuild finds them
	Execute(host, "DELETE FROM t WHERE id IN (5, 6)");
	bool is_called = false;
	host.hooks->Set([&](FileCall call, const std::string &path) {
		if (!is_called && call == FileCall::OPEN && path.find(".lmdsk.tmp") != std::string::npos) {
			is_called = true;
			Execute(reader, "COMMIT"); // DuckDB calls Delete when the rebuild's statement has ended
		}
	});
	Execute(host, "PRAGMA lm_diskann_rebuild('t_idx')");
	EXPECT_TRUE(is_called);
	EXPECT_EQ(Info(host, "row_count"), "48");
	ExpectSound(host);
}

//===--------------------------------------------------------------------===//
// In memory
//===--------------------------------------------------------------------===//
TEST(Heal, AnIndexInMemoryCanBeRebuilt) {
	Host host;
	Execute(host, "ATTACH ':memory:' AS m");
	Execute(host, "USE m");
	MakeTable(host, 50);
	Execute(host, "INSERT INTO t " + SomeRows(50, 20));
	Execute(host, "PRAGMA lm_diskann_rebuild('t_idx')");
	EXPECT_EQ(Info(host, "delta_count"), "0");
	ExpectSound(host);
	EXPECT_EQ(host.IndexFileCount(), 0U);
}

//===--------------------------------------------------------------------===//
// Garbage
//===--------------------------------------------------------------------===//
const std::vector<std::string> ORPHANS = {"00112233-4455-6677-8899-aabbccddeeff.lmdsk",
                                          "10112233-4455-6677-8899-aabbccddeeff.lmdsk.tmp"};
const std::vector<std::string> STRANGERS = {"notes.txt", "t.lmdsk", "00112233-4455-6677-8899-aabbccddeef.lmdsk",
                                            "00112233-4455-6677-8899-AABBCCDDEEFF.lmdsk",
                                            "20112233-4455-6677-8899-aabbccddeeff.lmdsk.tmp.old"};

//! A database with an index and files in its folder that no index names, closed.
Host MakeLittered() {
	Host host;
	MakeTable(host, 50);
	host.Close();
	for (const auto &names : {ORPHANS, STRANGERS}) {
		for (const auto &name : names) {
			WriteBytes(host.IndexFolder() / name, "x");
		}
	}
	std::filesystem::create_directory(host.IndexFolder() / "30112233-4455-6677-8899-aabbccddeeff.lmdsk");
	return host;
}

size_t Count(const Host &host, const std::vector<std::string> &names) {
	return size_t(std::count_if(names.begin(), names.end(), [&](const std::string &name) {
		return std::filesystem::exists(host.IndexFolder() / name);
	}));
}

TEST(Garbage, IsCollectedOnLoadAndNothingElseIs) {
	Host host = MakeLittered();
	host.Open();
	EXPECT_EQ(Count(host, ORPHANS), 0U);
	EXPECT_EQ(Count(host, STRANGERS), STRANGERS.size());
	EXPECT_TRUE(std::filesystem::exists(host.IndexFolder() / "30112233-4455-6677-8899-aabbccddeeff.lmdsk"));
	ExpectSound(host);
}

TEST(Garbage, IsCollectedByTheFirstStatementAfterAttach) {
	Host littered = MakeLittered();
	Host host;
	Execute(host, "ATTACH '" + littered.Path().string() + "' AS other");
	Execute(host, "SELECT 1");
	EXPECT_EQ(Count(littered, ORPHANS), 0U);
	EXPECT_EQ(Count(littered, STRANGERS), STRANGERS.size());
	Execute(host, "USE other");
	ExpectSound(host);
	Execute(host, "USE t; DETACH other");
}

TEST(Garbage, IsLeftInADatabaseThatMayNotBeWritten) {
	Host host = MakeLittered();
	host.Open(HostOptions::ReadOnly());
	ExpectSound(host);
	EXPECT_EQ(Count(host, ORPHANS), ORPHANS.size());
}

TEST(Garbage, NeverTakesTheFileOfADegradedIndex) {
	Host host;
	MakeTable(host, 50);
	host.Close();
	const auto file = host.IndexFile();
	const auto bytes = ReadBytes(file);
	WriteBytes(file, bytes.substr(0, bytes.size() / 2));
	for (int restart = 0; restart < 2; restart++) {
		host.Open();
		Execute(host, "SET lm_diskann_auto_rebuild = false");
		Execute(host, "INSERT INTO t VALUES (999, NULL)");
		EXPECT_EQ(Info(host, "state"), "needs_rebuild");
		EXPECT_TRUE(std::filesystem::exists(file)) << "it may be put right again from a backup";
	}
}

TEST(Garbage, NeverTakesAFileOfAnUncommittedIndex) {
	Host host;
	Execute(host, "CREATE TABLE t AS " + SomeRows(0, 50));
	Execute(host, "BEGIN");
	Execute(host, "CREATE INDEX t_idx ON t USING LM_DISKANN (v)");
	host.database->LoadStaticExtension<duckdb::LmDiskannExtension>(); // a second LOAD
	Connection other(*host.database);
	Execute(other, "SELECT 1");
	EXPECT_EQ(host.IndexFileCount(), 1U);
	Execute(host, "COMMIT");
	ExpectSound(host);
}

} // namespace
