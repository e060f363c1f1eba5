// What the parts of GraphBuilder share.
#pragma once

#include "graph/build.hpp"
#include "graph/nearest_list.hpp"
#include "graph/node_set.hpp"

namespace lm_diskann {

//! What one search or prune needs; made once an item.
struct GraphBuilder::Scratch {
	explicit Scratch(GraphBuilder &builder_p) : builder(builder_p), distance(builder_p.space) {
	}
	~Scratch() {
		builder.distance_count += measured_count + distance.Count();
	}

	//! Puts the distances of `unseen` from `point` into `distances`.
	void Measure() {
		distances.resize(unseen.size());
		builder.space.Distances(point, Span<const NodeId>(unseen.data(), unseen.size()), distances.data());
		measured_count += unseen.size();
	}
	//! Makes `unseen` the candidates.
	void MeasureCandidates() {
		Measure();
		candidates.clear();
		for (size_t i = 0; i < unseen.size(); i++) {
			candidates.push_back({distances[i], unseen[i]});
		}
	}

	GraphBuilder &builder;
	BuildSpace::Point point;
	BuildDistance distance;
	uint64_t measured_count = 0;

	NearestList nearest;
	std::vector<NodeId> unseen;
	std::vector<float> distances;
	std::vector<ScoredNode> candidates, chosen, dropped;
	NodeSet seen, settled, forced;
};

} // namespace lm_diskann
