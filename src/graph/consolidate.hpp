// Taking dead nodes out of a graph (the consolidation of FreshDiskANN: Singh et al., 2021, Algorithm 4): each live node
// with edges to dead ones gets, in their place, the best of what those led to. One pass over all blocks, so that no
// edge, and no code of a deleted vector, is left; then the dead nodes can be freed.
//
// Candidates are known by their codes only: the own ones, and those in the blocks of the dead neighbours.
#pragma once

#include "graph/edge_space.hpp"
#include "graph/edit.hpp"
#include "graph/node_set.hpp"
#include "graph/prune.hpp"

#include <functional>
#include <vector>

namespace lm_diskann {

struct ConsolidateParameters {
	double alpha = 1.2;
	//! Constant during the pass.
	std::function<bool(NodeId node)> is_dead;
};

//! A range of nodes. Belongs to the graph's one changing thread.
class ConsolidateBatch {
public:
	//! All arguments outlive the batch.
	ConsolidateBatch(Graph &graph_p, const ConsolidateParameters &parameters_p);

	//! Plans the repair of `node`, which is not dead; nodes come in ascending order. Throws CorruptionError, FileError.
	void Plan(NodeId node);
	//! Returns the number of pages written; the batch is empty again. Errors as ApplyEdits.
	uint64_t Apply();
	size_t EditCount() const {
		return edits.size();
	}

private:
	void AddCandidatesOf(NodeId dead);

	Graph &graph;
	const ConsolidateParameters &parameters;
	CodeArena arena;
	std::vector<EdgeEdit> edits;
	//! Scratch: edges by their position in `space`, less one for the node itself.
	EdgeSpace space;
	NodeSet seen;
	std::vector<NodeEdge> candidates;
	std::vector<ScoredNode> scored, chosen, dropped;
};

} // namespace lm_diskann
