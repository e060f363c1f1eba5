#include "graph/merge.hpp"

#include "base/error.hpp"
#include "graph/anchors.hpp"
#include "vector/convert.hpp"
#include "vector/distance.hpp"

#include <algorithm>
#include <cmath>

namespace lm_diskann {

namespace {

//! What the vectors of met nodes may take of memory, as far as that leaves room for those of one search.
constexpr uint64_t MET_BYTES = uint64_t(8) << 20;

size_t MetMax(const Graph &graph, const MergeParameters &parameters) {
	const uint64_t vector_bytes = BuildSpace::MemoryBytes(MergeSpace::VECTOR_BITS, graph.layout.dims, 1);
	// Besides those a row's anchor.
	return std::max<size_t>(parameters.list_size + 1, MET_BYTES / vector_bytes);
}

} // namespace

MergeBatch::MergeBatch(Graph &graph_p, const MergeParameters &parameters_p, Span<const NewNode> nodes_p)
    : graph(graph_p), parameters(parameters_p),
      nodes(nodes_p), limits {graph_p.layout.max_degree, 0, float(parameters_p.alpha)},
      space(graph_p, nodes_p.size(), MetMax(graph_p, parameters_p)), queries(graph_p.quantizer, nodes_p.size()),
      estimates(graph_p.quantizer, graph_p.norm_max) {
}

const float *MergeBatch::AsFloats(size_t index, std::vector<float> &target) const {
	if (nodes[index].floats) {
		return nodes[index].floats;
	}
	target.resize(graph.layout.dims);
	WidenInt8(nodes[index].bytes, target.data(), graph.layout.dims);
	return target.data();
}

bool MergeBatch::Plan() {
	AddRows();
	edges.resize(nodes.size());
	for (uint32_t i = 0; i < nodes.size(); i++) {
		if (parameters.is_stopped()) {
			return false;
		}
		Link(i);
	}
	for (uint32_t i = 0; i < nodes.size(); i++) {
		if (edges[i].chosen.size() > graph.layout.max_degree) {
			PruneEdgesOf(i);
		}
	}
	std::sort(back_edges.begin(), back_edges.end(), [](const BackEdge &a, const BackEdge &b) {
		return a.target != b.target ? a.target < b.target : a.source < b.source;
	});
	for (size_t begin = 0; begin < back_edges.size();) {
		if (parameters.is_stopped()) {
			return false;
		}
		size_t end = begin;
		while (end < back_edges.size() && back_edges[end].target == back_edges[begin].target) {
			end++;
		}
		PlanBackEdges(begin, end);
		begin = end;
	}
	return true;
}

void MergeBatch::AddRows() {
	for (size_t i = 0; i < nodes.size(); i++) {
		const float *vector = AsFloats(i, widened);
		space.AddRow(nodes[i].id, vector);
		norms.push_back(std::sqrt(InnerProduct(vector, vector, graph.layout.dims)));
		rows.push_back(NodeId(uint32_t(i)));
	}
}

void MergeBatch::Link(uint32_t index) {
	if (index == 0 || !IsCopy(index - 1, index)) {
		SearchFor(index);
	}
	query_of.push_back(queries.Count() - 1);
	BuildDistance distance(space.Vectors());
	FindCandidates(index, distance);
	PruneLimits link_limits = limits;
	if (!scored.empty() && scored.front().distance <= 0) {
		// Copies were a part of what the search found, and leave few to choose; in a build, fill is linked both ways
		// too.
		link_limits.fill_degree = std::min(limits.max_degree, FILL_DEGREE_MAX);
	}
	SetAsideTaken();
	RobustPrune(open, link_limits, distance, chosen, dropped);
	if (!taken.empty()) {
		dropped.insert(dropped.end(), taken.begin(), taken.end());
		std::sort(dropped.begin(), dropped.end());
		PutCopiesLast(limits, chosen, dropped);
	}
	dropped.resize(std::min<size_t>(dropped.size(), graph.layout.max_degree - chosen.size()));
	for (const ScoredNode &neighbor : chosen) {
		edges[index].chosen.push_back(space.EdgeTo(neighbor.node, false));
	}
	edges[index].settled_count = chosen.size();
	for (const ScoredNode &neighbor : dropped) {
		edges[index].fill.push_back(space.EdgeTo(neighbor.node, false));
	}
	AddBackEdges(index);
}

void MergeBatch::AddBackEdges(uint32_t index) {
	if (chosen.empty() && nearest_dead != NO_NODE) {
		LinkToDead(index);
	}
	const NodeId anchor = ChooseAnchor(index);
	// AddBackEdgeInBatch uses the scratch.
	const std::vector<ScoredNode> targets = chosen;
	const auto add_back_edge = [&](NodeId place, bool is_anchor) {
		if (space.IsRow(place)) {
			AddBackEdgeInBatch(place.value, index, is_anchor);
		} else {
			back_edges.push_back({space.IdAt(place), index, is_anchor});
		}
	};
	bool is_anchored = targets.empty();
	for (const ScoredNode &target : targets) {
		add_back_edge(target.node, target.node == anchor);
		is_anchored = is_anchored || target.node == anchor;
	}
	if (!is_anchored) {
		add_back_edge(anchor, true);
	}
}

void MergeBatch::LinkToDead(uint32_t index) {
	// A compact that was stopped may have taken away what anchored the dead node: only what anchors lead to from an
	// entry is sure to stay in reach.
	NodeId entry = graph.entries[ReferenceOf(index)];
	if (entry == NO_NODE) {
		entry = *std::find_if(graph.entries.begin(), graph.entries.end(), [](NodeId id) { return id != NO_NODE; });
	}
	const NodeId anchor = space.IdAt(FindRoomBelow(entry, index));
	planned_anchors[anchor]++;
	back_edges.push_back({anchor, index, true});
	if (anchor != nearest_dead) {
		back_edges.push_back({nearest_dead, index, false});
	}
}

size_t MergeBatch::CountAnchors(NodeId place) const {
	if (space.IsRow(place)) {
		const std::vector<NodeEdge> &list = edges[place.value].chosen;
		return size_t(std::count_if(list.begin(), list.end(), [](const NodeEdge &edge) { return edge.is_anchor; }));
	}
	const NodeId id = space.IdAt(place);
	PageCacheCounters cache_counters;
	const PageRef page = graph.cache->Pin(graph.file_key, graph.layout.PageOf(id), PageKind::NODES, cache_counters);
	return CountAnchors(id, NodeView(graph.layout, page.data(), id, graph.node_end));
}

size_t MergeBatch::CountAnchors(NodeId id, const NodeView &node) const {
	const auto planned = planned_anchors.find(id);
	size_t count = planned != planned_anchors.end() ? planned->second : 0;
	for (uint32_t edge = 0; edge < node.Degree(); edge++) {
		count += node.IsAnchor(edge) ? 1 : 0;
	}
	return count;
}

NodeId MergeBatch::FindRoomBelow(NodeId full, uint32_t index) {
	const NodeId below = FindAnchorRoom(graph, full, nodes[index].id, [this](NodeId id, const NodeView &node) {
		return CountAnchors(id, node) < graph.layout.max_degree;
	});
	if (below != NO_NODE || index == 0) {
		const NodeId found = below != NO_NODE ? below : full;
		candidates.clear();
		space.Meet({&found, 1}, candidates);
		return candidates.front();
	}
	// This batch took all of it. The last one before anchors nobody yet.
	NodeId nearest = rows[index - 1];
	distances.resize(index);
	BuildDistance distance(space.Vectors());
	distance(rows[index], {rows.data(), index}, distances.data());
	for (uint32_t other = 0; other < index - 1; other++) {
		if (distances[other] < distances[nearest.value] && CountAnchors(rows[other]) < graph.layout.max_degree) {
			nearest = rows[other];
		}
	}
	return nearest;
}

//! The nearest of the targets that has room, else of all candidates, else what one of them anchors, else one of the
//! batch: a hub may be the only target of more nodes than its block can anchor. An anchor that finds no room would be
//! lost, and all behind it.
NodeId MergeBatch::ChooseAnchor(uint32_t index) {
	if (chosen.empty()) {
		return NO_NODE;
	}
	const auto count = [&](const ScoredNode &scored_node) { return CountAnchors(scored_node.node); };
	// Room is left for edges that are chosen for being good.
	const size_t anchor_max = std::max(1U, graph.layout.max_degree / 2);
	const auto first_with_room = [&](const std::vector<ScoredNode> &among) {
		const auto found = std::find_if(among.begin(), among.end(),
		                                [&](const ScoredNode &scored_node) { return count(scored_node) < anchor_max; });
		return found != among.end() ? found->node : NO_NODE;
	};
	NodeId anchor = first_with_room(chosen);
	if (anchor == NO_NODE) {
		anchor = first_with_room(scored);
	}
	if (anchor == NO_NODE) {
		const auto by_count = [&](const ScoredNode &a, const ScoredNode &b) { return count(a) < count(b); };
		const ScoredNode &emptiest = *std::min_element(scored.begin(), scored.end(), by_count);
		anchor = emptiest.node;
		const auto nearest = std::find_if(scored.begin(), scored.end(), [&](const ScoredNode &scored_node) {
			return !space.IsRow(scored_node.node);
		});
		if (count(emptiest) >= graph.layout.max_degree && nearest != scored.end()) {
			anchor = FindRoomBelow(space.IdAt(nearest->node), index);
		}
	}
	if (!space.IsRow(anchor)) {
		planned_anchors[space.IdAt(anchor)]++;
	}
	return anchor;
}

uint64_t MergeBatch::WriteNewNodes() {
	const NodeLayout &layout = graph.layout;
	AlignedBuffer<uint8_t> page(layout.page_size);
	uint64_t page_count = 0;
	for (size_t i = 0; i < nodes.size();) {
		const PageId id = layout.PageOf(nodes[i].id);
		std::fill(page.data(), page.data() + layout.page_size, uint8_t(0));
		for (uint32_t place = 0; place < layout.nodes_per_page; place++) {
			ClearRow(layout, page.data(), NodeId(id.value * layout.nodes_per_page + place));
		}
		for (; i < nodes.size() && layout.PageOf(nodes[i].id) == id; i++) {
			std::vector<NodeEdge> &list = edges[i].chosen;
			const size_t chosen_count = list.size();
			for (const NodeEdge &edge : edges[i].fill) {
				const auto is_same = [&](const NodeEdge &other) { return other.id == edge.id; };
				if (list.size() < layout.max_degree && std::none_of(list.begin(), list.end(), is_same)) {
					list.push_back(edge);
				}
			}
			WriteNode(layout, page.data(), nodes[i].id, nodes[i].row_id, nodes[i].floats, nodes[i].bytes, list,
			          list.size() - chosen_count);
		}
		graph.cache->Put(graph.file_key, id, PageKind::NODES, page.span());
		page_count++;
	}
	return page_count;
}

uint64_t MergeBatch::Apply() {
	return WriteNewNodes() + ApplyEdits(graph, edits);
}

} // namespace lm_diskann
