// A hub: one row that is nearer to all others than these are to each other, so that it is their only chosen neighbour.
// Its block has room for a few of them; all the same each stays in reach.
#include "base/random.hpp"
#include "unit/index_rows.hpp"

#include <cmath>
#include <gtest/gtest.h>
#include <set>
#include <utility>

namespace lm_diskann {
namespace {

constexpr size_t DIMS = 128, ROW_COUNT = 600;
//! Of them the hub is the first.
constexpr size_t BUILT_COUNT = 20;

std::vector<float> MakeHub(uint64_t seed) {
	std::vector<float> vectors(ROW_COUNT * DIMS);
	Random random(seed);
	for (size_t row = 1; row < ROW_COUNT; row++) {
		float *vector = vectors.data() + row * DIMS;
		float norm = 0;
		for (size_t i = 0; i < DIMS; i++) {
			for (size_t sum = 0; sum < 12; sum++) {
				vector[i] += float(random.Next() % 1000) / 1000 - 0.5F;
			}
			norm += vector[i] * vector[i];
		}
		for (size_t i = 0; i < DIMS; i++) {
			vector[i] *= 10 / std::sqrt(norm);
		}
	}
	return vectors;
}

size_t CountFound(AnnIndex &index, const std::vector<float> &vectors) {
	std::set<RowId> found;
	for (const Neighbor &neighbor : index.Search(vectors.data(), ROW_COUNT, 10, 4).Next(ROW_COUNT)) {
		found.insert(neighbor.row_id);
	}
	return found.size();
}

//! Anchors beyond the room of a block were lost: with R 8 such an index answered with 58 of its 600 rows.
TEST(Hub, EveryRowThatWasMergedAroundItIsFound) {
	for (const uint32_t max_degree : {4U, 8U, 32U}) {
		SCOPED_TRACE("R " + std::to_string(max_degree));
		const std::vector<float> vectors = MakeHub(max_degree);
		IndexOptions options;
		options.max_degree = max_degree;
		std::shared_ptr<AnnIndex> index;
		WithRows(vectors, DIMS, 0, BUILT_COUNT, [&](const VectorBatch &rows) {
			index = BuildIndex(Configure(options, ElementType::FLOAT32, DIMS), rows);
		});
		WithRows(vectors, DIMS, BUILT_COUNT, ROW_COUNT - BUILT_COUNT,
		         [&](const VectorBatch &rows) { index->Append(rows); });
		while (index->Merge(64, Never)) {
		}
		EXPECT_EQ(CountFound(*index, vectors), ROW_COUNT);
		EXPECT_EQ(FindProblems(*index), std::vector<std::string>());
		// The hub leaves, and with it a third of what was merged.
		constexpr size_t DELETED_COUNT = 200;
		WithRows(vectors, DIMS, 0, DELETED_COUNT,
		         [&](const VectorBatch &rows) { index->Delete(Span<const RowId>(rows.row_ids, rows.count)); });
		// Wherever it stops, what was published then may be opened and be all that is left of it.
		size_t stops = 0;
		const auto is_asked_again = [asked = false]() mutable { return std::exchange(asked, true); };
		while (index->Compact(is_asked_again)) {
			EXPECT_EQ(FindProblems(*index), std::vector<std::string>());
			stops++;
		}
		EXPECT_GE(stops, 1U);
		EXPECT_EQ(CountFound(*index, vectors), ROW_COUNT - DELETED_COUNT);
		EXPECT_EQ(FindProblems(*index), std::vector<std::string>());
	}
}

} // namespace
} // namespace lm_diskann
