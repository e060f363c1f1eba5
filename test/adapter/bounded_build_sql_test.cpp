// Builds whose vectors do not fit lm_diskann_build_memory, through DuckDB: they succeed with a scratch file beside the
// index, and neither success nor failure nor a crash leaves that file behind.
#include "host.hpp"

#include <gtest/gtest.h>

namespace lmd_test {
namespace {

//! 4,000 vectors of 192 dimensions: 3 MB.
constexpr const char *MAKE_TABLE =
    "CREATE TABLE t AS SELECT i AS id, list_transform(range(192), x -> sin(i * (x + 1)))::FLOAT[192] AS v "
    "FROM range(4000) r(i)";
constexpr const char *MAKE_INDEX = "CREATE INDEX t_idx ON t USING LM_DISKANN (v) WITH (L_build = 20)";

//! The least lm_diskann_build_memory with which the index can be made, in steps of half a megabyte.
void SetLeastMemory(Host &host) {
	for (int halves = 4;; halves++) {
		Execute(host, "SET lm_diskann_build_memory = '" + std::to_string(halves * 512) + "KiB'");
		if (!static_cast<duckdb::Connection &>(host).Query(MAKE_INDEX)->HasError()) {
			Execute(host, "DROP INDEX t_idx");
			return;
		}
		ASSERT_EQ(host.IndexFileCount(), 0U);
		ASSERT_LT(halves, 64);
	}
}

class BoundedBuildSql : public testing::Test {
protected:
	void SetUp() override {
		Execute(host, MAKE_TABLE);
		SetLeastMemory(host);
		host.hooks->Set([this](FileCall call, const std::string &path) {
			files_made += call == FileCall::OPEN && path.find(".lmdsk.tmp") != std::string::npos ? 1 : 0;
			if (call == FileCall::WRITE && path.find(".lmdsk.tmp") != std::string::npos && ++writes == failing_write) {
				throw duckdb::IOException("the test fails this call");
			}
			if (call == FileCall::WRITE && writes == crashing_write && !crash) {
				crash = std::make_unique<Host>(Host::CopyOf(host.Path()));
			}
		});
	}

	Host host;
	int files_made = 0;
	int writes = 0;
	int failing_write = -1;
	int crashing_write = -1;
	std::unique_ptr<Host> crash;
};

TEST_F(BoundedBuildSql, CreateAndRebuildLeaveTheIndexAlone) {
	Execute(host, MAKE_INDEX);
	EXPECT_EQ(files_made, 2);
	EXPECT_EQ(host.IndexFileCount(), 1U);
	EXPECT_EQ(Execute(host, "SELECT count(*) FROM lm_diskann_verify('t_idx')"), "0");
	EXPECT_EQ(Execute(host, "SELECT id FROM t ORDER BY array_distance(v, (SELECT v FROM t WHERE id = 77)) LIMIT 1"),
	          "77");
	Execute(host, "PRAGMA lm_diskann_rebuild('t_idx')");
	EXPECT_EQ(files_made, 4);
	Execute(host, "CHECKPOINT");
	host.Open();
	EXPECT_EQ(host.IndexFileCount(), 1U);
	EXPECT_EQ(Info(host, "state"), "ready");
}

TEST_F(BoundedBuildSql, AFailedWriteLeavesNoFileAndNoLock) {
	for (const int write : {1, 5, 50}) {
		writes = 0;
		failing_write = write;
		EXPECT_NE(ExecuteError(host, MAKE_INDEX).find("the test fails this call"), std::string::npos);
		EXPECT_EQ(host.IndexFileCount(), 0U);
	}
	failing_write = -1;
	Execute(host, MAKE_INDEX);
	EXPECT_EQ(host.IndexFileCount(), 1U);
}

TEST_F(BoundedBuildSql, WhatACrashLeavesIsCollected) {
	crashing_write = 20;
	Execute(host, MAKE_INDEX);
	ASSERT_TRUE(crash);
	EXPECT_GE(crash->IndexFileCount(), 1U);
	crash->Open();
	EXPECT_EQ(Execute(*crash, "SELECT count(*) FROM t"), "4000");
	EXPECT_EQ(Execute(*crash, "SELECT count(*) FROM lm_diskann_index_info()"), "0");
	EXPECT_EQ(crash->IndexFileCount(), 0U);
}

} // namespace
} // namespace lmd_test
