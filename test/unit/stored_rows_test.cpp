// CollectRows and Holds: an index says of every row whether a vector is the one it was given.
#include "unit/index_rows.hpp"
#include "unit/test_vectors.hpp"

#include <gtest/gtest.h>

namespace lm_diskann {
namespace {

constexpr uint32_t DIMS = 19;
constexpr size_t BUILT = 300, ROWS = 400;

//! Rows of either element type, whose row ids are their positions.
struct TestRows {
	TestRows(ElementType element_type_p, uint64_t seed) : element_type(element_type_p) {
		floats = MakeClusteredVectors(ROWS, DIMS, seed);
		for (size_t i = 0; i < floats.size(); i++) {
			bytes.push_back(int8_t(std::max(-127.0F, std::min(127.0F, 40 * floats[i]))));
		}
		for (size_t i = 0; i < ROWS; i++) {
			row_ids.push_back(RowId(int64_t(i)));
		}
	}
	VectorBatch Batch(size_t first, size_t count) const {
		VectorBatch batch;
		batch.row_ids = row_ids.data() + first;
		if (element_type == ElementType::FLOAT32) {
			batch.floats = floats.data() + first * DIMS;
		} else {
			batch.bytes = bytes.data() + first * DIMS;
		}
		batch.count = count;
		return batch;
	}

	ElementType element_type;
	std::vector<float> floats;
	std::vector<int8_t> bytes;
	std::vector<RowId> row_ids;
};

//! The first BUILT rows in the graph, the others in the delta.
std::shared_ptr<AnnIndex> MakeIndex(const IndexOptions &options, const TestRows &rows) {
	auto index = BuildIndex(Configure(options, rows.element_type, DIMS), rows.Batch(0, BUILT));
	index->Append(rows.Batch(BUILT, ROWS - BUILT));
	return index;
}

//! Positions of rows that `index` holds another vector for.
std::vector<size_t> FindDifferent(AnnIndex &index, const TestRows &rows) {
	const std::vector<StoredRow> stored = index.CollectRows();
	EXPECT_EQ(stored.size(), ROWS);
	std::vector<size_t> different;
	for (size_t i = 0; i < stored.size(); i++) {
		EXPECT_EQ(stored[i].row_id, rows.row_ids[i]);
		if (!index.Holds(stored[i], rows.Batch(0, ROWS), i)) {
			different.push_back(i);
		}
	}
	return different;
}

struct Case {
	ElementType element_type;
	Metric metric;
	VectorStorage storage;
};

class StoredRows : public testing::TestWithParam<Case> {};

TEST_P(StoredRows, AreThoseThatWereGivenAndNoOthers) {
	IndexOptions options;
	options.metric = GetParam().metric;
	options.vectors = GetParam().storage;
	const TestRows rows(GetParam().element_type, 11);
	const auto index = MakeIndex(options, rows);
	const auto expect_only_changes_are_found = [&] {
		EXPECT_EQ(FindDifferent(*index, rows), std::vector<size_t>());
		TestRows changed = rows;
		std::vector<size_t> expected;
		for (size_t row = 7; row < ROWS; row += 50) {
			// A last dimension that rounding to 8 bits can tell from the former one.
			changed.floats[row * DIMS + DIMS - 1] -= 0.25F;
			changed.bytes[row * DIMS + DIMS - 1] ^= 1;
			expected.push_back(row);
		}
		EXPECT_EQ(FindDifferent(*index, changed), expected);
	};
	expect_only_changes_are_found();
	while (index->Merge(64, Never)) {
	}
	expect_only_changes_are_found();
}

INSTANTIATE_TEST_SUITE_P(Forms, StoredRows,
                         testing::Values(Case {ElementType::FLOAT32, Metric::L2SQ, VectorStorage::NATIVE},
                                         Case {ElementType::FLOAT32, Metric::COSINE, VectorStorage::NATIVE},
                                         Case {ElementType::FLOAT32, Metric::IP, VectorStorage::F16},
                                         Case {ElementType::FLOAT32, Metric::COSINE, VectorStorage::F16},
                                         Case {ElementType::FLOAT32, Metric::L2SQ, VectorStorage::INT8},
                                         Case {ElementType::FLOAT32, Metric::COSINE, VectorStorage::INT8},
                                         Case {ElementType::INT8, Metric::L2SQ, VectorStorage::NATIVE},
                                         Case {ElementType::INT8, Metric::COSINE, VectorStorage::NATIVE}));

TEST(StoredRows, ASignOfZeroIsNoDifference) {
	TestRows rows(ElementType::FLOAT32, 12);
	for (size_t row = 0; row < ROWS; row++) {
		rows.floats[row * DIMS + row % DIMS] = -0.0F;
	}
	for (const VectorStorage storage : {VectorStorage::NATIVE, VectorStorage::F16, VectorStorage::INT8}) {
		IndexOptions options;
		options.vectors = storage;
		const auto index = MakeIndex(options, rows);
		TestRows unsigned_rows = rows;
		for (float &value : unsigned_rows.floats) {
			value += 0.0F;
		}
		EXPECT_EQ(FindDifferent(*index, unsigned_rows), std::vector<size_t>());
	}
}

TEST(StoredRows, ARowThatCameAgainHasItsLastVector) {
	const TestRows rows(ElementType::FLOAT32, 13);
	const auto index = MakeIndex(IndexOptions(), rows);
	TestRows later = rows;
	for (size_t i = 100 * DIMS; i < 150 * DIMS; i++) {
		later.floats[i] += 1;
	}
	index->Append(later.Batch(100, 50));
	EXPECT_EQ(FindDifferent(*index, later), std::vector<size_t>());
	EXPECT_EQ(FindDifferent(*index, rows).size(), 50U);
}

} // namespace
} // namespace lm_diskann
