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

//! Chooses out-neighbours of a node from `candidates` (ascending, distinct, without the node itself) into `chosen`,
//! ascending by distance. A candidate c is dropped if some chosen s has alpha * d(s, c) <= d(node, c).
//! `distance` is symmetric: (NodeId, NodeId), or, for all at once, (NodeId, Span<const NodeId>, float *). Cost:
//! O(|candidates| * max_degree) distances, no I/O.
//! Source: RobustPrune, Algorithm 2 of Subramanya et al., DiskANN, NeurIPS 2019.
template <class DISTANCE>
void RobustPrune(const std::vector<ScoredNode> &candidates, const PruneLimits &limits, DISTANCE &&distance,
                 std::vector<ScoredNode> &chosen, std::vector<ScoredNode> &dropped) {
	chosen.clear();
	dropped.clear();
	std::vector<uint8_t> is_covered(candidates.size());
	std::vector<uint32_t> open;
	std::vector<NodeId> open_nodes;
	std::vector<float> distances;
	for (size_t i = 0; i < candidates.size() && chosen.size() < limits.max_degree; i++) {
		if (is_covered[i] != 0) {
			dropped.push_back(candidates[i]);
			continue;
		}
		chosen.push_back(candidates[i]);
		open.clear();
		open_nodes.clear();
		for (size_t j = i + 1; j < candidates.size(); j++) {
			if (is_covered[j] == 0) {
				open.push_back(uint32_t(j));
				open_nodes.push_back(candidates[j].node);
			}
		}
		distances.resize(open.size());
		if constexpr (std::is_invocable_v<DISTANCE, NodeId, NodeId>) {
			std::transform(open_nodes.begin(), open_nodes.end(), distances.begin(),
			               [&](NodeId other) { return distance(candidates[i].node, other); });
		} else {
			distance(candidates[i].node, Span<const NodeId>(open_nodes.data(), open_nodes.size()), distances.data());
		}
		for (size_t o = 0; o < open.size(); o++) {
			is_covered[open[o]] = limits.alpha * distances[o] <= candidates[open[o]].distance ? 1 : 0;
		}
	}
	for (size_t i = 0; i < dropped.size() && chosen.size() < limits.fill_degree; i++) {
		chosen.push_back(dropped[i]);
	}
	std::sort(chosen.begin(), chosen.end());
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
