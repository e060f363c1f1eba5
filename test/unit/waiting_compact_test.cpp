// A compact that was stopped goes on later. What it holds until then counts as memory, and what happens meanwhile to
// rows that it began with is respected when it ends.
#include "index/row_set.hpp"
#include "unit/index_rows.hpp"
#include "unit/test_vectors.hpp"

#include <gmock/gmock.h>

namespace lm_diskann {
namespace {

constexpr uint32_t DIMS = 8;

std::shared_ptr<AnnIndex> MakeIndex(const std::vector<float> &vectors) {
	IndexOptions options;
	options.max_degree = 8;
	options.l_build = 10;
	return BuildIndex(Configure(options, ElementType::FLOAT32, DIMS), vectors);
}

void DeleteRow(AnnIndex &index, int64_t row) {
	const RowId row_id(row);
	index.Delete(Span<const RowId>(&row_id, 1));
}

//! Begins, and stops at once.
void StopAtOnce(AnnIndex &index) {
	ASSERT_TRUE(index.Compact([] { return true; }));
}

TEST(WaitingCompact, CountsAsMemoryAFewBytesARow) {
	constexpr size_t ROW_COUNT = 20000;
	const std::vector<float> vectors = MakeClusteredVectors(ROW_COUNT, DIMS, 1);
	const auto index = MakeIndex(vectors);
	RowSet deleted;
	for (size_t row = 0; row < ROW_COUNT; row += 3) {
		DeleteRow(*index, int64_t(row));
		deleted.Insert(RowId(int64_t(row)));
	}
	const uint64_t before = index->Summary().memory_bytes;
	StopAtOnce(*index);
	const uint64_t waiting = index->Summary().memory_bytes;
	// The rows, and as many nodes.
	EXPECT_GE(waiting, before + 2 * deleted.MemoryBytes());
	EXPECT_LE(waiting, before + 2 * deleted.MemoryBytes() + 4096);
	// Stopped again after some pages.
	size_t questions = 3;
	ASSERT_TRUE(index->Compact([&] { return questions-- == 0; }));
	EXPECT_EQ(index->Summary().memory_bytes, waiting);
	while (index->Compact(Never)) {
	}
	EXPECT_LT(index->Summary().memory_bytes, before);
	EXPECT_EQ(FindProblems(*index), std::vector<std::string>());
}

//! A row that the index did not hold when the compact began: it comes and is deleted before it ends.
TEST(WaitingCompact, KeepsTheTombstoneOfARowThatCameMeanwhile) {
	constexpr size_t ROW_COUNT = 300;
	constexpr int64_t LATE_ROW = 150;
	const std::vector<float> vectors = MakeClusteredVectors(ROW_COUNT, DIMS, 1);
	std::shared_ptr<AnnIndex> index;
	WithRows(vectors, DIMS, 0, LATE_ROW, [&](const VectorBatch &rows) {
		index = BuildIndex(Configure(IndexOptions(), ElementType::FLOAT32, DIMS), rows);
	});
	WithRows(vectors, DIMS, LATE_ROW + 1, ROW_COUNT - LATE_ROW - 1,
	         [&](const VectorBatch &rows) { index->Append(rows); });
	while (index->Merge(ROW_COUNT, Never)) {
	}
	DeleteRow(*index, LATE_ROW);
	DeleteRow(*index, 0);
	StopAtOnce(*index);
	WithRows(vectors, DIMS, LATE_ROW, 1, [&](const VectorBatch &rows) { index->Append(rows); });
	while (index->Merge(ROW_COUNT, Never)) {
	}
	DeleteRow(*index, LATE_ROW);
	while (index->Compact(Never)) {
	}
	EXPECT_THAT(RowIdsOf(*index), testing::Not(testing::Contains(RowId(LATE_ROW))));
	for (const Neighbor &neighbor : index->Search(&vectors[LATE_ROW * DIMS], ROW_COUNT, 10, 4).Next(ROW_COUNT)) {
		EXPECT_NE(neighbor.row_id, RowId(LATE_ROW));
	}
	EXPECT_EQ(FindProblems(*index), std::vector<std::string>());
}

} // namespace
} // namespace lm_diskann
