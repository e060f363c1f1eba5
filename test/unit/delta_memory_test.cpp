// Property: appending writes nothing to the file while the delta's vectors are within twice the bound of its RAM, and
// keeps within that, whatever comes; rows that left RAM are found as before.
#include "index/ann_index.hpp"
#include "unit/counting_file.hpp"
#include "unit/index_rows.hpp"
#include "unit/test_vectors.hpp"

#include <gtest/gtest.h>

namespace lm_diskann {
namespace {

constexpr uint32_t DIMS = 2048;
constexpr size_t BUILT_ROWS = 8, APPEND_ROWS = 512;
//! Vectors as they come, and as searches round them: bytes and three floats each.
constexpr size_t STEP_BYTES = APPEND_ROWS * (DIMS * (sizeof(float) + 1) + 3 * sizeof(float));
constexpr uint64_t MIB = uint64_t(1) << 20, BOUND = 64 * MIB, HARD_BOUND = 128 * MIB;
//! Beside vectors: row ids and where they are, and what the quantizer holds.
constexpr uint64_t OTHER_BYTES = 6 * MIB;

class DeltaMemory : public ::testing::Test {
protected:
	DeltaMemory() : vectors(MakeClusteredVectors(APPEND_ROWS, DIMS, 5)) {
		WithRows(vectors, DIMS, 0, BUILT_ROWS, [&](const VectorBatch &batch) {
			index = BuildIndex(Configure(IndexOptions(), ElementType::FLOAT32, DIMS), batch,
			                   std::make_unique<CountingFile>(written_bytes), std::make_shared<PageCache>(8 * MIB));
		});
		index->Publish();
		written_bytes = 0;
	}

	//! The same vectors again, as new rows.
	void Append() {
		std::vector<RowId> row_ids;
		for (size_t i = 0; i < APPEND_ROWS; i++) {
			row_ids.push_back(RowId(next_row++));
		}
		VectorBatch batch;
		batch.row_ids = row_ids.data();
		batch.floats = vectors.data();
		batch.count = APPEND_ROWS;
		index->Append(batch);
		appended_bytes += STEP_BYTES;
	}
	//! Rows whose vector is vector `position` of those that are appended.
	std::vector<int64_t> RowsWith(size_t position) {
		const size_t count = appended_bytes / STEP_BYTES;
		std::vector<int64_t> row_ids;
		for (const Neighbor &neighbor : index->Search(vectors.data() + position * DIMS, count, 10, 4).Next(count)) {
			row_ids.push_back(neighbor.row_id.value);
		}
		std::sort(row_ids.begin(), row_ids.end());
		return row_ids;
	}
	std::vector<int64_t> ExpectedRowsWith(size_t position) const {
		std::vector<int64_t> row_ids;
		for (int64_t row = int64_t(BUILT_ROWS + position); row < next_row; row += int64_t(APPEND_ROWS)) {
			row_ids.push_back(row);
		}
		return row_ids;
	}

	std::vector<float> vectors;
	uint64_t written_bytes = 0;
	uint64_t appended_bytes = 0;
	int64_t next_row = BUILT_ROWS;
	std::shared_ptr<AnnIndex> index;
};

TEST_F(DeltaMemory, AnAppendLeavesWritingToOthersUpToTwiceTheBound) {
	while (appended_bytes + STEP_BYTES < HARD_BOUND) {
		EXPECT_EQ(index->Counts().is_spill_due, appended_bytes > BOUND);
		Append();
		ASSERT_EQ(written_bytes, 0U) << "after " << appended_bytes << " bytes of vectors";
	}
	EXPECT_TRUE(index->Counts().is_spill_due);
	index->SpillDelta();
	EXPECT_FALSE(index->Counts().is_spill_due);
	EXPECT_LE(index->Summary().memory_bytes, BOUND + OTHER_BYTES);
	EXPECT_EQ(RowsWith(20), ExpectedRowsWith(20));
	EXPECT_EQ(FindProblems(*index), std::vector<std::string>());
}

TEST_F(DeltaMemory, AppendsThatNobodyHelpsKeepWithinTwiceTheBound) {
	while (appended_bytes < HARD_BOUND + BOUND + BOUND) {
		Append();
		ASSERT_LE(index->Summary().memory_bytes, HARD_BOUND + STEP_BYTES + OTHER_BYTES);
	}
	EXPECT_EQ(RowsWith(APPEND_ROWS - 1), ExpectedRowsWith(APPEND_ROWS - 1));
}

TEST_F(DeltaMemory, AMergeBeginsWithWriting) {
	while (!index->Counts().is_spill_due) {
		Append();
	}
	index->Merge(1, [] { return true; });
	EXPECT_FALSE(index->Counts().is_spill_due);
}

} // namespace
} // namespace lm_diskann
