// The parts of the graph layer: blocks come back as they were written and hostile ones are refused; RobustPrune keeps
// its definition; the set of met nodes equals std::set; phases run every item once and rethrow the first failure.
#include "base/error.hpp"
#include "base/random.hpp"
#include "graph/nearest_list.hpp"
#include "graph/node.hpp"
#include "graph/node_set.hpp"
#include "graph/phases.hpp"
#include "graph/prune.hpp"

#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <gtest/gtest.h>
#include <limits>
#include <set>
#include <thread>
#include <utility>

namespace lm_diskann {
namespace {

TEST(Node, BlocksComeBackAsTheyWereWritten) {
	for (const VectorStorage storage : {VectorStorage::NATIVE, VectorStorage::F16, VectorStorage::INT8}) {
		const NodeLayout layout = NodeLayout::Create(4096, 20, ElementType::FLOAT32, storage, 5, CodeFamily::TERNARY);
		ASSERT_GT(layout.nodes_per_page, 1U);
		AlignedBuffer<uint8_t> page(layout.page_size);
		std::vector<float> vector(20);
		for (size_t i = 0; i < 20; i++) {
			vector[i] = float(i) - 7.5F;
		}
		const std::vector<uint8_t> code(layout.code_bytes, 0x5A);
		std::vector<NodeEdge> edges;
		for (uint32_t i = 0; i < 4; i++) {
			edges.push_back({NodeId(i + 10), {float(i), -float(i), uint16_t(i)}, code.data()});
		}
		// The last node of the page, so that an offset that is too large would leave it.
		const NodeId id(layout.nodes_per_page - 1);
		WriteNode(layout, page.data(), id, RowId(77), vector.data(), nullptr, edges, 1);
		const NodeView node(layout, page.data(), id, 100);
		EXPECT_EQ(node.Row(), RowId(77));
		ASSERT_EQ(node.Degree(), 4U);
		std::vector<float> scratch(20);
		for (size_t i = 0; i < 20; i++) {
			EXPECT_NEAR(node.Vector(scratch.data())[i], vector[i], storage == VectorStorage::NATIVE ? 0 : 0.06);
		}
		for (uint32_t i = 0; i < 4; i++) {
			EXPECT_EQ(node.Neighbor(i), NodeId(i + 10));
			EXPECT_EQ(node.Factors()[i], float(i));
			EXPECT_EQ(node.Biases()[i], -float(i));
			EXPECT_EQ(node.References()[i], i);
			EXPECT_EQ(std::memcmp(node.Codes() + i * layout.code_bytes, code.data(), layout.code_bytes), 0);
		}
	}
}

TEST(Node, AnEditLeavesChosenEdgesFirstAndFillLast) {
	const NodeLayout layout =
	    NodeLayout::Create(4096, 8, ElementType::FLOAT32, VectorStorage::NATIVE, 6, CodeFamily::ONE_BIT);
	AlignedBuffer<uint8_t> page(layout.page_size);
	const std::vector<float> vector(8, 1.0F);
	std::vector<std::vector<uint8_t>> codes;
	std::vector<NodeEdge> edges;
	for (uint32_t i = 0; i < 8; i++) {
		codes.emplace_back(layout.code_bytes, uint8_t(i));
	}
	for (uint32_t i = 0; i < 8; i++) {
		edges.push_back({NodeId(i), {float(i), 0, uint16_t(i)}, codes[i].data(), i == 5});
	}
	const NodeId id(1);
	WriteNode(layout, page.data(), id, RowId(1), vector.data(), nullptr, Span<const NodeEdge>(edges.data(), 6), 4);
	const auto fill_of = [&] {
		const NodeView node(layout, page.data(), id, 100);
		std::vector<bool> is_fill;
		for (uint32_t i = 0; i < node.Degree(); i++) {
			is_fill.push_back(node.IsFill(i));
		}
		return is_fill;
	};
	// An anchor is relied on wherever it stands.
	EXPECT_EQ(fill_of(), std::vector<bool>({false, false, true, true, true, false}));
	EditNode(layout, page.data(), {id, {1, 5}, {edges[7]}, {3, 2}, {edges[6]}});
	const NodeView node(layout, page.data(), id, 100);
	const std::vector<uint32_t> expected = {1, 5, 7, 3, 2, 6};
	ASSERT_EQ(node.Degree(), expected.size());
	for (uint32_t i = 0; i < expected.size(); i++) {
		EXPECT_EQ(node.Neighbor(i), NodeId(expected[i]));
		EXPECT_EQ(node.Factors()[i], float(expected[i]));
		EXPECT_EQ(node.Code(i)[0], expected[i]);
		EXPECT_EQ(node.IsAnchor(i), expected[i] == 5);
	}
	EXPECT_EQ(fill_of(), std::vector<bool>({false, false, false, true, true, true}));
	EditNode(layout, page.data(), {id, {0}, {}, {5}, {}});
	EXPECT_EQ(fill_of(), std::vector<bool>({false, true}));
	const uint16_t too_many = 9;
	std::memcpy(page.data() + layout.OffsetOf(id) + offsetof(NodeHead, fill_count), &too_many, sizeof(too_many));
	EXPECT_EQ(fill_of(), std::vector<bool>({true, true}));
}

TEST(Node, HostileCountsAndIdsAreCorruption) {
	const NodeLayout layout =
	    NodeLayout::Create(4096, 8, ElementType::FLOAT32, VectorStorage::NATIVE, 4, CodeFamily::ONE_BIT);
	AlignedBuffer<uint8_t> page(layout.page_size);
	const std::vector<float> vector(8, 1.0F);
	const std::vector<uint8_t> code(layout.code_bytes);
	const NodeEdge edge = {NodeId(3), {}, code.data()};
	WriteNode(layout, page.data(), NodeId(0), RowId(1), vector.data(), nullptr, Span<const NodeEdge>(&edge, 1), 0);
	EXPECT_NO_THROW(NodeView(layout, page.data(), NodeId(0), 4));
	EXPECT_THROW(NodeView(layout, page.data(), NodeId(0), 3), CorruptionError);
	auto *head = reinterpret_cast<NodeHead *>(page.data() + sizeof(PageHead));
	head->degree = 5;
	EXPECT_THROW(NodeView(layout, page.data(), NodeId(0), 4), CorruptionError);
}

TEST(RobustPrune, ChoosesWhatTheDefinitionSays) {
	Random random(5);
	std::vector<double> points(200);
	for (double &point : points) {
		point = double(random.Next() % 100000) / 100.0;
	}
	const auto distance = [&](NodeId a, NodeId b) { return float(std::fabs(points[a.value] - points[b.value])); };
	for (const float alpha : {1.0F, 1.2F, 2.0F}) {
		const NodeId node(0);
		std::vector<ScoredNode> candidates;
		for (uint32_t i = 1; i < points.size(); i++) {
			candidates.push_back({distance(node, NodeId(i)), NodeId(i)});
		}
		std::sort(candidates.begin(), candidates.end());
		std::vector<ScoredNode> chosen;
		std::vector<ScoredNode> dropped;
		RobustPrune(candidates, {50, 0, alpha}, distance, chosen, dropped);
		for (size_t i = 0; i < chosen.size(); i++) {
			for (size_t j = 0; j < i; j++) {
				EXPECT_GT(alpha * distance(chosen[j].node, chosen[i].node), chosen[i].distance);
			}
		}
		for (const ScoredNode &candidate : dropped) {
			EXPECT_TRUE(std::any_of(chosen.begin(), chosen.end(), [&](const ScoredNode &s) {
				return alpha * distance(s.node, candidate.node) <= candidate.distance;
			}));
		}
		std::vector<ScoredNode> chosen_at_once;
		std::vector<ScoredNode> dropped_at_once;
		const auto distances = [&](NodeId from, Span<const NodeId> to, float *target) {
			std::transform(to.begin(), to.end(), target, [&](NodeId other) { return distance(from, other); });
		};
		RobustPrune(candidates, {50, 0, alpha}, distances, chosen_at_once, dropped_at_once);
		const auto is_same = [](const ScoredNode &a, const ScoredNode &b) { return a.node == b.node; };
		EXPECT_TRUE(std::equal(chosen.begin(), chosen.end(), chosen_at_once.begin(), chosen_at_once.end(), is_same));
		EXPECT_TRUE(
		    std::equal(dropped.begin(), dropped.end(), dropped_at_once.begin(), dropped_at_once.end(), is_same));
		const size_t pruned_count = chosen.size();
		EXPECT_EQ(RobustPrune(candidates, {50, 40, alpha}, distance, chosen, dropped), pruned_count);
		EXPECT_EQ(chosen.size(), std::max<size_t>(pruned_count, 40));
		EXPECT_TRUE(std::is_sorted(chosen.begin(), chosen.begin() + ptrdiff_t(pruned_count)));
		EXPECT_TRUE(std::is_sorted(chosen.begin() + ptrdiff_t(pruned_count), chosen.end()));
	}
}

TEST(RobustPrune, ChoosesTheSameWithoutTheDistancesBetweenWhatItChoseBefore) {
	constexpr uint32_t DIMS = 32, COUNT = 400;
	constexpr PruneLimits LIMITS = {24, 16, 1.2F};
	Random random(11);
	std::vector<float> points(DIMS * COUNT);
	for (float &point : points) {
		point = float(random.Next() % 1000) / 1000;
	}
	size_t distance_count = 0;
	const auto distance = [&](NodeId a, NodeId b) {
		distance_count++;
		float sum = 0;
		for (uint32_t i = 0; i < DIMS; i++) {
			const float difference = points[a.value * DIMS + i] - points[b.value * DIMS + i];
			sum += difference * difference;
		}
		return sum;
	};
	// A list to which a few nodes are added, again and again.
	std::vector<ScoredNode> list, candidates, chosen, dropped, expected, expected_dropped;
	size_t settled_count = 0, counts[2] = {};
	for (uint32_t next = 1; next < COUNT; next += 3) {
		std::set<uint32_t> settled;
		for (size_t i = 0; i < settled_count; i++) {
			settled.insert(list[i].node.value);
		}
		candidates = list;
		for (uint32_t node = next; node < std::min(COUNT, next + 3); node++) {
			candidates.push_back({distance(NodeId(0), NodeId(node)), NodeId(node)});
		}
		std::sort(candidates.begin(), candidates.end());
		distance_count = 0;
		const size_t expected_count = RobustPrune(candidates, LIMITS, distance, expected, expected_dropped);
		counts[0] += std::exchange(distance_count, 0);
		settled_count = RobustPrune(
		    candidates, LIMITS, distance, [&](NodeId node) { return settled.count(node.value) > 0; }, chosen, dropped);
		counts[1] += distance_count;
		EXPECT_EQ(settled_count, expected_count);
		const auto is_same = [](const ScoredNode &a, const ScoredNode &b) { return a.node == b.node; };
		EXPECT_TRUE(std::equal(chosen.begin(), chosen.end(), expected.begin(), expected.end(), is_same));
		EXPECT_TRUE(
		    std::equal(dropped.begin(), dropped.end(), expected_dropped.begin(), expected_dropped.end(), is_same));
		list = chosen;
	}
	EXPECT_LT(counts[1], counts[0] * 2 / 3) << "distances computed anew and with what was chosen before";
}

TEST(RobustPrune, LinksCopiesOfTheNodeAndFillsWithOtherCopiesLast) {
	constexpr PruneLimits LIMITS = {32, 0, 1.2F};
	constexpr size_t COPIES = 6;
	Random random(13);
	std::vector<float> points(1 + COPIES, 0.0F);
	for (int point = 0; point < 40; point++) {
		points.insert(points.end(), COPIES, float(1 + random.Next() % 100000) / 100.0F);
	}
	const auto distance = [&](NodeId a, NodeId b) { return std::fabs(points[a.value] - points[b.value]); };
	std::vector<ScoredNode> candidates, chosen, dropped;
	for (uint32_t i = 1; i < points.size(); i++) {
		candidates.push_back({distance(NodeId(0), NodeId(i)), NodeId(i)});
	}
	std::sort(candidates.begin(), candidates.end());
	RobustPrune(candidates, LIMITS, distance, chosen, dropped);
	EXPECT_EQ(chosen.size() + dropped.size(), candidates.size());
	// Of the node's own copies as many as the limit says; of any other vector one.
	const auto is_own = [](const ScoredNode &neighbor) { return neighbor.distance <= 0; };
	EXPECT_EQ(size_t(std::count_if(chosen.begin(), chosen.end(), is_own)), LIMITS.OwnCopiesMax());
	std::set<float> met;
	for (const ScoredNode &neighbor : chosen) {
		EXPECT_TRUE(met.insert(points[neighbor.node.value]).second || is_own(neighbor));
	}
	// Each vector that is left comes once before the first copy.
	const size_t left = 41 - met.size();
	EXPECT_GT(left, 0U);
	for (size_t i = 0; i < dropped.size(); i++) {
		EXPECT_EQ(met.insert(points[dropped[i].node.value]).second, i < left);
	}
}

TEST(NodeSet, EqualsAStandardSet) {
	Random random(9);
	NodeSet nodes;
	for (int round = 0; round < 3; round++) {
		std::set<uint32_t> expected;
		for (int i = 0; i < 20000; i++) {
			const auto node = uint32_t(random.Next() % 15000);
			EXPECT_EQ(nodes.Insert(NodeId(node)), expected.insert(node).second);
		}
		for (int i = 0; i < 300; i++) {
			std::vector<uint32_t> added(size_t(random.Next() % 40));
			std::generate(added.begin(), added.end(), [&] { return uint32_t(random.Next() % 20000); });
			std::vector<NodeId> fresh(added.size()), expected_fresh;
			for (const uint32_t node : added) {
				if (expected.insert(node).second) {
					expected_fresh.push_back(NodeId(node));
				}
			}
			fresh.resize(nodes.InsertAll(added, fresh.data()));
			EXPECT_EQ(fresh, expected_fresh);
		}
		nodes.Clear();
	}
}

TEST(NearestList, HoldsTheNearestInOrderAndExpandsEachOnce) {
	Random random(3);
	NearestList nearest;
	for (const size_t capacity : {size_t(1), size_t(2), size_t(7), size_t(100)}) {
		for (int round = 0; round < 20; round++) {
			nearest.Start(capacity);
			std::vector<ScoredNode> offered, listed;
			std::set<uint32_t> expanded;
			for (uint32_t node = 0; node < 300; node++) {
				// Few different distances, the largest and the smallest among them.
				const uint64_t kind = random.Next() % 32;
				const float distance = kind == 0 ? 0 : kind == 1 ? std::numeric_limits<float>::infinity() : float(kind);
				offered.push_back({distance, NodeId(UINT32_MAX - 1 - node)});
				std::sort(offered.begin(), offered.end());
				const auto is_it = [&](const ScoredNode &other) { return other.node.value == UINT32_MAX - 1 - node; };
				const auto place = size_t(std::find_if(offered.begin(), offered.end(), is_it) - offered.begin());
				EXPECT_EQ(nearest.Offer(distance, NodeId(UINT32_MAX - 1 - node)), std::min(place, capacity));
				offered.resize(std::min(offered.size(), capacity));
				nearest.CopyTo(listed);
				ASSERT_EQ(listed.size(), offered.size());
				for (size_t i = 0; i < listed.size(); i++) {
					EXPECT_EQ(listed[i].node, offered[i].node);
					EXPECT_EQ(listed[i].distance, offered[i].distance);
				}
				if (random.Next() % 3 == 0) {
					const auto open = std::find_if(offered.begin(), offered.end(), [&](const ScoredNode &other) {
						return expanded.count(other.node.value) == 0;
					});
					const NodeId next = nearest.ExpandNext();
					EXPECT_EQ(next, open == offered.end() ? NO_NODE : open->node);
					expanded.insert(next.value);
				}
			}
		}
	}
}

TEST(PhasedWork, RunsEveryItemOnceInPhases) {
	std::vector<std::atomic<int>> runs(300);
	size_t phase_count = 0;
	PhasedWork work([&](Phase &phase) {
		if (phase_count == 3) {
			return false;
		}
		const size_t begin = phase_count++ * 100;
		for (size_t i = 0; i < begin; i++) {
			EXPECT_EQ(runs[i], 1); // all of the phases before
		}
		phase = {"counting", 100, [&runs, begin](size_t item) { runs[begin + item]++; }};
		return true;
	});
	std::vector<std::thread> threads;
	for (int i = 0; i < 4; i++) {
		threads.emplace_back([&] {
			while (work.Work() != WorkState::FINISHED) {
				std::this_thread::yield();
			}
		});
	}
	for (std::thread &thread : threads) {
		thread.join();
	}
	EXPECT_TRUE(std::all_of(runs.begin(), runs.end(), [](const std::atomic<int> &count) { return count == 1; }));
}

TEST(PhasedWork, AFailureIsRethrownByEveryLaterCall) {
	PhasedWork work([](Phase &phase) {
		phase = {"failing", 5, [](size_t item) {
			         if (item == 2) {
				         throw UsageError("item 2");
			         }
		         }};
		return true;
	});
	EXPECT_EQ(work.Work(), WorkState::WORKED);
	EXPECT_EQ(work.Work(), WorkState::WORKED);
	EXPECT_THROW(work.Work(), UsageError);
	EXPECT_THROW(work.Work(), UsageError);
}

} // namespace
} // namespace lm_diskann
