// Taking dead nodes out of a graph (the consolidation of FreshDiskANN: Singh et al., 2021, Algorithm 4): each live node
// with edges to dead ones gets, in their place, the best of what those led to. Unlike there it keeps all edges to live
// ones that it had chosen: choosing anew, among codes, made the graph worse with every pass. One pass over all blocks,
// so that no edge, and no code of a deleted vector, is left; then the dead nodes can be freed.
//
// Candidates are known by their codes only: the own ones, and those in the blocks of the dead neighbours. Who anchored
// a dead node anchors from now on what that one anchored.
#pragma once

#include "graph/edge_space.hpp"
#include "graph/edit.hpp"
#include "graph/node_set.hpp"
#include "graph/prune.hpp"

#include <functional>
#include <map>
#include <utility>
#include <vector>

namespace lm_diskann {

struct ConsolidateParameters {
	double alpha = 1.2;
	//! Constant during the pass.
	std::function<bool(NodeId node)> is_dead;
	//! Dead nodes where searches begin. What they anchor comes behind the entry in their place and nowhere else: a node
	//! with two anchors would have both taken over ever after, until a block holds nothing else.
	NodeSet dead_entries;
};

//! A node that lost its anchor, as the edges to it have it.
struct Orphan {
	NodeId id;
	//! The node to anchor it: its own anchors lead to other nodes, so no circle comes about.
	NodeId parent;
	CodeScalars scalars;
	std::vector<uint8_t> code;
};

//! A range of nodes. Belongs to the graph's one changing thread.
class ConsolidateBatch {
public:
	//! All arguments outlive the batch.
	ConsolidateBatch(Graph &graph_p, const ConsolidateParameters &parameters_p);

	//! Plans the repair of `node`, which is not dead; nodes come in ascending order. False: the place holds no row.
	//! Throws CorruptionError, FileError.
	bool Plan(NodeId node);
	//! The nodes that `dead` anchored become orphans, one behind the other, the first behind `parent`.
	void OrphanChildrenOf(NodeId dead, NodeId parent);
	//! The same for nodes behind so many dead ones that a call left them over; false: there are none.
	bool OrphanNextBranch();
	//! Plans that the parent of an orphan anchors it, or where that one has no room, one below it.
	void PlanAnchor(const Orphan &orphan);
	//! Nodes that nobody could take over since the last call: they lose their anchors when the batch is applied.
	std::vector<Orphan> TakeOrphans() {
		return std::exchange(orphans, {});
	}
	//! Returns the number of pages written; the batch is empty again. Errors as ApplyEdits.
	uint64_t Apply();
	size_t EditCount() const {
		return edits.size();
	}
	//! What grows with the nodes that it meets.
	uint64_t MemoryBytes() const;

private:
	//! Adds to `adopted` the live nodes that `dead` anchors, itself or over other dead ones.
	void FindAnchoredBy(NodeId dead);
	void Adopt(const NodeView &node, uint32_t edge);
	//! Those left in `adopted` become orphans, one behind the other, the first behind `parent`.
	void OrphanAdopted(NodeId parent);
	//! The live nodes that `dead` leads to, over other dead ones if need be.
	void AddCandidatesBehind(NodeId dead);

	//! From `space` into `chosen`, beside what was chosen before, and `dropped`. `own`: places of edges to live nodes,
	//! at the positions from 1 on.
	void ChooseEdges(const NodeView &node, const std::vector<uint16_t> &own);
	//! The nearest of those left out, as far as there is room.
	void FillRoom(const std::vector<uint16_t> &own, EdgeEdit &edit) const;

	Graph &graph;
	const ConsolidateParameters &parameters;
	CodeArena arena;
	std::vector<EdgeEdit> edits;
	//! Scratch: edges by their position in `space`, less one for the node itself.
	EdgeSpace space;
	NodeSet seen;
	//! Ordered, so that a compact comes out the same everywhere.
	std::map<NodeId, Orphan> adopted;
	std::vector<Orphan> orphans;
	//! Dead nodes whose anchors are still to be taken over, behind a node that is not dead.
	struct Branch {
		NodeId dead;
		NodeId parent;
	};
	std::vector<Branch> branches;
	std::vector<NodeId> left_over;
	//! Dead nodes behind others: each is met once, even where damaged anchors lead in a circle.
	NodeSet passed_dead;
	std::vector<NodeId> pending;
	std::vector<NodeEdge> candidates;
	std::vector<ScoredNode> scored, chosen, dropped;
};

} // namespace lm_diskann
