// Bulk build of the graph's edges in RAM. The nodes near each are found in cells (build_cells.hpp), with no search, and
// RobustPrune chooses among them. Then each edge is offered to its target the other way round: batch by batch, the
// edges of a batch grouped by target. No lock is taken and no result depends on a thread, so the same input and seed
// give the same graph for any number of threads.
#pragma once

#include "graph/build_cells.hpp"
#include "graph/graph.hpp"
#include "graph/phases.hpp"
#include "graph/prune.hpp"

#include <memory>
#include <vector>

namespace lm_diskann {

struct BuildParameters {
	uint32_t max_degree = 0;
	//! Of searches while connecting; candidates of a node are a little less.
	uint32_t list_size = 0;
	double alpha = 1.2;
	uint64_t seed = 0;
};

//! Links the vectors of a BuildSpace: linking (grouping into cells first), connecting (what a traversal from the root
//! does not reach), filling (the free room of each block, with the nearest of the neighbours' neighbours). NextPhase
//! hands out the work; Neighbors is final after the last phase, and the space no longer needed.
class GraphBuilder {
public:
	//! `references[node]` is the quantizer's reference of the node, below `reference_count`: searches start at the
	//! first node of the own reference. All nodes can be reached from `root_p`.
	GraphBuilder(const BuildSpace &space_p, const BuildParameters &parameters_p,
	             const std::vector<uint16_t> &references_p, size_t reference_count, NodeId root_p);

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

private:
	struct Scratch;
	//! An edge that a node which has one to `target` asks of it.
	struct BackEdge {
		uint32_t target;
		uint32_t source;
	};

	static size_t BatchSize(size_t count);
	bool StartLinking(Phase &phase);
	void StartBatch(Phase &phase);
	void StartBackEdges(Phase &phase);
	bool StartConnecting(Phase &phase);
	bool StartConnectingRound();
	void StartFilling(Phase &phase);
	void LinkNodes(size_t begin, size_t end);
	void AddBackEdges(size_t group, Scratch &scratch);
	void ChooseNeighbors(NodeId node, Scratch &scratch);
	void ConnectSome();
	void ConnectNode(NodeId node, Scratch &scratch);
	void FillNode(NodeId node, Scratch &scratch);
	void SearchFor(NodeId node, Scratch &scratch) const;
	void SetNeighbors(NodeId node, const std::vector<ScoredNode> &neighbors);
	//! False: it was reachable before.
	bool MarkReachable(NodeId node);
	void ReleaseAllButEdges();
	//! Edges as they are before the first node is filled: nodes are filled beside each other.
	Span<const uint32_t> LinkedNeighbors(NodeId node) const {
		return Span<const uint32_t>(edges.data() + node.value * size_t(parameters.max_degree),
		                            linked_degrees[node.value]);
	}
	PruneLimits Limits() const;
	size_t CandidateCount() const;
	double LinkedShare(size_t linked_count) const;

	const BuildSpace &space;
	BuildParameters parameters;
	const std::vector<uint16_t> &references;
	const NodeId root;
	//! count x max_degree ids, of which the first `degrees[node]` are edges.
	std::vector<uint32_t> edges;
	std::vector<uint16_t> degrees;
	//! Until all nodes are linked. Its members are linked in their order; those before batch_begin are.
	std::unique_ptr<BuildCells> cells;
	bool are_grouped = false;
	size_t batch_begin = 0;
	size_t batch_end = 0;
	bool has_back_edges_due = false;
	std::vector<BackEdge> back_edges;
	//! Ranges of back_edges with one target; group i is [starts[i], starts[i+1]).
	std::vector<size_t> group_starts;
	//! First node of each reference.
	std::vector<NodeId> reference_starts;
	//! Connecting: what a traversal from the root reaches, and edges that must stay for it.
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
};

} // namespace lm_diskann
