// What a build chooses edges from: the finder's nearest are those that distances of single pairs give, for every metric
// and precision; cells hold every node once, on every level; and nearly all of the nearest are found through them,
// whatever the data: clusters, far outliers, or nothing but copies of one vector.
#include "graph/build_cells.hpp"

#include "base/random.hpp"
#include "unit/test_vectors.hpp"
#include "vector/distance.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace lm_diskann {
namespace {

struct Rounded {
	Rounded(Metric metric, uint32_t bits, size_t dims, const std::vector<float> &vectors)
	    : count(vectors.size() / dims),
	      quantizer(Quantizer::Train(metric, CodeFamily::TWO_BIT, dims, vectors, count, 1)),
	      space(quantizer, bits, LongestOf(vectors, dims), count) {
		std::vector<float> scratch;
		for (uint32_t i = 0; i < count; i++) {
			space.Set(NodeId(i), vectors.data() + i * dims, scratch);
		}
	}
	static float LongestOf(const std::vector<float> &vectors, size_t dims) {
		float longest = 0;
		for (size_t i = 0; i < vectors.size(); i += dims) {
			longest = std::max(longest, std::sqrt(InnerProduct(vectors.data() + i, vectors.data() + i, dims)));
		}
		return longest * 1.001F;
	}

	//! Distances of `node` to all, itself among them.
	std::vector<float> DistancesOf(NodeId node) const {
		std::vector<NodeId> all;
		for (uint32_t i = 0; i < count; i++) {
			all.emplace_back(i);
		}
		std::vector<float> distances(count);
		BuildSpace::Point point;
		space.Load(node, point);
		space.Distances(point, all, distances.data());
		return distances;
	}
	//! The distance of the `rank`-th nearest.
	float DistanceAt(NodeId node, size_t rank) const {
		std::vector<float> distances = DistancesOf(node);
		std::nth_element(distances.begin(), distances.begin() + ptrdiff_t(rank), distances.end());
		return distances[rank];
	}

	size_t count;
	Quantizer quantizer;
	BuildSpace space;
};

//! Groups all nodes.
BuildCells CellsOf(const BuildSpace &space, uint64_t seed) {
	BuildCells cells(space, seed);
	while (cells.StartLevel()) {
		// The order of items must not matter.
		for (size_t item = cells.ItemCount(); item-- > 0;) {
			cells.GroupItem(item);
		}
	}
	return cells;
}

//! Share of the `keep` nearest that are found, of every seventh node.
double FoundShare(const Rounded &rounded, const BuildCells &cells, size_t keep) {
	NearestFinder finder(rounded.space);
	std::vector<uint32_t> positions;
	const size_t step = NearestFinder::RowsMax(rounded.space.Dims(), keep);
	size_t found = 0;
	size_t wanted = 0;
	for (size_t begin = 0; begin < rounded.count; begin += step) {
		const size_t end = std::min(rounded.count, begin + step);
		cells.FindNearest(begin, end, keep, finder);
		for (size_t i = begin; i < end; i += 7) {
			finder.TakeFound(i - begin, positions);
			EXPECT_LE(positions.size(), keep);
			wanted += keep;
			std::sort(positions.begin(), positions.end());
			EXPECT_EQ(std::unique(positions.begin(), positions.end()), positions.end()) << "a member comes once";
			const NodeId node = cells.Members()[i];
			const std::vector<float> distances = rounded.DistancesOf(node);
			// Sums are rounded in another order.
			const float farthest = rounded.DistanceAt(node, keep - 1) * 1.0001F + 1e-4F;
			found += size_t(std::count_if(positions.begin(), positions.end(), [&](uint32_t position) {
				return distances[cells.Members()[position].value] <= farthest;
			}));
		}
	}
	return double(found) / double(wanted);
}

class Finding : public testing::TestWithParam<std::tuple<Metric, uint32_t>> {};

TEST_P(Finding, GivesTheNearest) {
	const auto [metric, bits] = GetParam();
	for (const size_t dims : {3, 130}) {
		// Few enough for one cell, so that nothing may be missed.
		const Rounded rounded(metric, bits, dims, MakeClusteredVectors(300, dims, 6));
		const BuildCells cells = CellsOf(rounded.space, 1);
		EXPECT_EQ(FoundShare(rounded, cells, 20), 1) << dims;
	}
}

INSTANTIATE_TEST_SUITE_P(BuildCells, Finding,
                         testing::Combine(testing::Values(Metric::L2SQ, Metric::COSINE, Metric::IP),
                                          testing::Values(8U, 4U)));

TEST(BuildCells, FindNearlyAllOfTheNearestOfManyNodes) {
	constexpr size_t COUNT = 6000, DIMS = 24;
	std::vector<float> vectors = MakeClusteredVectors(COUNT, DIMS, 7);
	vectors[17 * DIMS] = 1e3F; // an outlier
	const Rounded rounded(Metric::L2SQ, 8, DIMS, vectors);
	const BuildCells cells = CellsOf(rounded.space, 2);
	std::vector<NodeId> members = cells.Members();
	std::sort(members.begin(), members.end());
	ASSERT_EQ(members.size(), COUNT);
	for (uint32_t i = 0; i < COUNT; i++) {
		ASSERT_EQ(members[i], NodeId(i)) << "every node is a member once";
	}
	EXPECT_GT(FoundShare(rounded, cells, 40), 0.97);
}

TEST(BuildCells, TakeThreeLevelsForMoreThan65536Nodes) {
	constexpr size_t COUNT = 70000, DIMS = 4;
	const Rounded rounded(Metric::L2SQ, 8, DIMS, MakeClusteredVectors(COUNT, DIMS, 9));
	const BuildCells cells = CellsOf(rounded.space, 3);
	NearestFinder finder(rounded.space);
	std::vector<uint32_t> positions;
	size_t found = 0;
	for (size_t begin = 0; begin < COUNT; begin += COUNT / 10) {
		cells.FindNearest(begin, begin + 1, 20, finder);
		finder.TakeFound(0, positions);
		const NodeId node = cells.Members()[begin];
		const std::vector<float> distances = rounded.DistancesOf(node);
		const float farthest = rounded.DistanceAt(node, 19) * 1.0001F + 1e-4F;
		found += size_t(std::count_if(positions.begin(), positions.end(), [&](uint32_t position) {
			return distances[cells.Members()[position].value] <= farthest;
		}));
	}
	EXPECT_GT(found, 180);
}

TEST(BuildCells, GiveEqualVectorsTheNextOfThem) {
	constexpr size_t COUNT = 3000, DIMS = 8, KEEP = 10;
	const Rounded rounded(Metric::L2SQ, 8, DIMS, std::vector<float>(COUNT * DIMS, 1));
	const BuildCells cells = CellsOf(rounded.space, 4);
	NearestFinder finder(rounded.space);
	std::vector<uint32_t> positions;
	for (const uint32_t begin : {0U, 1000U, 2990U}) {
		cells.FindNearest(begin, begin + 3, KEEP, finder);
		for (uint32_t row = 0; row < 3; row++) {
			finder.TakeFound(row, positions);
			std::sort(positions.begin(), positions.end());
			EXPECT_GE(positions.size(), 2);
			EXPECT_TRUE(std::binary_search(positions.begin(), positions.end(), begin + row)) << "itself";
			EXPECT_TRUE(std::binary_search(positions.begin(), positions.end(), begin + row + 1)) << "the next";
		}
	}
}

} // namespace
} // namespace lm_diskann
