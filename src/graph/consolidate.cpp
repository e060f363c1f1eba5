#include "graph/consolidate.hpp"

#include <algorithm>

namespace lm_diskann {

ConsolidateBatch::ConsolidateBatch(Graph &graph_p, const ConsolidateParameters &parameters_p)
    : graph(graph_p), parameters(parameters_p), arena(graph_p.layout.code_bytes),
      space(graph_p.quantizer, graph_p.norm_max) {
}

void ConsolidateBatch::Plan(NodeId id) {
	PageCacheCounters counters;
	const PageRef page = graph.cache->Pin(graph.file_key, graph.layout.PageOf(id), PageKind::NODES, counters);
	const NodeView node(graph.layout, page.data(), id, graph.node_end);
	EdgeEdit edit;
	edit.node = id;
	std::vector<NodeId> dead;
	for (uint16_t i = 0; i < node.Degree(); i++) {
		if (parameters.is_dead(node.Neighbor(i))) {
			dead.push_back(node.Neighbor(i));
		} else {
			edit.kept.push_back(i);
		}
	}
	if (dead.empty()) {
		return;
	}
	space.Clear();
	seen.Clear();
	candidates.clear();
	std::vector<float> decoded(graph.layout.dims);
	space.AddVector(node.Vector(decoded.data()));
	seen.Insert(id);
	for (const uint16_t i : edit.kept) {
		seen.Insert(node.Neighbor(i));
		space.AddCode(node.Code(i), node.Scalars(i));
	}
	for (const NodeId neighbor : dead) {
		AddCandidatesOf(neighbor);
	}
	scored.clear();
	for (uint32_t position = 1; position < space.Count(); position++) {
		scored.push_back({space.Distance(0, position), NodeId(position)});
	}
	std::sort(scored.begin(), scored.end());
	const PruneLimits limits {graph.layout.max_degree, graph.layout.max_degree, float(parameters.alpha)};
	RobustPrune(
	    scored, limits, [this](NodeId a, NodeId b) { return space.Distance(a.value, b.value); }, chosen, dropped);
	std::vector<uint16_t> kept;
	const size_t own_count = edit.kept.size();
	for (const ScoredNode &neighbor : chosen) {
		const size_t position = neighbor.node.value - 1;
		if (position < own_count) {
			kept.push_back(edit.kept[position]);
		} else {
			edit.added.push_back(candidates[position - own_count]);
		}
	}
	std::sort(kept.begin(), kept.end());
	edit.kept = std::move(kept);
	edits.push_back(std::move(edit));
}

void ConsolidateBatch::AddCandidatesOf(NodeId dead) {
	PageCacheCounters counters;
	const PageRef page = graph.cache->Pin(graph.file_key, graph.layout.PageOf(dead), PageKind::NODES, counters);
	const NodeView node(graph.layout, page.data(), dead, graph.node_end);
	for (uint32_t i = 0; i < node.Degree(); i++) {
		const NodeId other = node.Neighbor(i);
		if (!parameters.is_dead(other) && seen.Insert(other)) {
			space.AddCode(node.Code(i), node.Scalars(i));
			candidates.push_back({other, node.Scalars(i), arena.Add(node.Code(i))});
		}
	}
}

uint64_t ConsolidateBatch::Apply() {
	const uint64_t page_count = ApplyEdits(graph, edits);
	edits.clear();
	arena = CodeArena(graph.layout.code_bytes);
	return page_count;
}

} // namespace lm_diskann
