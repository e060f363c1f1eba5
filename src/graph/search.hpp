// Beam search over the blocks of a graph (Algorithm 1 of Subramanya et al., DiskANN, NeurIPS 2019, with LM-DiskANN's
// blocks: Pan, Sun, Yu, IEEE BigData 2023, section III).
//
// The list of L has two parts: unexpanded candidates by estimate (the frontier), and the L nearest expanded nodes by
// exact distance. It is exhausted when the best unexpanded estimate is not below the L-th expanded distance, or another
// bound that stands for it (search_limit.hpp). What did not make the list is remembered, so a search resumes with a
// larger L without expanding any block twice.
// Blocks are expanded strictly nearest first, whatever is cached, so a search is the same on every run. When a block is
// to be read, those of the next candidates are read with it, a beam in all: most of them are expanded soon.
// With a filter the traversal goes through every node, but only nodes of accepted rows count towards the list.
#pragma once

#include "graph/frontier.hpp"
#include "graph/graph.hpp"
#include "graph/search_limit.hpp"

#include <functional>
#include <limits>
#include <memory>
#include <vector>

namespace lm_diskann {

//! What one search did so far.
struct SearchCounters {
	uint64_t hops = 0;        //!< expanded nodes
	uint64_t blocks_read = 0; //!< page cache misses
	uint64_t cache_hits = 0;
	uint64_t distances_exact = 0;
	uint64_t distances_estimated = 0;
};

//! An expanded node: its exact distance (of the index's metric) and row, and the estimate that it was expanded for.
struct Visit {
	float distance = 0;
	float estimate = 0;
	NodeId node;
	RowId row_id;
};

//! What a search for neighbours met.
struct Surroundings {
	//! In the order of their expansion.
	std::vector<Visit> live;
	NodeId nearest_dead = NO_NODE;
};

//! All that grows in a search. Each thread keeps one for its next search, so that short searches do not allocate.
struct SearchMemory {
	//! Beyond so many visits it is not kept.
	static constexpr size_t VISITS_KEPT_MAX = 4096;

	std::vector<float> query;
	PreparedQuery prepared;
	Frontier frontier;
	//! Of the expanded nodes that count.
	SearchBound bound;
	std::vector<Visit> visits;
	//! Of one node: its vector, and the estimates for its neighbours.
	std::vector<float> decoded;
	std::vector<float> estimates;
	//! Pages that were read ahead, and as many pins on them.
	std::vector<PageId> ahead_ids;
	std::vector<PageRef> ahead_refs;
};

//! One traversal. Belongs to one thread; memory grows with the blocks expanded (at most 16 bytes an edge).
class BeamSearch {
public:
	//! `query`: `dims` floats, copied. At most `beam_width` blocks are read at once,
	//! 1..BEAM_WIDTH_MAX.
	BeamSearch(const Graph &graph_p, const float *query, uint32_t beam_width_p);
	BeamSearch(const BeamSearch &) = delete;
	BeamSearch &operator=(const BeamSearch &) = delete;
	~BeamSearch();

	static constexpr uint32_t BEAM_WIDTH_MAX = 64;

	//! `node` is never visited. Before the first Expand; an entry is visited all the same.
	void Avoid(NodeId node) {
		memory->frontier.Exclude(node);
	}
	//! Expands until the list of `list_size` is exhausted, or `visit_max` nodes were. Later calls continue with a list
	//! at least as large. Throws CorruptionError, FileError.
	void Expand(uint32_t list_size, size_t visit_max = std::numeric_limits<size_t>::max());
	//! Expands what a new node may have for neighbours: until the list is exhausted, or the search has stopped finding
	//! live nodes nearer than those it has. Asks once for each node. Throws as Expand.
	Surroundings ExpandForNeighbors(uint32_t list_size, const std::function<bool(RowId row_id)> &is_dead);
	//! Expands until `limit` is reached, whatever was before. Throws as Expand.
	void ExpandTo(const SearchLimit &limit);
	//! From here on the list holds `list_size` nodes of rows that `accepts_p` is true for; what was visited counts by
	//! the same measure.
	void SetFilter(std::function<bool(RowId)> accepts_p, uint32_t list_size);
	//! True when no unexpanded candidate can make the list.
	bool ListIsExhausted() const {
		return memory->frontier.LowerBound() >= memory->bound.Value();
	}
	//! Begins at every entry of `entries` that was not met; false: there was none. For when all else is exhausted:
	//! changes may have cut parts of a graph off from the entries nearest to the query.
	bool StartAt(const std::vector<NodeId> &entries);
	//! Nodes in the list that are expanded and count.
	size_t ListedCount() const {
		return memory->bound.ListedCount();
	}
	//! True when every node that can be reached was expanded.
	bool IsExhausted() const {
		return memory->frontier.IsEmpty();
	}
	//! All expanded nodes, in the order of their expansion.
	const std::vector<Visit> &Visits() const {
		return memory->visits;
	}
	//! The query as estimates need it; while the search lives.
	const PreparedQuery &Prepared() const {
		return memory->prepared;
	}
	const SearchCounters &Counters() const {
		return counters;
	}

private:
	void SetLimit(const SearchLimit &limit);
	void ExpandUntil(size_t visit_max);
	//! Expands the nearest candidate; false: the list is exhausted.
	bool ExpandNext();
	//! Loads the block of the next candidate from memory while one is expanded: often no neighbor comes before it.
	void PrefetchNext() const;
	//! The page if it was read ahead, which ends with it.
	PageRef TakeReadAhead(PageId id);
	//! Reads the page of the nearest candidate, and with it those of the next.
	void ReadAhead(PageId first);
	void DropReadAhead();
	void ExpandNode(const Candidate &candidate, const uint8_t *page);

	const Graph &graph;
	std::unique_ptr<SearchMemory> memory;
	uint32_t beam_width;
	//! Empty: every row counts.
	std::function<bool(RowId)> accepts;
	SearchCounters counters;
};

} // namespace lm_diskann
