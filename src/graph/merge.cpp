#include "graph/merge.hpp"

#include "base/error.hpp"
#include "vector/distance.hpp"

#include <algorithm>
#include <unordered_map>

namespace lm_diskann {

namespace {

constexpr uint32_t NOT_IN_BATCH = UINT32_MAX;
constexpr uint32_t BEAM_WIDTH = 4;
//! Nearest vectors of the batch that are candidates of each other; all of them while the graph is smaller than a batch.
constexpr size_t BATCH_MATES_MAX = 24;

} // namespace

MergeBatch::MergeBatch(Graph &graph_p, const MergeParameters &parameters_p, Span<const NewNode> nodes_p)
    : graph(graph_p), parameters(parameters_p),
      nodes(nodes_p), limits {graph_p.layout.max_degree, 0, float(parameters_p.alpha)},
      arena(graph_p.layout.code_bytes), batch_space(graph_p.quantizer, graph_p.norm_max),
      space(graph_p.quantizer, graph_p.norm_max) {
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
	Encode();
	edges.resize(nodes.size());
	for (uint32_t i = 0; i < nodes.size(); i++) {
		if (parameters.is_stopped()) {
			return false;
		}
		Link(i);
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

void MergeBatch::Encode() {
	for (size_t i = 0; i < nodes.size(); i++) {
		const float *vector = AsFloats(i, widened);
		uint8_t *code = arena.Allocate();
		scalars.push_back(graph.quantizer.Encode(vector, code, encode_scratch));
		codes.push_back(code);
		batch_space.AddVector(vector);
	}
}

NodeEdge MergeBatch::EdgeTo(uint32_t index) const {
	return {nodes[index].id, scalars[index], codes[index]};
}

void MergeBatch::Link(uint32_t index) {
	space.Clear();
	candidates.clear();
	scored.clear();
	pinned.clear();
	pinned_nodes.clear();
	const uint32_t self = space.AddFrom(batch_space, index);
	candidates.push_back({nodes[index].id, index});

	BeamSearch search(graph, AsFloats(index, widened), BEAM_WIDTH);
	search.Expand(parameters.list_size);
	counters.Add(search.Counters());
	AddVisited(search);
	AddBatchMates(index);

	for (uint32_t position = self + 1; position < space.Count(); position++) {
		scored.push_back({space.Distance(self, position), NodeId(position)});
	}
	std::sort(scored.begin(), scored.end());
	RobustPrune(
	    scored, limits, [this](NodeId a, NodeId b) { return space.Distance(a.value, b.value); }, chosen, dropped);
	bool is_forced = true;
	for (const ScoredNode &neighbor : chosen) {
		const Candidate &candidate = candidates[neighbor.node.value];
		if (candidate.in_batch == NOT_IN_BATCH) {
			back_edges.push_back({candidate.id, index, is_forced});
			is_forced = false;
		}
	}
	// A block has room for all: the nearest of those dropped fill it.
	for (size_t i = 0; i < dropped.size() && chosen.size() < graph.layout.max_degree; i++) {
		chosen.push_back(dropped[i]);
	}
	std::sort(chosen.begin(), chosen.end());
	FindCodes(chosen, edges[index]);
}

void MergeBatch::AddVisited(const BeamSearch &search) {
	const uint32_t dims = graph.layout.dims;
	std::vector<PageId> pages;
	std::vector<NodeId> wanted;
	PageCacheCounters cache_counters;
	std::vector<float> decoded(dims);
	const auto flush = [&] {
		const size_t first = pinned.size();
		pinned.resize(first + pages.size());
		graph.cache->PinBatch(graph.file_key, pages, PageKind::NODES, Span<PageRef>(&pinned[first], pages.size()),
		                      cache_counters);
		for (size_t i = 0; i < wanted.size(); i++) {
			const NodeView node(graph.layout, pinned[first + i].data(), wanted[i], graph.node_end);
			space.AddVector(node.Vector(decoded.data()));
			candidates.push_back({wanted[i], NOT_IN_BATCH});
			pinned_nodes.push_back(wanted[i]);
		}
		pages.clear();
		wanted.clear();
	};
	for (const Visit &visit : search.Visits()) {
		if (!parameters.is_dead(visit.node, visit.row_id)) {
			pages.push_back(graph.layout.PageOf(visit.node));
			wanted.push_back(visit.node);
			if (pages.size() == BeamSearch::BEAM_WIDTH_MAX) {
				flush();
			}
		}
	}
	if (!pages.empty()) {
		flush();
	}
}

void MergeBatch::AddBatchMates(uint32_t index) {
	std::vector<ScoredNode> mates;
	for (uint32_t other = 0; other < nodes.size(); other++) {
		if (other != index) {
			mates.push_back({batch_space.Distance(index, other), NodeId(other)});
		}
	}
	const bool is_small = candidates.size() < BATCH_MATES_MAX;
	const size_t count = is_small ? mates.size() : std::min(mates.size(), BATCH_MATES_MAX);
	std::partial_sort(mates.begin(), mates.begin() + long(count), mates.end());
	for (size_t i = 0; i < count; i++) {
		space.AddFrom(batch_space, mates[i].node.value);
		candidates.push_back({nodes[mates[i].node.value].id, mates[i].node.value});
	}
}

//! Codes of the chosen candidates: they were met on the way to them, in some block that is pinned.
void MergeBatch::FindCodes(const std::vector<ScoredNode> &neighbors, std::vector<NodeEdge> &found) {
	std::unordered_map<uint32_t, size_t> missing;
	for (const ScoredNode &neighbor : neighbors) {
		const Candidate &candidate = candidates[neighbor.node.value];
		if (candidate.in_batch != NOT_IN_BATCH) {
			found.push_back(EdgeTo(candidate.in_batch));
		} else {
			missing.emplace(candidate.id.value, found.size());
			found.push_back({candidate.id, {}, nullptr});
		}
	}
	for (size_t i = 0; i < pinned.size() && !missing.empty(); i++) {
		const NodeView node(graph.layout, pinned[i].data(), pinned_nodes[i], graph.node_end);
		for (uint32_t edge = 0; edge < node.Degree(); edge++) {
			const auto entry = missing.find(node.Neighbor(edge).value);
			if (entry != missing.end()) {
				found[entry->second] = {node.Neighbor(edge), node.Scalars(edge), arena.Add(node.Code(edge))};
				missing.erase(entry);
			}
		}
	}
	// Where a search began there was no edge.
	for (size_t i = 0; i < pinned.size() && !missing.empty(); i++) {
		const auto entry = missing.find(pinned_nodes[i].value);
		if (entry != missing.end()) {
			const NodeView node(graph.layout, pinned[i].data(), pinned_nodes[i], graph.node_end);
			std::vector<float> decoded(graph.layout.dims);
			uint8_t *code = arena.Allocate();
			found[entry->second].scalars = graph.quantizer.Encode(node.Vector(decoded.data()), code, encode_scratch);
			found[entry->second].code = code;
			missing.erase(entry);
		}
	}
}

void MergeBatch::PlanBackEdges(size_t begin, size_t end) {
	const NodeId target = back_edges[begin].target;
	PageCacheCounters cache_counters;
	const PageRef page = graph.cache->Pin(graph.file_key, graph.layout.PageOf(target), PageKind::NODES, cache_counters);
	const NodeView node(graph.layout, page.data(), target, graph.node_end);
	EdgeEdit edit;
	edit.node = target;
	if (node.Degree() + (end - begin) <= graph.layout.max_degree) {
		for (uint16_t i = 0; i < node.Degree(); i++) {
			edit.kept.push_back(i);
		}
		for (size_t i = begin; i < end; i++) {
			edit.added.push_back(EdgeTo(back_edges[i].source));
		}
		edits.push_back(std::move(edit));
		return;
	}
	// Position 0 is the target, then its neighbours in order, then the new ones.
	space.Clear();
	std::vector<float> decoded(graph.layout.dims);
	space.AddVector(node.Vector(decoded.data()));
	for (uint32_t i = 0; i < node.Degree(); i++) {
		space.AddCode(node.Code(i), node.Scalars(i));
	}
	for (size_t i = begin; i < end; i++) {
		space.AddFrom(batch_space, back_edges[i].source);
	}
	scored.clear();
	for (uint32_t position = 1; position < space.Count(); position++) {
		scored.push_back({space.Distance(0, position), NodeId(position)});
	}
	std::sort(scored.begin(), scored.end());
	PruneLimits filled = limits;
	filled.fill_degree = graph.layout.max_degree;
	RobustPrune(
	    scored, filled, [this](NodeId a, NodeId b) { return space.Distance(a.value, b.value); }, chosen, dropped);
	// A forced edge that lost takes the place of the farthest one that is not forced.
	const uint32_t first_new = 1 + node.Degree();
	std::vector<bool> is_chosen(space.Count());
	for (const ScoredNode &neighbor : chosen) {
		is_chosen[neighbor.node.value] = true;
	}
	const auto is_forced = [&](uint32_t position) {
		return position >= first_new && back_edges[begin + position - first_new].is_forced;
	};
	size_t last = chosen.size();
	for (uint32_t position = first_new; position < space.Count(); position++) {
		if (is_chosen[position] || !is_forced(position)) {
			continue;
		}
		while (last > 0 && is_forced(chosen[last - 1].node.value)) {
			last--;
		}
		if (last == 0) {
			break;
		}
		last--;
		is_chosen[chosen[last].node.value] = false;
		is_chosen[position] = true;
	}
	for (uint16_t i = 0; i < node.Degree(); i++) {
		if (is_chosen[1 + i]) {
			edit.kept.push_back(i);
		}
	}
	for (uint32_t position = first_new; position < space.Count(); position++) {
		if (is_chosen[position]) {
			edit.added.push_back(EdgeTo(back_edges[begin + position - first_new].source));
		}
	}
	if (!edit.added.empty()) {
		edits.push_back(std::move(edit));
	}
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
			WriteNode(layout, page.data(), nodes[i].id, nodes[i].row_id, nodes[i].floats, nodes[i].bytes, edges[i]);
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
