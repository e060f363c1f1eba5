// Bulk build of the graph's edges in RAM: batches of doubling size, each searched in parallel on the graph of the
// batches before it, its back-edges then grouped by target (ParlayANN: Manohar et al., PPoPP 2024). No lock is taken
// and no result depends on a thread, so the same input and seed give the same graph for any number of threads.
//
// Nodes are linked in a seeded random order, and inside a batch in node order: neighbours in the file are neighbours in
// space, so consecutive searches meet the same vectors in the CPU's caches.
#pragma once

#include "graph/build_space.hpp"
#include "graph/graph.hpp"
#include "graph/phases.hpp"
#include "graph/prune.hpp"

#include <atomic>
#include <optional>
#include <vector>

namespace lm_diskann {

struct BuildParameters {
	uint32_t max_degree = 0;
	uint32_t list_size = 0;
	double alpha = 1.2;
	uint64_t seed = 0;
};

//! Links the vectors of a BuildSpace: linking, connecting (what a traversal from the root does not reach), filling (the
//! free room of each block, with the nearest of the neighbours' neighbours). NextPhase hands out the work; Neighbors is
//! final after the last phase, and the space no longer needed.
class GraphBuilder {
public:
	//! `references[node]` is the quantizer's reference of the node, below `reference_count`: searches start at the
	//! first linked node of the own reference. `root` is linked first, and all others can be reached from it.
	GraphBuilder(const BuildSpace &space_p, const BuildParameters &parameters_p,
	             const std::vector<uint16_t> &references_p, size_t reference_count, NodeId root);

	//! The largest size, and what is left after the last phase.
	static uint64_t MemoryBytes(uint32_t max_degree, size_t count);
	static uint64_t FinalMemoryBytes(uint32_t max_degree, size_t count);

	//! The phase after the present one, whose items are all done; false when the graph is complete.
	bool NextPhase(Phase &phase);
	//! In no order, but for those last that only fill a block's room.
	Span<const uint32_t> Neighbors(NodeId node) const {
		return Span<const uint32_t>(edges.data() + node.value * size_t(parameters.max_degree), degrees[node.value]);
	}
	size_t FillCount(NodeId node) const {
		return size_t(degrees[node.value]) - linked_degrees[node.value];
	}
	//! The neighbour by whose edge `node` is reached from the root, for good: an anchor. NO_NODE: the root.
	NodeId AnchorOf(NodeId node) const {
		return anchors[node.value];
	}
	//! Distances computed so far: nearly all of the work.
	uint64_t DistanceCount() const {
		return distance_count;
	}

private:
	struct Scratch;
	//! An edge that a newly linked node asks of `target`.
	struct BackEdge {
		uint32_t target;
		uint32_t source;
	};

	void StartBatch(Phase &phase);
	void StartBackEdges(Phase &phase);
	bool StartConnecting(Phase &phase);
	bool StartConnectingRound();
	void StartFilling(Phase &phase);
	void LinkNode(NodeId node, Scratch &scratch);
	void AddBackEdges(size_t group, Scratch &scratch);
	void ConnectSome();
	void ConnectNode(NodeId node, Scratch &scratch);
	std::optional<uint16_t> FindSpareEdge(NodeId parent) const;
	void FillNode(NodeId node, Scratch &scratch);
	void SearchFor(NodeId node, Scratch &scratch) const;
	void ChooseNeighbors(NodeId node, Scratch &scratch);
	//! False: it was reachable before.
	bool MarkReachable(NodeId node);
	void ReleaseAllButEdges();
	//! Edges as they are before the first node is filled: nodes are filled beside each other.
	Span<const uint32_t> LinkedNeighbors(NodeId node) const {
		return Span<const uint32_t>(edges.data() + node.value * size_t(parameters.max_degree),
		                            linked_degrees[node.value]);
	}
	PruneLimits Limits() const;
	double LinkedShare(size_t linked_count) const;

	const BuildSpace &space;
	BuildParameters parameters;
	const std::vector<uint16_t> &references;
	//! count x max_degree ids, of which the first `degrees[node]` are edges.
	std::vector<uint32_t> edges;
	std::vector<uint16_t> degrees;
	//! While linking: the first so many of a list were chosen by one RobustPrune.
	std::vector<uint16_t> settled_degrees;
	//! Order in which nodes are linked; those before batch_begin are.
	std::vector<uint32_t> order;
	size_t batch_begin = 0;
	size_t batch_end = 0;
	bool has_back_edges_due = false;
	std::vector<BackEdge> back_edges;
	//! Ranges of back_edges with one target; group i is [starts[i], starts[i+1]).
	std::vector<size_t> group_starts;
	//! First linked node of each reference.
	std::vector<NodeId> reference_starts;
	//! Connecting: what a traversal from the first node reaches, and edges that must stay for it.
	std::vector<bool> is_reachable;
	std::vector<NodeId> anchors;
	std::vector<uint16_t> forced_degrees;
	std::vector<uint32_t> unreachable;
	//! Reached, but their edges were not followed yet.
	std::vector<uint32_t> pending;
	uint32_t connecting_rounds = 0;
	bool is_traversing = false;
	NodeId last_connected;
	std::vector<uint16_t> linked_degrees;
	std::atomic<uint64_t> distance_count {0};
};

} // namespace lm_diskann
