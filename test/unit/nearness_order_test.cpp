// Property: an order by nearness has every vector once, is the same on every run, and keeps clusters together.
#include "vector/nearness_order.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <numeric>
#include <random>
#include <set>

namespace lm_diskann {
namespace {

constexpr size_t DIMS = 24;

bool IsPermutation(std::vector<uint32_t> order) {
	std::vector<uint32_t> all(order.size());
	std::iota(all.begin(), all.end(), 0);
	std::sort(order.begin(), order.end());
	return order == all;
}

TEST(NearnessOrder, HasEveryVectorOnceWhateverTheyAre) {
	const auto seed = uint64_t(7);
	SCOPED_TRACE(seed);
	std::mt19937_64 random(seed);
	for (size_t count = 0; count < 70; count++) {
		std::vector<float> vectors(count * DIMS);
		for (auto &element : vectors) {
			element = float(random() % 3); // many duplicates, also of the zero vector
		}
		const auto order = NearnessOrder(vectors.data(), count, DIMS);
		EXPECT_EQ(order.size(), count);
		EXPECT_TRUE(IsPermutation(order));
		EXPECT_EQ(order, NearnessOrder(vectors.data(), count, DIMS));
	}
}

TEST(NearnessOrder, KeepsClustersTogether) {
	const auto seed = uint64_t(11);
	SCOPED_TRACE(seed);
	std::mt19937_64 random(seed);
	std::normal_distribution<float> normal;
	constexpr size_t CLUSTERS = 16;
	constexpr size_t SIZE = 32;
	std::vector<float> centers(CLUSTERS * DIMS);
	for (auto &element : centers) {
		element = 50 * normal(random);
	}
	std::vector<float> vectors;
	for (size_t i = 0; i < CLUSTERS * SIZE; i++) {
		for (size_t d = 0; d < DIMS; d++) {
			vectors.push_back(centers[i % CLUSTERS * DIMS + d] + normal(random));
		}
	}
	const auto order = NearnessOrder(vectors.data(), CLUSTERS * SIZE, DIMS);
	size_t changes = 0;
	for (size_t i = 1; i < order.size(); i++) {
		changes += order[i] % CLUSTERS != order[i - 1] % CLUSTERS ? 1 : 0;
	}
	// At random it would be 480; a cluster that a split at the middle cuts in two costs a change or two.
	EXPECT_LE(changes, 3 * CLUSTERS);
}

} // namespace
} // namespace lm_diskann
