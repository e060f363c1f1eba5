// Property: a frontier gives every node that was pushed once, always the nearest that is left, for any order of pushes,
// bounds and expectations; excluded nodes never; and it says when nothing is left.
#include "graph/frontier.hpp"

#include "base/random.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace lm_diskann {
namespace {

constexpr float LARGEST = std::numeric_limits<float>::max();
constexpr float NO_BOUND = std::numeric_limits<float>::infinity();

uint64_t Below(Random &random, uint64_t count) {
	return random.Next() % count;
}

//! The same on each push of the node; few values, so that many are equal, and some that are no finite number.
float DistanceOf(uint32_t node) {
	switch (node % 97) {
	case 0:
		return std::nanf("");
	case 1:
		return NO_BOUND;
	default:
		return float(node * 2654435761U % 1000) - 300;
	}
}

float ComparedDistance(uint32_t node) {
	return DistanceOf(node) < LARGEST ? DistanceOf(node) : LARGEST;
}

//! A frontier beside its definition.
class Pair {
public:
	void Push(const std::vector<uint32_t> &nodes, float bound) {
		std::vector<float> distances;
		for (const uint32_t node : nodes) {
			distances.push_back(DistanceOf(node));
			if (given.count(node) == 0) {
				left.insert({ComparedDistance(node), node});
			}
		}
		frontier.PushAll(distances.data(), nodes.data(), nodes.size(), bound);
	}
	void PushOne(uint32_t node) {
		frontier.Push({DistanceOf(node), NodeId(node)});
		if (given.count(node) == 0) {
			left.insert({ComparedDistance(node), node});
		}
	}
	void Exclude(uint32_t node) {
		frontier.Exclude(NodeId(node));
		given.insert(node);
	}
	//! False when nothing is below the bound.
	bool Pop(float bound) {
		Candidate nearest = {};
		const bool is_found = frontier.PopNearest(bound, nearest);
		const NodeId node = nearest.node;
		EXPECT_EQ(is_found, !left.empty() && left.begin()->first < bound);
		if (is_found) {
			EXPECT_EQ(ComparedDistance(node.value), left.begin()->first);
			EXPECT_EQ(left.erase({ComparedDistance(node.value), node.value}), 1U);
			EXPECT_TRUE(frontier.Knows(node));
			given.insert(node.value);
		}
		EXPECT_LE(frontier.LowerBound(), left.empty() ? NO_BOUND : left.begin()->first);
		return is_found;
	}

	Frontier frontier;
	std::set<std::pair<float, uint32_t>> left;
	std::set<uint32_t> given;
};

TEST(Frontier, GivesTheNearestThatIsLeft) {
	for (uint64_t seed = 1; seed <= 60; seed++) {
		SCOPED_TRACE("seed " + std::to_string(seed));
		Random random(seed);
		Pair pair;
		pair.Exclude(5);
		pair.frontier.Expect(Below(random, 4));
		for (size_t step = 0; step < 400; step++) {
			std::vector<uint32_t> nodes(Below(random, 70));
			for (uint32_t &node : nodes) {
				node = uint32_t(Below(random, 3000));
			}
			const float bound = Below(random, 3) == 0 ? float(Below(random, 1000)) - 300 : NO_BOUND;
			pair.Push(nodes, bound);
			if (Below(random, 20) == 0) {
				pair.PushOne(uint32_t(Below(random, 3000)));
			}
			if (Below(random, 30) == 0) {
				pair.frontier.Expect(Below(random, 300));
			}
			for (size_t pops = Below(random, Below(random, 10) == 0 ? 200 : 4); pops > 0; pops--) {
				pair.Pop(Below(random, 3) == 0 ? float(Below(random, 1000)) - 300 : NO_BOUND);
			}
		}
		while (pair.Pop(NO_BOUND)) {
		}
		EXPECT_TRUE(pair.frontier.IsEmpty());
		EXPECT_EQ(pair.frontier.LowerBound(), NO_BOUND);
	}
}

TEST(Frontier, ShowsWhatComesNext) {
	Frontier frontier;
	frontier.Expect(10);
	const std::vector<uint32_t> nodes = {2, 3, 4, 5, 6, 7};
	const std::vector<float> distances = {6, 1, 5, 2, 4, 3};
	frontier.PushAll(distances.data(), nodes.data(), nodes.size(), NO_BOUND);
	for (size_t rank = 0; rank < nodes.size(); rank++) {
		ASSERT_TRUE(frontier.Peek(rank));
		EXPECT_EQ(frontier.Peek(rank)->distance, float(rank + 1));
	}
	EXPECT_FALSE(frontier.Peek(nodes.size()));
	frontier.Clear();
	EXPECT_TRUE(frontier.IsEmpty());
	EXPECT_FALSE(frontier.Peek(0));
}

} // namespace
} // namespace lm_diskann
