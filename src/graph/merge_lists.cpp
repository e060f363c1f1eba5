// The lists that a batch changes: what each takes of the edges that are asked of it, and what is chosen anew.
#include "graph/merge.hpp"
#include "vector/distance.hpp"

#include <algorithm>
#include <cmath>

namespace lm_diskann {

namespace {

//! A list of the batch grows to so many times what a block has room for before it is pruned; all are at the end.
constexpr size_t PENDING_FACTOR = 2;

} // namespace

EdgeQuery MergeBatch::QueryOf(uint32_t index) const {
	return {queries.At(query_of[index]), norms[index]};
}

uint32_t MergeBatch::RowOf(NodeId id) const {
	const auto is_before = [](const NewNode &node, NodeId other) { return node.id < other; };
	return uint32_t(std::lower_bound(nodes.begin(), nodes.end(), id, is_before) - nodes.begin());
}

void MergeBatch::AddBackEdgeInBatch(uint32_t target, uint32_t source, bool is_anchor) {
	edges[target].chosen.push_back(EdgeTo(source, is_anchor));
	if (edges[target].chosen.size() >= PENDING_FACTOR * graph.layout.max_degree) {
		PruneEdgesOf(target);
	}
}

void MergeBatch::PruneEdgesOf(uint32_t target) {
	NewEdges &own = edges[target];
	estimates.Clear();
	listed.clear();
	for (size_t i = 0; i < own.chosen.size(); i++) {
		const NodeEdge &edge = own.chosen[i];
		const bool is_settled = i < own.settled_count;
		List(edge, {is_settled, false, is_settled ? 0 : RowOf(edge.id)});
	}
	ChooseListed(QueryOf(target), EdgeTo(target, false));
	std::vector<NodeEdge> kept;
	for (const ScoredNode &neighbor : chosen) {
		kept.push_back(own.chosen[neighbor.node.value]);
	}
	own.settled_count = kept.size();
	own.chosen.swap(kept);
}

void MergeBatch::PlanBackEdges(size_t begin, size_t end) {
	const NodeId target = back_edges[begin].target;
	PageCacheCounters cache_counters;
	const PageRef page = graph.cache->Pin(graph.file_key, graph.layout.PageOf(target), PageKind::NODES, cache_counters);
	const NodeView node(graph.layout, page.data(), target, graph.node_end);
	EdgeEdit edit;
	edit.node = target;
	for (uint32_t i = 0; i < node.Degree(); i++) {
		(node.IsFill(i) ? edit.kept_fill : edit.kept).push_back(uint16_t(i));
	}
	const size_t added_count = end - begin;
	if (edit.kept.size() + added_count <= graph.layout.max_degree) {
		for (size_t i = begin; i < end; i++) {
			edit.added.push_back(EdgeTo(back_edges[i].source, back_edges[i].is_anchor));
		}
		const size_t room = graph.layout.max_degree - edit.kept.size() - added_count;
		edit.kept_fill.resize(std::min(edit.kept_fill.size(), room));
	} else {
		ChooseEdges(node, target, {back_edges.data() + begin, added_count}, edit);
	}
	if (!edit.added.empty() || !edit.added_fill.empty()) {
		edits.push_back(std::move(edit));
	}
}

void MergeBatch::ChooseEdges(const NodeView &node, NodeId target, Span<const BackEdge> added, EdgeEdit &edit) {
	edit.kept.clear();
	edit.kept_fill.clear();
	estimates.Clear();
	listed.clear();
	for (uint32_t i = 0; i < node.Degree(); i++) {
		// Those that came while there was room were not chosen against each other, but each was for its own node, by
		// vectors instead of codes.
		List({node.Neighbor(i), node.Scalars(i), node.Code(i), node.IsAnchor(i)}, {!node.IsFill(i), node.IsFill(i), 0});
	}
	for (const BackEdge &edge : added) {
		List(EdgeTo(edge.source, edge.is_anchor), {false, false, edge.source});
	}
	std::vector<NodeId> place;
	space.MakeRoom(1);
	space.Meet({&target, 1}, place);
	decoded.resize(graph.layout.dims);
	const float *vector = node.Vector(decoded.data());
	graph.quantizer.Prepare(vector, prepared);
	ChooseListed({prepared.View(), std::sqrt(InnerProduct(vector, vector, graph.layout.dims))},
	             space.EdgeTo(place.front(), false));
	const auto take = [&](const std::vector<ScoredNode> &neighbors, std::vector<uint16_t> &kept,
	                      std::vector<NodeEdge> &taken) {
		for (const ScoredNode &neighbor : neighbors) {
			const uint32_t position = neighbor.node.value;
			if (position < node.Degree()) {
				kept.push_back(uint16_t(position));
			} else {
				const BackEdge &edge = added[position - node.Degree()];
				taken.push_back(EdgeTo(edge.source, edge.is_anchor));
			}
		}
	};
	take(chosen, edit.kept, edit.added);
	take(dropped, edit.kept_fill, edit.added_fill);
}

void MergeBatch::List(const NodeEdge &edge, const Listed &role) {
	estimates.Add(edge.code, edge.scalars);
	listed.push_back(role);
	listed.back().is_anchor = edge.is_anchor;
}

void MergeBatch::ChooseListed(const EdgeQuery &node, const NodeEdge &own) {
	scored.clear();
	fill.clear();
	const std::vector<float> &from_node = estimates.DistancesFrom(node);
	for (uint32_t i = 0; i < listed.size(); i++) {
		const bool is_copy = estimates.IsCopy(i, own.code, own.scalars);
		(listed[i].is_fill ? fill : scored).push_back({is_copy ? 0 : from_node[i], NodeId(i)});
	}
	std::sort(scored.begin(), scored.end());
	std::sort(fill.begin(), fill.end());
	choice_distances += listed.size();
	NodeId measured = NO_NODE;
	const std::vector<float> *from_measured = nullptr;
	const auto distance = [&](NodeId from, Span<const NodeId> to, float *target) {
		if (from != measured) {
			measured = from;
			from_measured = &estimates.DistancesFrom(QueryOf(listed[from.value].row));
		}
		choice_distances += to.size();
		std::transform(to.begin(), to.end(), target, [&](NodeId other) { return (*from_measured)[other.value]; });
	};
	const auto is_settled = [this](NodeId position) { return listed[position.value].is_settled; };
	const auto is_anchor = [this](NodeId position) { return listed[position.value].is_anchor; };
	RobustPrune(scored, limits, distance, is_settled, chosen, dropped);
	KeepForced(scored, graph.layout.max_degree, is_anchor, chosen);
	const auto is_chosen = [&](const ScoredNode &neighbor) {
		return std::any_of(chosen.begin(), chosen.end(),
		                   [&](const ScoredNode &other) { return other.node == neighbor.node; });
	};
	dropped.erase(std::remove_if(dropped.begin(), dropped.end(), is_chosen), dropped.end());
	dropped.insert(dropped.end(), fill.begin(), fill.end());
	dropped.resize(std::min(dropped.size(), graph.layout.max_degree - chosen.size()));
}

} // namespace lm_diskann
