#include "graph/merge_space.hpp"

#include "base/error.hpp"

#include <algorithm>

namespace lm_diskann {

MergeSpace::MergeSpace(const Graph &graph_p, size_t row_count_p, size_t met_max_p)
    : graph(graph_p), row_count(row_count_p), met_max(met_max_p),
      vectors(graph_p.quantizer, VECTOR_BITS, graph_p.norm_max, row_count_p + met_max_p),
      arena(graph_p.layout.code_bytes), decoded(graph_p.layout.dims) {
}

void MergeSpace::AddRow(NodeId id, const float *vector) {
	uint8_t *code = arena.Allocate();
	vectors.Set(NodeId(uint32_t(known.size())), vector, scratch);
	known.push_back({id, graph.quantizer.Encode(vector, code, scratch), code, false});
}

void MergeSpace::MakeRoom(size_t count) {
	LMD_CHECK(count <= met_max, "no more nodes are met at once than there is room for");
	if (known.size() - row_count + count > met_max) {
		known.resize(row_count);
		place_of.clear();
	}
}

void MergeSpace::Meet(Span<const NodeId> nodes, std::vector<NodeId> &places) {
	unmet.clear();
	for (const NodeId node : nodes) {
		const NodeId next(uint32_t(known.size() + unmet.size()));
		const auto [entry, is_unmet] = place_of.try_emplace(node, next);
		places.push_back(entry->second);
		if (is_unmet) {
			unmet.push_back(node);
		}
	}
	// Pages that are not cached any more are read together.
	PageCacheCounters counters;
	PageId ids[BeamSearch::BEAM_WIDTH_MAX];
	PageRef pages[BeamSearch::BEAM_WIDTH_MAX];
	for (size_t begin = 0; begin < unmet.size(); begin += BeamSearch::BEAM_WIDTH_MAX) {
		const size_t count = std::min<size_t>(BeamSearch::BEAM_WIDTH_MAX, unmet.size() - begin);
		for (size_t i = 0; i < count; i++) {
			ids[i] = graph.layout.PageOf(unmet[begin + i]);
		}
		graph.cache->PinBatch(graph.file_key, {ids, count}, PageKind::NODES, {pages, count}, counters);
		for (size_t i = 0; i < count; i++) {
			const NodeId id = unmet[begin + i];
			const NodeView node(graph.layout, pages[i].data(), id, graph.node_end);
			vectors.Set(NodeId(uint32_t(known.size())), node.Vector(decoded.data()), scratch);
			known.push_back({id, {}, nullptr, false});
			pages[i].Reset();
		}
	}
}

NodeEdge MergeSpace::EdgeTo(NodeId place, bool is_anchor) {
	NodeEdge &edge = known[place.value];
	if (!edge.code) {
		FindCode(edge);
	}
	NodeEdge copy = edge;
	copy.is_anchor = is_anchor;
	return copy;
}

void MergeSpace::FindCode(NodeEdge &edge) {
	PageCacheCounters counters;
	const PageRef page = graph.cache->Pin(graph.file_key, graph.layout.PageOf(edge.id), PageKind::NODES, counters);
	const NodeView node(graph.layout, page.data(), edge.id, graph.node_end);
	for (uint32_t i = 0; i < node.Degree() && !edge.code; i++) {
		const NodeId neighbor = node.Neighbor(i);
		if (place_of.count(neighbor) > 0) {
			TakeCode(neighbor, edge);
		}
	}
	if (!edge.code) {
		uint8_t *code = arena.Allocate();
		edge.scalars = graph.quantizer.Encode(node.Vector(decoded.data()), code, scratch);
		edge.code = code;
	}
}

void MergeSpace::TakeCode(NodeId from, NodeEdge &edge) {
	PageCacheCounters counters;
	const PageRef page = graph.cache->Pin(graph.file_key, graph.layout.PageOf(from), PageKind::NODES, counters);
	const NodeView node(graph.layout, page.data(), from, graph.node_end);
	const uint32_t *ids_end = node.Ids() + node.Degree();
	const uint32_t *found = std::find(node.Ids(), ids_end, edge.id.value);
	if (found != ids_end) {
		const auto i = uint32_t(found - node.Ids());
		edge.scalars = node.Scalars(i);
		edge.code = arena.Add(node.Code(i));
	}
}

} // namespace lm_diskann
