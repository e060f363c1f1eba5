// Merging vectors into a graph on disk (the insertion of DiskANN and LM-DiskANN, batched as in FreshDiskANN: Singh et
// al., 2021): for each vector a search for candidates (merge_candidates.cpp) and RobustPrune over their vectors
// (merge_space.hpp), then back-edges, grouped by their target so that each block is written once a batch
// (merge_lists.cpp). Copies that come one after the other share a search, and choose different neighbours.
//
// A full target gives up edges that only fill its room, the farthest first, so a back-edge costs no choice as a rule.
// When none is left RobustPrune chooses anew, by estimates from the codes in the block (edge_estimates.hpp); what it
// leaves out fills the room again. Edges of the block that do not fill were chosen before, so it asks only what new
// ones drop and what drops them: O(R) distances a back-edge. A vector also has those before it in its batch as
// candidates, with back-edges like any other. The first back-edge anchors the new node: it is never dropped, so every
// node can be reached over anchors from an entry. Planning only reads, so it may take its time beside searches and
// checkpoints; applying is short.
#pragma once

#include "graph/edge_estimates.hpp"
#include "graph/edit.hpp"
#include "graph/merge_space.hpp"
#include "graph/search.hpp"
#include "vector/kept_queries.hpp"

#include <functional>
#include <unordered_map>
#include <vector>

namespace lm_diskann {

//! A vector to merge: exactly one of `floats` and `bytes` is set, as the column has it.
struct NewNode {
	NodeId id;
	RowId row_id;
	const float *floats = nullptr;
	const int8_t *bytes = nullptr;
};

struct MergeParameters {
	uint32_t list_size = 0;
	double alpha = 1.2;
	//! Dead nodes get no new edges.
	std::function<bool(RowId row_id)> is_dead;
	//! Asked between two vectors or targets; true: give up.
	std::function<bool()> is_stopped;
};

//! One batch. Belongs to the graph's one changing thread.
class MergeBatch {
public:
	//! All arguments outlive the batch. `nodes` ascend by id; their ids are below graph.node_end, and their pages,
	//! which hold no other node, are not written yet.
	MergeBatch(Graph &graph_p, const MergeParameters &parameters_p, Span<const NewNode> nodes_p);

	//! Finds all edges. False: given up, and nothing happened. Throws CorruptionError, FileError.
	bool Plan();
	//! Writes new nodes, then back-edges. Returns the number of pages written. Errors as ApplyEdits.
	uint64_t Apply();
	//! The quantizer's reference of each node.
	uint16_t ReferenceOf(size_t index) {
		return EdgeTo(uint32_t(index), false).scalars.reference;
	}

	//! Distances computed so far for choosing among the edges of full nodes.
	uint64_t ChoiceDistances() const {
		return choice_distances;
	}

private:
	//! An edge that node `source` of the batch asks of `target`.
	struct BackEdge {
		NodeId target;
		uint32_t source;
		bool is_anchor;
	};
	//! What is known of the edges of a new node: chosen ones, and nearer ones left out that may fill its block.
	struct NewEdges {
		std::vector<NodeEdge> chosen;
		//! The first so many of `chosen` were chosen together.
		size_t settled_count = 0;
		std::vector<NodeEdge> fill;
	};
	//! An edge of the list at hand.
	struct Listed {
		//! Was chosen together with the others that are.
		bool is_settled;
		//! Fills room, if any is left; others were chosen before it.
		bool is_fill;
		//! Of the batch, unless it is one of these.
		uint32_t row;
		bool is_anchor = false;
	};

	void AddRows();
	const float *AsFloats(size_t index, std::vector<float> &widened) const;
	void Link(uint32_t index);
	//! Adds the edges that a row just linked asks of those it chose.
	void AddBackEdges(uint32_t index);
	//! Where a search met no live node, and no other comes before it in the batch: searches come by the dead.
	void LinkToDead(uint32_t index);
	bool IsCopy(size_t a, size_t b) const;
	//! Finds `met` and `nearest_dead` for a row and for copies that follow it.
	void SearchFor(uint32_t index);
	//! Those and rows before it come into `scored`, ascending.
	void FindCandidates(uint32_t index, BuildDistance &distance);
	void Score(Span<const NodeId> places, NodeId row, BuildDistance &distance);
	//! Scores the nearest of the rows before it.
	void ScoreBatchMates(uint32_t index, BuildDistance &distance);
	//! Appends what a node of the batch or of the graph leads to by choice.
	void ListChosenBy(NodeId place, std::vector<NodeId> &ids) const;
	//! Splits `scored` into `open` and `taken`, the vectors that copies of the row lead to: all would choose the same,
	//! so they would lead to fewer vectors together, and be led to by fewer, than copies linked at different times of a
	//! build.
	void SetAsideTaken();
	//! `begin`, `end`: the back-edges of one target. Where it has no room, edges that only fill it go first.
	void PlanBackEdges(size_t begin, size_t end);
	//! For a target that is full without them: RobustPrune decides.
	void ChooseEdges(const NodeView &node, NodeId target, Span<const BackEdge> added, EdgeEdit &edit);
	//! Place of the node whose back-edge anchors the new one, which has just chosen; NO_NODE if it chose none.
	NodeId ChooseAnchor(uint32_t index);
	size_t CountAnchors(NodeId place) const;
	//! Those of the node in the graph, and those that this batch adds.
	size_t CountAnchors(NodeId id, const NodeView &node) const;
	//! Place of a node with room to anchor `index` of the batch: `full` or one below it, else the nearest of those
	//! before it in the batch. `full` itself where damaged anchors lead nowhere else.
	NodeId FindRoomBelow(NodeId full, uint32_t index);
	void AddBackEdgeInBatch(uint32_t target, uint32_t source, bool is_anchor);
	//! Cuts the list of a node of the batch to what its block has room for.
	void PruneEdgesOf(uint32_t target);
	void List(const NodeEdge &edge, const Listed &role);
	//! Chooses among what is listed for a node, whose own code is that of `own`: positions come into `chosen`, and what
	//! there is room for beside them into `dropped`.
	void ChooseListed(const EdgeQuery &node, const NodeEdge &own);
	EdgeQuery QueryOf(uint32_t index) const;
	//! Position in the batch of one of its nodes.
	uint32_t RowOf(NodeId id) const;
	NodeEdge EdgeTo(uint32_t index, bool is_anchor) {
		return space.EdgeTo(NodeId(index), is_anchor);
	}
	uint64_t WriteNewNodes();

	Graph &graph;
	const MergeParameters &parameters;
	Span<const NewNode> nodes;
	PruneLimits limits;

	MergeSpace space;
	//! The rows' places.
	std::vector<NodeId> rows;
	//! Of the rows that are linked: their vectors as queries, one of all copies that follow each other.
	KeptQueries queries;
	std::vector<size_t> query_of;
	//! The lengths of all.
	std::vector<float> norms;
	std::vector<NewEdges> edges;
	std::vector<BackEdge> back_edges;
	std::vector<EdgeEdit> edits;
	uint64_t choice_distances = 0;
	//! Anchors that present nodes get.
	std::unordered_map<NodeId, size_t> planned_anchors;

	//! Scratch of one row: places, and what is scored of them.
	std::vector<NodeId> candidates;
	std::vector<ScoredNode> scored, open, taken, chosen, dropped;
	std::vector<float> distances;
	//! What the last search met: the nearest live nodes, and of the dead ones the nearest.
	std::vector<NodeId> met;
	NodeId nearest_dead = NO_NODE;
	//! Scratch of one list.
	EdgeEstimates estimates;
	std::vector<Listed> listed;
	std::vector<ScoredNode> fill;
	PreparedQuery prepared;
	std::vector<float> decoded;
	std::vector<float> widened;
};

} // namespace lm_diskann
