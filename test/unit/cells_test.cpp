// Cells give each row once, with others that are near it: nearly all of the nearest, at the very distances that
// BuildSpace has, in order and without itself; and copies, of which all lie in the same cells, do not make these
// larger.
#include "graph/cells.hpp"

#include "unit/test_vectors.hpp"

#include <gtest/gtest.h>

namespace lm_diskann {
namespace {

constexpr size_t NEAREST = 20;

struct Space {
	Space(const std::vector<float> &vectors, size_t dims, Metric metric, uint32_t bits)
	    : count(vectors.size() / dims),
	      quantizer(Quantizer::Train(metric, CodeFamily::TWO_BIT, dims, vectors, count, 1)),
	      space(quantizer, bits, 100, count) {
		std::vector<float> scratch;
		for (uint32_t i = 0; i < count; i++) {
			space.Set(NodeId(i), vectors.data() + i * dims, scratch);
		}
	}

	//! By row; fails the test for a row that comes twice or not at all.
	std::vector<std::vector<ScoredNode>> FindAll() {
		Cells cells(space, 7);
		for (size_t item = 0; item < cells.AssignItemCount(); item++) {
			cells.Assign(item);
		}
		std::vector<std::vector<ScoredNode>> all(count);
		std::vector<int> times(count);
		while (cells.NextSlab()) {
			slab_count++;
			for (size_t item = 0; item < cells.SlabSize(); item++) {
				cells.FindNearest(item, NEAREST, [&](NodeId node, const std::vector<ScoredNode> &nearest) {
					all[node.value] = nearest;
					times[node.value]++;
				});
			}
			EXPECT_LE(cells.SlabEndShare(), 1);
		}
		EXPECT_EQ(times, std::vector<int>(count, 1));
		return all;
	}

	size_t count;
	Quantizer quantizer;
	BuildSpace space;
	size_t slab_count = 0;
};

class CellsOf : public testing::TestWithParam<std::tuple<Metric, uint32_t>> {};

TEST_P(CellsOf, FindNearlyAllOfTheNearest) {
	const auto [metric, bits] = GetParam();
	constexpr size_t COUNT = 6000, DIMS = 30;
	Space rows(MakeClusteredVectors(COUNT, DIMS, 8), DIMS, metric, bits);
	const std::vector<std::vector<ScoredNode>> all = rows.FindAll();
	EXPECT_GT(rows.slab_count, 0);
	BuildSpace::Point point;
	std::vector<NodeId> others;
	for (uint32_t other = 0; other < COUNT; other++) {
		others.push_back(NodeId(other));
	}
	std::vector<float> distances(COUNT);
	size_t found_count = 0, row_count = 0;
	for (uint32_t row = 0; row < COUNT; row += 29) {
		ASSERT_EQ(all[row].size(), NEAREST);
		rows.space.Load(NodeId(row), point);
		rows.space.Distances(point, {others.data(), COUNT}, distances.data());
		for (size_t i = 0; i < NEAREST; i++) {
			const ScoredNode &found = all[row][i];
			EXPECT_NE(found.node, NodeId(row));
			EXPECT_EQ(found.distance, distances[found.node.value]);
			EXPECT_TRUE(i == 0 || all[row][i - 1] < found);
		}
		distances[row] = std::numeric_limits<float>::infinity();
		std::nth_element(distances.begin(), distances.begin() + NEAREST - 1, distances.end());
		const float farthest = distances[NEAREST - 1];
		found_count += size_t(std::count_if(all[row].begin(), all[row].end(),
		                                    [&](const ScoredNode &found) { return found.distance <= farthest; }));
		row_count++;
	}
	EXPECT_GE(double(found_count), 0.9 * double(row_count * NEAREST));
}

INSTANTIATE_TEST_SUITE_P(Cells, CellsOf,
                         testing::Combine(testing::Values(Metric::L2SQ, Metric::COSINE, Metric::IP),
                                          testing::Values(8U, 4U)));

TEST(Cells, OfCopiesAreCutIntoParts) {
	// All choose the same cells, and the first of them would hold five times what is usual.
	constexpr size_t COUNT = 20000, DIMS = 4;
	Space rows(std::vector<float>(COUNT * DIMS, 0.5F), DIMS, Metric::L2SQ, 8);
	for (const std::vector<ScoredNode> &nearest : rows.FindAll()) {
		ASSERT_EQ(nearest.size(), NEAREST);
		ASSERT_EQ(nearest.back().distance, 0);
	}
}

TEST(Cells, HoldFewRows) {
	constexpr size_t DIMS = 5;
	for (const size_t count : {Cells::OVERLAP, Cells::OVERLAP + 1, size_t(50)}) {
		Space rows(MakeClusteredVectors(count, DIMS, 3), DIMS, Metric::L2SQ, 8);
		for (const std::vector<ScoredNode> &nearest : rows.FindAll()) {
			EXPECT_EQ(nearest.size(), std::min(count - 1, NEAREST));
		}
	}
}

} // namespace
} // namespace lm_diskann
