#pragma once

#include "base/types.hpp"

#include <algorithm>
#include <numeric>
#include <type_traits>
#include <vector>

namespace lm_diskann {

//! A possible neighbour and its distance to the node in question. Ties break by id.
struct ScoredNode {
	float distance = 0;
	NodeId node;

	friend bool operator<(const ScoredNode &a, const ScoredNode &b) {
		return a.distance < b.distance || (a.distance == b.distance && a.node < b.node);
	}
};

//! While a graph is built, lists are filled to this degree; the blocks' remaining room is filled when they are written.
constexpr uint32_t FILL_DEGREE_MAX = 32;

struct PruneLimits {
	//! At most so many neighbours are chosen.
	uint32_t max_degree = 0;
	//! Free room up to this many is filled with the nearest of those dropped ("saturation"): a block has a fixed size,
	//! so an edge more costs no read, and data with hubs or many ties stay connected.
	uint32_t fill_degree = 0;
	//! Factor of the distance as it is, squared for all our metrics. Squaring alpha too keeps more long edges in place
	//! of near ones: recall@10 of imdb-pvdbow-384-cos at L = 100 falls from 0.973 to 0.956, of others by up to 0.003.
	float alpha = 1;

	//! Of copies of the node itself at most so many are chosen: each is an answer whenever the node is, and nearly
	//! nobody else leads to it. More of them are reached over these.
	size_t OwnCopiesMax() const {
		return std::max(1U, max_degree / 8);
	}
};

//! Moves copies behind all others in `dropped`, which may fill room: a second copy leads nowhere else. Copies are those
//! exactly as far as one of `chosen` or one before; of the node's own, at distance 0, those beyond their limit. Both
//! ascend by distance.
void PutCopiesLast(const PruneLimits &limits, const std::vector<ScoredNode> &chosen, std::vector<ScoredNode> &dropped);

//! Chooses out-neighbours of a node from `candidates` (ascending, distinct, without the node itself) into `chosen`:
//! ascending by distance those that the rule chooses, whose number it returns, then those that only fill. A candidate c
//! is dropped if some chosen s has alpha * d(s, c) <= d(node, c); copies of the node itself, at distance 0, are dropped
//! only beyond their limit. `dropped`: what may fill first comes first.
//! `is_settled(node)`: of which an earlier call for the same node chose all together. They do not drop each other, so
//! only distances to others are computed, and a list of R that few are added to costs O(R) instead of O(R^2).
//! `distance` is symmetric: (NodeId, NodeId), or, for all at once, (NodeId, Span<const NodeId>, float *). Cost:
//! O(|candidates| * max_degree) distances, no I/O.
//! Source: RobustPrune, Algorithm 2 of Subramanya et al., DiskANN, NeurIPS 2019.
template <class DISTANCE, class IS_SETTLED>
size_t RobustPrune(const std::vector<ScoredNode> &candidates, const PruneLimits &limits, DISTANCE &&distance,
                   IS_SETTLED &&is_settled, std::vector<ScoredNode> &chosen, std::vector<ScoredNode> &dropped) {
	chosen.clear();
	dropped.clear();
	// Positions in `candidates`: those not dropped yet, of which the first `turn` had their turn and are chosen, and
	// of these the settled ones.
	std::vector<uint32_t> open(candidates.size()), settled;
	std::iota(open.begin(), open.end(), 0U);
	std::vector<uint8_t> is_dropped(candidates.size());
	std::vector<NodeId> nodes;
	std::vector<float> distances;
	const auto measure = [&](NodeId from, Span<const uint32_t> to) {
		nodes.clear();
		for (const uint32_t other : to) {
			nodes.push_back(candidates[other].node);
		}
		distances.resize(to.size());
		if constexpr (std::is_invocable_v<DISTANCE, NodeId, NodeId>) {
			std::transform(nodes.begin(), nodes.end(), distances.begin(),
			               [&](NodeId other) { return distance(from, other); });
		} else {
			distance(from, Span<const NodeId>(nodes.data(), nodes.size()), distances.data());
		}
	};
	const auto drops = [&](float between, uint32_t other) {
		return candidates[other].distance > 0 && limits.alpha * between <= candidates[other].distance;
	};
	// When it was the turn of settled ones, none of these asked what it drops.
	const auto is_dropped_by_settled = [&](uint32_t candidate) {
		measure(candidates[candidate].node, settled);
		return std::any_of(distances.begin(), distances.end(),
		                   [&](float between) { return drops(between, candidate); });
	};
	const auto is_own_copy = [](const ScoredNode &candidate) { return candidate.distance <= 0; };
	const auto own_end = std::find_if_not(candidates.begin(), candidates.end(), is_own_copy) - candidates.begin();
	if (const auto own_max = ptrdiff_t(limits.OwnCopiesMax()); own_end > own_max) {
		std::fill(is_dropped.begin() + own_max, is_dropped.begin() + own_end, uint8_t(1));
		open.erase(open.begin() + own_max, open.begin() + own_end);
	}
	size_t turn = 0;
	while (turn < open.size() && turn < limits.max_degree) {
		const uint32_t position = open[turn];
		if (is_settled(candidates[position].node)) {
			settled.push_back(position);
			turn++;
			continue;
		}
		if (!settled.empty() && is_dropped_by_settled(position)) {
			is_dropped[position] = 1;
			open.erase(open.begin() + ptrdiff_t(turn));
			continue;
		}
		turn++;
		measure(candidates[position].node, {open.data() + turn, open.size() - turn});
		size_t kept = turn;
		for (size_t i = turn; i < open.size(); i++) {
			const uint32_t other = open[i];
			is_dropped[other] = drops(distances[i - turn], other) ? 1 : 0;
			open[kept] = other;
			kept += is_dropped[other] ^ 1;
		}
		open.resize(kept);
	}
	for (size_t i = 0; i < turn; i++) {
		chosen.push_back(candidates[open[i]]);
	}
	for (size_t i = 0; i < candidates.size(); i++) {
		if (is_dropped[i] != 0) {
			dropped.push_back(candidates[i]);
		}
	}
	PutCopiesLast(limits, chosen, dropped);
	const size_t fill_count =
	    std::min<size_t>(dropped.size(), limits.fill_degree - std::min<size_t>(limits.fill_degree, turn));
	chosen.insert(chosen.end(), dropped.begin(), dropped.begin() + ptrdiff_t(fill_count));
	return turn;
}

//! The same with no candidate settled.
template <class DISTANCE>
size_t RobustPrune(const std::vector<ScoredNode> &candidates, const PruneLimits &limits, DISTANCE &&distance,
                   std::vector<ScoredNode> &chosen, std::vector<ScoredNode> &dropped) {
	return RobustPrune(
	    candidates, limits, distance, [](NodeId) { return false; }, chosen, dropped);
}

//! Makes sure that every one of `candidates` that is forced is among `chosen`: in free room, or in place of the
//! farthest that is not forced, as long as there is one. `chosen` stays ascending.
template <class IS_FORCED>
void KeepForced(const std::vector<ScoredNode> &candidates, uint32_t max_degree, IS_FORCED &&is_forced,
                std::vector<ScoredNode> &chosen) {
	for (const ScoredNode &candidate : candidates) {
		const auto is_same = [&](const ScoredNode &other) { return other.node == candidate.node; };
		if (!is_forced(candidate.node) || std::any_of(chosen.begin(), chosen.end(), is_same)) {
			continue;
		}
		if (chosen.size() >= max_degree) {
			const auto farthest = std::find_if(chosen.rbegin(), chosen.rend(),
			                                   [&](const ScoredNode &other) { return !is_forced(other.node); });
			if (farthest == chosen.rend()) {
				return;
			}
			chosen.erase(std::next(farthest).base());
		}
		chosen.insert(std::upper_bound(chosen.begin(), chosen.end(), candidate), candidate);
	}
}

} // namespace lm_diskann
