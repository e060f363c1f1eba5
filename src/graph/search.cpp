#include "graph/search.hpp"

#include "base/error.hpp"
#include "base/prefetch.hpp"
#include "vector/distance.hpp"

#include <algorithm>
#include <functional>
#include <limits>

namespace lm_diskann {

namespace {

//! References whose entry nodes start a search.
constexpr size_t ENTRY_COUNT = 4;

//! A search for neighbours ends when so many live nodes in a row are not among the nearest expanded, much as a build's
//! (build.cpp). With 12, merged rows of imdb-pvdbow lose 0.35 points more of recall@10 at L 40.
constexpr size_t NEIGHBOR_PATIENCE = 24, NEIGHBORS_NEAREST = 32;
constexpr size_t NEIGHBORS_EXPECTED = NEIGHBOR_PATIENCE + NEIGHBORS_NEAREST;

thread_local std::unique_ptr<SearchMemory> spare_memory;

//! After so many visits more a beam is wider by a block: while a search still approaches, what comes next is soon
//! beaten by what it finds.
constexpr size_t VISITS_PER_WIDTH = 4;

//! Overflow of a norm can make NaN; it must not reach an ordering.
float OrInfinity(float distance) {
	return distance == distance ? distance : std::numeric_limits<float>::infinity();
}

} // namespace

BeamSearch::BeamSearch(const Graph &graph_p, const float *query, uint32_t beam_width_p)
    : graph(graph_p), memory(std::move(spare_memory)),
      beam_width(std::clamp<uint32_t>(beam_width_p, 1, BEAM_WIDTH_MAX)) {
	if (!memory) {
		memory = std::make_unique<SearchMemory>();
	}
	memory->query.assign(query, query + graph.layout.dims);
	memory->frontier.Clear();
	memory->bound.Reset({});
	memory->visits.clear();
	memory->decoded.resize(graph.layout.dims);
	memory->estimates.resize(graph.layout.max_degree);
	memory->ahead_refs.resize(BEAM_WIDTH_MAX);
	graph.quantizer.Prepare(query, memory->prepared);
	if (graph.node_end == 0) {
		return;
	}
	const PreparedQuery &prepared = memory->prepared;
	Frontier &frontier = memory->frontier;
	frontier.Expect(ENTRY_COUNT);
	size_t started = 0;
	for (const uint16_t reference : prepared.nearest_references) {
		const NodeId entry = reference < graph.entries.size() ? graph.entries[reference] : NO_NODE;
		if (entry == NO_NODE || frontier.Knows(entry)) {
			continue;
		}
		// The reference's own distance stands for its entry until the block is read. Its product says little of the
		// products in its cell, whose rows may be far longer: there every entry is expanded.
		const float distance =
		    graph.metric == Metric::IP ? std::numeric_limits<float>::lowest() : prepared.reference_terms[reference];
		frontier.Push({distance, entry});
		if (++started == ENTRY_COUNT) {
			break;
		}
	}
	if (started == 0) {
		StartAt(graph.entries);
	}
}

BeamSearch::~BeamSearch() {
	DropReadAhead(); // an error may have left pins
	if (memory->visits.size() <= SearchMemory::VISITS_KEPT_MAX) {
		spare_memory = std::move(memory);
	}
}

bool BeamSearch::StartAt(const std::vector<NodeId> &entries) {
	Frontier &frontier = memory->frontier;
	bool has_started = false;
	for (size_t reference = 0; reference < entries.size(); reference++) {
		if (entries[reference] != NO_NODE && !frontier.Knows(entries[reference])) {
			frontier.Push({memory->prepared.reference_terms[reference], entries[reference]});
			has_started = true;
		}
	}
	return has_started;
}

void BeamSearch::SetLimit(const SearchLimit &limit) {
	memory->bound.Reset(limit);
	for (const Visit &visit : memory->visits) {
		if (!accepts || accepts(visit.row_id)) {
			memory->bound.Offer(visit.distance);
		}
	}
	memory->frontier.Expect(limit.list_size);
}

void BeamSearch::SetFilter(std::function<bool(RowId)> accepts_p, uint32_t list_size) {
	accepts = std::move(accepts_p);
	SetLimit({list_size});
}

void BeamSearch::Expand(uint32_t list_size, size_t visit_max) {
	const SearchLimit present = memory->bound.Limit();
	const SearchLimit wanted {std::max(list_size, present.list_size)};
	if (!(wanted == present)) {
		SetLimit(wanted);
	}
	ExpandUntil(visit_max);
}

void BeamSearch::ExpandTo(const SearchLimit &limit) {
	if (!(limit == memory->bound.Limit())) {
		SetLimit(limit);
	}
	ExpandUntil(std::numeric_limits<size_t>::max());
}

Surroundings BeamSearch::ExpandForNeighbors(uint32_t list_size, const std::function<bool(RowId row_id)> &is_dead) {
	memory->bound.Reset({list_size});
	// Patience is over long before the list is exhausted.
	memory->frontier.Expect(std::min<size_t>(list_size, NEIGHBORS_EXPECTED));
	SmallestDistances nearest;
	nearest.Reset(NEIGHBORS_NEAREST);
	Surroundings met;
	float dead_distance = 0;
	for (size_t fruitless = 0; fruitless < NEIGHBOR_PATIENCE && ExpandNext();) {
		const Visit &visit = memory->visits.back();
		if (is_dead(visit.row_id)) {
			if (met.nearest_dead == NO_NODE || visit.distance < dead_distance) {
				met.nearest_dead = visit.node;
				dead_distance = visit.distance;
			}
			continue;
		}
		// Copies of what was met are no reason to end, as far as the list has room for them.
		const bool is_copy = memory->visits.size() < list_size &&
		                     std::any_of(met.live.begin(), met.live.end(),
		                                 [&](const Visit &other) { return other.distance == visit.distance; });
		if (!is_copy) {
			fruitless = visit.distance < nearest.Bound() ? 0 : fruitless + 1;
			nearest.Offer(visit.distance);
		}
		met.live.push_back(visit);
	}
	// Nobody knows when the search goes on.
	DropReadAhead();
	return met;
}

void BeamSearch::ExpandUntil(size_t visit_max) {
	while (memory->visits.size() < visit_max && ExpandNext()) {
	}
	// Nobody knows when the search goes on.
	DropReadAhead();
}

bool BeamSearch::ExpandNext() {
	Candidate nearest = {};
	if (!memory->frontier.PopNearest(memory->bound.Value(), nearest)) {
		return false;
	}
	counters.hops++;
	const PageId id = graph.layout.PageOf(nearest.node);
	PageCacheCounters cache_counters;
	PageRef page = TakeReadAhead(id);
	if (!page) {
		page = graph.cache->PinCached(graph.file_key, id, PageKind::NODES, cache_counters);
		counters.cache_hits += cache_counters.hits;
	}
	if (!page) {
		ReadAhead(id);
		page = TakeReadAhead(id);
	}
	Prefetch(page.data() + graph.layout.OffsetOf(nearest.node), graph.layout.node_bytes);
	PrefetchNext();
	ExpandNode(nearest, page.data());
	return true;
}

void BeamSearch::PrefetchNext() const {
	const Candidate *next = memory->frontier.Peek(0);
	if (next && next->distance < memory->bound.Value()) {
		graph.cache->Prefetch(graph.file_key, graph.layout.PageOf(next->node), graph.layout.OffsetOf(next->node),
		                      graph.layout.node_bytes);
	}
}

PageRef BeamSearch::TakeReadAhead(PageId id) {
	std::vector<PageId> &ids = memory->ahead_ids;
	const auto found = std::find(ids.begin(), ids.end(), id);
	if (found == ids.end()) {
		return PageRef();
	}
	PageRef &ref = memory->ahead_refs[size_t(found - ids.begin())];
	PageRef page = std::move(ref);
	ref = std::move(memory->ahead_refs[ids.size() - 1]);
	*found = ids.back();
	ids.pop_back();
	return page;
}

void BeamSearch::ReadAhead(PageId first) {
	std::vector<PageId> &ids = memory->ahead_ids;
	std::vector<PageRef> &refs = memory->ahead_refs;
	if (ids.size() + beam_width > BEAM_WIDTH_MAX) {
		DropReadAhead();
	}
	const size_t width = std::min<size_t>(beam_width, 1 + memory->visits.size() / VISITS_PER_WIDTH);
	const size_t begin = ids.size();
	ids.push_back(first);
	const float bound = memory->bound.Value();
	for (size_t rank = 0; ids.size() < begin + width; rank++) {
		const Candidate *candidate = memory->frontier.Peek(rank);
		if (!candidate || candidate->distance >= bound) {
			break;
		}
		const PageId id = graph.layout.PageOf(candidate->node);
		if (std::find(ids.begin(), ids.end(), id) == ids.end()) {
			ids.push_back(id);
		}
	}
	PageCacheCounters cache_counters;
	graph.cache->PinBatch(graph.file_key, Span<const PageId>(ids.data() + begin, ids.size() - begin), PageKind::NODES,
	                      Span<PageRef>(refs.data() + begin, ids.size() - begin), cache_counters);
	counters.cache_hits += cache_counters.hits;
	counters.blocks_read += cache_counters.misses;
}

void BeamSearch::DropReadAhead() {
	for (size_t i = 0; i < memory->ahead_ids.size(); i++) {
		memory->ahead_refs[i].Reset();
	}
	memory->ahead_ids.clear();
}

void BeamSearch::ExpandNode(const Candidate &candidate, const uint8_t *page) {
	const NodeView node(graph.layout, page, candidate.node, graph.node_end);
	const float distance = OrInfinity(
	    Distance(graph.metric, memory->query.data(), node.Vector(memory->decoded.data()), graph.layout.dims));
	counters.distances_exact++;
	memory->visits.push_back({distance, candidate.distance, candidate.node, node.Row()});
	if (!accepts || accepts(node.Row())) {
		memory->bound.Offer(distance);
	}
	graph.quantizer.Estimate(memory->prepared.View(), node.Codes(), node.Factors(), node.Biases(), node.References(),
	                         node.Degree(), memory->estimates.data());
	counters.distances_estimated += node.Degree();
	memory->frontier.PushAll(memory->estimates.data(), node.Ids(), node.Degree(), memory->bound.Value());
}

} // namespace lm_diskann
