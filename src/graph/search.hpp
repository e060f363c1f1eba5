// Beam search over the blocks of a graph (Algorithm 1 of Subramanya et al., DiskANN, NeurIPS 2019, with LM-DiskANN's
// blocks: Pan, Sun, Yu, IEEE BigData 2023, section III).
//
// The list of L is kept as two heaps: unexpanded candidates by estimate, and the L nearest expanded nodes by exact
// distance. The list is exhausted when the best unexpanded estimate is not below the L-th expanded distance. What did
// not make the list is remembered, so a search resumes with a larger L without expanding any block twice.
// With a filter the traversal goes through every node, but only nodes of accepted rows count towards the list.
#pragma once

#include "graph/graph.hpp"
#include "graph/node_set.hpp"

#include <functional>
#include <limits>
#include <vector>

namespace lm_diskann {

//! What one search did so far.
struct SearchCounters {
	uint64_t hops = 0;
	uint64_t blocks_read = 0; //!< page cache misses
	uint64_t cache_hits = 0;
	uint64_t distances_exact = 0;
	uint64_t distances_estimated = 0;
};

//! An expanded node: its exact distance (of the index's metric) and row.
struct Visit {
	float distance = 0;
	NodeId node;
	RowId row_id;
};

//! One traversal. Belongs to one thread; memory grows with the blocks expanded (at most 16 bytes an edge).
class BeamSearch {
public:
	//! `query`: `dims` floats, copied. `beam_width` blocks are read at once, 1..BEAM_WIDTH_MAX.
	BeamSearch(const Graph &graph_p, const float *query, uint32_t beam_width_p);

	static constexpr uint32_t BEAM_WIDTH_MAX = 64;

	//! `node` is never visited. Before the first Expand; an entry is visited all the same.
	void Avoid(NodeId node) {
		seen.Insert(node);
	}
	//! Expands until the list of `list_size` is exhausted, or `visit_max` nodes were. Later calls continue with a list
	//! at least as large. Throws CorruptionError, FileError.
	void Expand(uint32_t list_size, size_t visit_max = std::numeric_limits<size_t>::max());
	//! From here on the list holds `list_size` nodes of rows that `accepts_p` is true for; what was visited counts by
	//! the same measure.
	void SetFilter(std::function<bool(RowId)> accepts_p, uint32_t list_size);
	//! True when no unexpanded candidate can make the list.
	bool ListIsExhausted() const;
	//! Begins at every entry of `entries` that was not met; false: there was none. For when all else is exhausted:
	//! changes may have cut parts of a graph off from the entries nearest to the query.
	bool StartAt(const std::vector<NodeId> &entries);
	//! Nodes in the list that are expanded and count.
	size_t ListedCount() const {
		return nearest_expanded.size();
	}
	//! True when every node that can be reached was expanded.
	bool IsExhausted() const {
		return frontier.empty() && overflow.empty();
	}
	//! All expanded nodes, in the order of their expansion.
	const std::vector<Visit> &Visits() const {
		return visits;
	}
	const SearchCounters &Counters() const {
		return counters;
	}

private:
	struct Candidate {
		float distance;
		NodeId node;

		//! Ties break by id, so that a search is the same on every run.
		bool operator>(const Candidate &other) const {
			return distance > other.distance || (distance == other.distance && other.node < node);
		}
	};

	//! True when the list is full and a node at `distance` would not make it.
	bool IsBeyondList(float distance) const;
	//! Does nothing for a node that was pushed before.
	void PushCandidate(Candidate candidate);
	//! Keeps back what is met from here on and cannot be among the next candidates to expand.
	void LimitFrontier();
	//! Takes back what was kept back, as far as the list has room for it.
	void PushOverflow();
	//! Does so when the nearest candidate may be among that. Holds after each change of the frontier.
	void RefillFrontier();
	void PushNeighbors(const NodeView &node);
	void SetListSize(uint32_t list_size);
	void KeepNearest(float distance);
	size_t ExpandBeam();
	void ExpandNode(NodeId node, const uint8_t *page);

	const Graph &graph;
	std::vector<float> query;
	uint32_t beam_width;
	uint32_t list_size = 0;
	//! Empty: every row counts.
	std::function<bool(RowId)> accepts;
	PreparedQuery prepared;
	//! All nodes that were ever in `frontier`.
	NodeSet seen;
	//! Min-heap of unexpanded candidates.
	std::vector<Candidate> frontier;
	//! Candidates at this distance or beyond it wait in `overflow`, so that the heap stays small.
	float frontier_limit = std::numeric_limits<float>::infinity();
	//! Size at which the frontier gets another limit.
	size_t frontier_room = 0;
	//! Candidates that were beyond the list or the limit when they were met; some more than once.
	std::vector<Candidate> overflow;
	//! Max-heap of the `list_size` smallest expanded distances that count.
	std::vector<float> nearest_expanded;
	std::vector<Visit> visits;
	SearchCounters counters;
	//! Scratch, sized once.
	std::vector<float> decoded;
	std::vector<float> estimates;
	std::vector<float> distances;
	std::vector<uint32_t> near;
	std::vector<PageId> beam_pages;
	std::vector<NodeId> beam_nodes;
	std::vector<PageRef> beam_refs;
};

} // namespace lm_diskann
