// Property: what changes in bulk costs no more than a build, whoever notices it: the file follows the rows, and an
// index that was outgrown is built anew by the next query, unless that is not wanted.
#include "host.hpp"

namespace lmd_test {
namespace {

constexpr int64_t SMALL = 200, LARGE = 16000;

void Insert(Connection &connection, int64_t first, int64_t count) {
	Execute(connection, "INSERT INTO t " + SomeRows(first, count));
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
