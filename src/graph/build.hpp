// Bulk build of the graph's edges in RAM.
//
// A part of the rows, drawn by the seed, is linked by searching: batches of doubling size, each searched in parallel on
// the graph of the batches before it, its back-edges then grouped by target (ParlayANN: Manohar et al., PPoPP 2024).
// They have the long edges. All rows then find their neighbours by cells (cells.hpp), and ask these for edges back.
// When there is no memory for cells, or are few rows, searching links all of them.
//
// No lock is taken and no result depends on a thread, so the same input and seed give the same graph for any number of
// threads. Neighbours in the file are neighbours in space: whoever takes nodes in their order meets the same vectors in
// the CPU's caches.
#pragma once

#include "graph/build_space.hpp"
#include "graph/cells.hpp"
#include "graph/graph.hpp"
#include "graph/phases.hpp"
#include "graph/prune.hpp"

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

namespace lm_diskann {

struct BuildParameters {
	uint32_t max_degree = 0;
	uint32_t list_size = 0;
	double alpha = 1.2;
	uint64_t seed = 0;
	//! Memory allows to link by cells.
	bool has_cells = true;
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

	//! The largest size, without the space, and what is left after the last phase.
	static uint64_t MemoryBytes(const BuildParameters &parameters, size_t dims, size_t count);
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
	//! Distances computed so far, but for those of cells, which cost a tenth.
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

	//! SEARCHING and ASKING go by batches, cells by slabs; each calls for several phases.
	enum class Stage : uint8_t { SEARCHING, COMPARING, ASKING, CONNECTING, FILLING, DONE };

	static bool UsesCells(const BuildParameters &parameters, size_t count);
	bool StartSearching(Phase &phase);
	void ForceLongEdges();
	void StartAssigning(Phase &phase);
	bool StartComparing(Phase &phase);
	//! Searches may start at it.
	void NoteStart(uint32_t linked);
	void CountAsked();
	bool StartAsking(Phase &phase);
	void CollectBackEdges();
	void StartBackEdges(Phase &phase, double progress_end);
	bool StartConnecting(Phase &phase);
	bool StartConnectingRound();
	void StartFilling(Phase &phase);
	void LinkNode(NodeId node, Scratch &scratch);
	void LinkByCell(NodeId node, const std::vector<ScoredNode> &nearest, Scratch &scratch);
	void AddBackEdges(size_t group, Scratch &scratch);
	void ConnectSome();
	NodeId FindParent(NodeId node, Scratch &scratch) const;
	void ConnectNode(NodeId node, Scratch &scratch);
	std::optional<uint16_t> FindSpareEdge(NodeId parent) const;
	void FillNode(NodeId node, Scratch &scratch);
	void SearchFor(NodeId node, Scratch &scratch) const;
	void ChooseNeighbors(NodeId node, Scratch &scratch);
	void ChooseAgain(NodeId node, Scratch &scratch);
	bool LeadsTo(NodeId node, uint32_t neighbor) const;
	//! False: it was reachable before.
	bool MarkReachable(NodeId node);
	void ReleaseAllButEdges();
	//! Edges as they are before the first node is filled: nodes are filled beside each other.
	Span<const uint32_t> LinkedNeighbors(NodeId node) const {
		return Span<const uint32_t>(edges.data() + node.value * size_t(parameters.max_degree),
		                            linked_degrees[node.value]);
	}
	PruneLimits Limits() const;
	//! Of the phase that is started: it ends at `share` of the linking.
	void SetProgress(Phase &phase, double share);

	const BuildSpace &space;
	BuildParameters parameters;
	const std::vector<uint16_t> &references;
	NodeId root;
	Stage stage = Stage::SEARCHING;
	double linked_share = 0;
	//! count x max_degree ids, of which the first `degrees[node]` are edges.
	std::vector<uint32_t> edges;
	std::vector<uint16_t> degrees;
	//! While linking: the first so many of a list were chosen by one RobustPrune.
	std::vector<uint16_t> settled_degrees;
	//! The first so many of a list stay in it for good.
	std::vector<uint16_t> forced_degrees;
	//! Who is linked by searching, in this order.
	std::vector<uint32_t> searched;
	//! While searching, those before batch_begin are linked; while asking, those of all nodes were asked.
	size_t batch_begin = 0;
	size_t batch_end = 0;
	bool has_back_edges_due = false;
	//! Edges to each node when all have their own.
	std::vector<uint32_t> asked_degrees;
	std::vector<BackEdge> back_edges;
	//! Ranges of back_edges with one target; group i is [starts[i], starts[i+1]).
	std::vector<size_t> group_starts;
	//! First linked node of each reference.
	std::vector<NodeId> reference_starts;
	std::unique_ptr<Cells> cells;
	//! Connecting: what a traversal from the first node reaches, and edges that must stay for it.
	std::vector<bool> is_reachable;
	std::vector<NodeId> anchors;
	std::vector<uint32_t> unreachable;
	//! Reached, but their edges were not followed yet.
	std::vector<uint32_t> pending;
	uint32_t connecting_rounds = 0;
	bool is_traversing = false;
	std::vector<uint16_t> linked_degrees;
	std::atomic<uint64_t> distance_count {0};
};

} // namespace lm_diskann
