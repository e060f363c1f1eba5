#include "graph/search.hpp"

#include "base/error.hpp"
#include "vector/distance.hpp"

#include <algorithm>
#include <functional>
#include <limits>

namespace lm_diskann {

namespace {

//! References whose entry nodes start a search.
constexpr size_t ENTRY_COUNT = 4;
//! Candidates that stay in the heap beyond those that fill the list.
constexpr size_t FRONTIER_SPARE = 32;

//! Has the processor load a block while it works on the one before.
void Prefetch(const uint8_t *bytes, size_t size) {
	constexpr size_t CACHE_LINE = 64;
	constexpr size_t SIZE_MAX_AHEAD = 8192; // the rest is read in order, which the processor notices by itself
	for (size_t i = 0; i < std::min(size, SIZE_MAX_AHEAD); i += CACHE_LINE) {
		__builtin_prefetch(bytes + i, 0, 2);
	}
}

//! Overflow of a norm can make NaN; it must not reach an ordering.
float OrInfinity(float distance) {
	return distance == distance ? distance : std::numeric_limits<float>::infinity();
}

} // namespace

BeamSearch::BeamSearch(const Graph &graph_p, const float *query_p, uint32_t beam_width_p)
    : graph(graph_p), query(query_p, query_p + graph_p.layout.dims),
      beam_width(std::clamp<uint32_t>(beam_width_p, 1, BEAM_WIDTH_MAX)), decoded(graph_p.layout.dims),
      estimates(graph_p.layout.max_degree), near(graph_p.layout.max_degree), beam_refs(BEAM_WIDTH_MAX) {
	if (graph.node_end == 0) {
		return;
	}
	graph.quantizer.Prepare(query.data(), prepared);
	size_t started = 0;
	for (const uint16_t reference : prepared.nearest_references) {
		const NodeId entry = reference < graph.entries.size() ? graph.entries[reference] : NO_NODE;
		if (entry == NO_NODE || seen.Contains(entry)) {
			continue;
		}
		// The reference's own distance stands for its entry until the block is read.
		PushCandidate({prepared.reference_terms[reference], entry});
		if (++started == ENTRY_COUNT) {
			break;
		}
	}
}

bool BeamSearch::StartAt(const std::vector<NodeId> &entries) {
	bool has_started = false;
	for (size_t reference = 0; reference < entries.size(); reference++) {
		if (entries[reference] != NO_NODE && !seen.Contains(entries[reference])) {
			PushCandidate({prepared.reference_terms[reference], entries[reference]});
			has_started = true;
		}
	}
	return has_started;
}

bool BeamSearch::IsBeyondList(float distance) const {
	return nearest_expanded.size() >= list_size && list_size > 0 && distance >= nearest_expanded.front();
}

void BeamSearch::PushCandidate(Candidate candidate) {
	LMD_DCHECK(candidate.distance == candidate.distance, "a candidate's distance is not a number");
	if (!seen.Insert(candidate.node)) {
		return;
	}
	frontier.push_back(candidate);
	std::push_heap(frontier.begin(), frontier.end(), std::greater<Candidate>());
	if (frontier.size() >= frontier_room) {
		LimitFrontier();
	}
}

void BeamSearch::LimitFrontier() {
	// About as many as will be expanded.
	const size_t kept = size_t(list_size) + FRONTIER_SPARE;
	frontier_room = frontier.size() + kept;
	if (frontier.size() <= kept) {
		return;
	}
	distances.clear();
	for (const Candidate &candidate : frontier) {
		distances.push_back(candidate.distance);
	}
	std::nth_element(distances.begin(), distances.begin() + ptrdiff_t(kept), distances.end());
	frontier_limit = distances[kept];
}

void BeamSearch::PushOverflow() {
	frontier_limit = std::numeric_limits<float>::infinity();
	frontier_room = 0;
	std::vector<Candidate> remembered;
	remembered.swap(overflow);
	for (const Candidate &candidate : remembered) {
		// No limit applies here but the last: what was kept back must be able to come in.
		if (IsBeyondList(candidate.distance) || candidate.distance > frontier_limit) {
			overflow.push_back(candidate);
		} else {
			PushCandidate(candidate);
		}
	}
}

bool BeamSearch::ListIsExhausted() const {
	return frontier.empty() || IsBeyondList(frontier.front().distance);
}

void BeamSearch::SetListSize(uint32_t list_size_p) {
	list_size = list_size_p;
	nearest_expanded.clear();
	for (const Visit &visit : visits) {
		if (!accepts || accepts(visit.row_id)) {
			nearest_expanded.push_back(visit.distance);
		}
	}
	if (nearest_expanded.size() > list_size) {
		std::nth_element(nearest_expanded.begin(), nearest_expanded.begin() + list_size, nearest_expanded.end());
		nearest_expanded.resize(list_size);
	}
	std::make_heap(nearest_expanded.begin(), nearest_expanded.end());
	PushOverflow();
}

void BeamSearch::SetFilter(std::function<bool(RowId)> accepts_p, uint32_t list_size_p) {
	accepts = std::move(accepts_p);
	SetListSize(list_size_p);
}

void BeamSearch::Expand(uint32_t list_size_p, size_t visit_max) {
	if (list_size_p > list_size) {
		SetListSize(list_size_p);
	}
	while (visits.size() < visit_max && ExpandBeam() > 0) {
	}
}

size_t BeamSearch::ExpandBeam() {
	beam_nodes.clear();
	beam_pages.clear();
	while (beam_nodes.size() < beam_width && !ListIsExhausted()) {
		std::pop_heap(frontier.begin(), frontier.end(), std::greater<Candidate>());
		beam_nodes.push_back(frontier.back().node);
		beam_pages.push_back(graph.layout.PageOf(frontier.back().node));
		frontier.pop_back();
		RefillFrontier();
	}
	if (beam_nodes.empty()) {
		return 0;
	}
	counters.hops++;
	PageCacheCounters cache_counters;
	graph.cache->PinBatch(graph.file_key, Span<const PageId>(beam_pages.data(), beam_pages.size()), PageKind::NODES,
	                      Span<PageRef>(beam_refs.data(), beam_pages.size()), cache_counters);
	counters.cache_hits += cache_counters.hits;
	counters.blocks_read += cache_counters.misses;
	for (size_t i = 0; i < beam_nodes.size(); i++) {
		if (i + 1 < beam_nodes.size()) {
			Prefetch(beam_refs[i + 1].data() + graph.layout.OffsetOf(beam_nodes[i + 1]), graph.layout.node_bytes);
		}
		ExpandNode(beam_nodes[i], beam_refs[i].data());
		beam_refs[i].Reset();
	}
	RefillFrontier();
	return beam_nodes.size();
}

void BeamSearch::KeepNearest(float distance) {
	if (nearest_expanded.size() < list_size) {
		nearest_expanded.push_back(distance);
		std::push_heap(nearest_expanded.begin(), nearest_expanded.end());
	} else if (distance < nearest_expanded.front()) {
		std::pop_heap(nearest_expanded.begin(), nearest_expanded.end());
		nearest_expanded.back() = distance;
		std::push_heap(nearest_expanded.begin(), nearest_expanded.end());
	}
}

void BeamSearch::ExpandNode(NodeId id, const uint8_t *page) {
	const NodeView node(graph.layout, page, id, graph.node_end);
	const float distance =
	    OrInfinity(Distance(graph.metric, query.data(), node.Vector(decoded.data()), graph.layout.dims));
	counters.distances_exact++;
	visits.push_back({distance, id, node.Row()});
	if (!accepts || accepts(node.Row())) {
		KeepNearest(distance);
	}
	graph.quantizer.Estimate(prepared, node.Codes(), node.Factors(), node.Biases(), node.References(), node.Degree(),
	                         estimates.data());
	counters.distances_estimated += node.Degree();
	PushNeighbors(node);
}

void BeamSearch::PushNeighbors(const NodeView &node) {
	const bool is_full = list_size > 0 && nearest_expanded.size() >= list_size;
	const float bound = is_full ? std::min(frontier_limit, nearest_expanded.front()) : frontier_limit;
	// Which neighbours are near cannot be foreseen: both lists are written, and only the one that is right grows.
	size_t near_count = 0;
	size_t far_count = overflow.size();
	overflow.resize(far_count + node.Degree());
	for (uint32_t i = 0; i < node.Degree(); i++) {
		const bool is_near = estimates[i] < bound;
		near[near_count] = i;
		overflow[far_count] = {OrInfinity(estimates[i]), node.Neighbor(i)};
		near_count += is_near ? 1 : 0;
		far_count += is_near ? 0 : 1;
	}
	overflow.resize(far_count);
	for (size_t i = 0; i < near_count; i++) {
		PushCandidate({estimates[near[i]], node.Neighbor(near[i])});
	}
}

void BeamSearch::RefillFrontier() {
	const bool is_reached = frontier.empty() || (frontier.front().distance >= frontier_limit && !ListIsExhausted());
	if (is_reached && !overflow.empty()) {
		PushOverflow();
	}
}

} // namespace lm_diskann
