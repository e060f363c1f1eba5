#pragma once

#include "base/types.hpp"

#include <algorithm>
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

struct PruneLimits {
	//! At most so many neighbours are chosen.
	uint32_t max_degree = 0;
	//! Free room up to this many is filled with the nearest of those dropped ("saturation"): a block has a fixed size,
	//! so an edge more costs no read, and data with hubs or many ties stay connected.
	uint32_t fill_degree = 0;
	//! Factor of the distance as it is, squared for all our metrics. Squaring alpha too keeps more long edges in place
	//! of near ones: recall@10 of imdb-pvdbow-384-cos at L = 100 falls from 0.973 to 0.956, of others by up to 0.003.
	float alpha = 1;
};

//! Chooses out-neighbours of a node from `candidates` (ascending, distinct, without the node itself) into `chosen`:
//! ascending by distance those that the rule chooses, whose number it returns, then those that only fill. A candidate c
//! is dropped if some chosen s has alpha * d(s, c) <= d(node, c).
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
	std::vector<uint8_t> is_dropped(candidates.size());
	std::vector<uint32_t> settled, later;
	std::vector<NodeId> nodes;
	std::vector<float> distances;
	const auto measure = [&](NodeId from, const std::vector<uint32_t> &to) {
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
	// When it was the turn of settled ones, none of these asked what it drops.
	const auto is_dropped_by_settled = [&](const ScoredNode &candidate) {
		measure(candidate.node, settled);
		return std::any_of(distances.begin(), distances.end(),
		                   [&](float d) { return limits.alpha * d <= candidate.distance; });
	};
	for (uint32_t i = 0; i < candidates.size() && chosen.size() < limits.max_degree; i++) {
		const ScoredNode &candidate = candidates[i];
		const bool is_open = is_dropped[i] == 0;
		if (is_open && is_settled(candidate.node)) {
			settled.push_back(i);
			chosen.push_back(candidate);
			continue;
		}
		if (!is_open || (!settled.empty() && is_dropped_by_settled(candidate))) {
			dropped.push_back(candidate);
			continue;
		}
		chosen.push_back(candidate);
		later.clear();
		for (uint32_t j = i + 1; j < candidates.size(); j++) {
			if (is_dropped[j] == 0) {
				later.push_back(j);
			}
		}
		measure(candidate.node, later);
		for (size_t l = 0; l < later.size(); l++) {
			is_dropped[later[l]] = limits.alpha * distances[l] <= candidates[later[l]].distance ? 1 : 0;
		}
	}
	const size_t chosen_by_rule = chosen.size();
	for (size_t i = 0; i < dropped.size() && chosen.size() < limits.fill_degree; i++) {
		chosen.push_back(dropped[i]);
	}
	return chosen_by_rule;
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
