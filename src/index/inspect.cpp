// Looking at an index from outside: nodes, the way of a search, the parts of the file. Nothing here is fast, or needed
// to answer a query.
#include "base/error.hpp"
#include "graph/search.hpp"
#include "index/index_state.hpp"

#include <algorithm>
#include <unordered_map>

namespace lm_diskann {

namespace {

std::vector<NodeId> NeighborsOf(const NodeView &view) {
	std::vector<NodeId> neighbors;
	for (uint32_t i = 0; i < view.Degree(); i++) {
		neighbors.push_back(view.Neighbor(i));
	}
	return neighbors;
}

std::optional<RowId> RowOf(RowId stored) {
	return stored == NO_ROW ? std::nullopt : std::optional<RowId>(stored);
}

} // namespace

std::vector<NodeSummary> AnnIndex::ReadNodes(NodeId first, size_t count) {
	const Graph &graph = impl->graph;
	const uint32_t per_page = graph.layout.nodes_per_page;
	std::vector<NodeSummary> nodes;
	// Pages that are no longer of nodes afterwards stay what they were for as long as the epoch is held.
	std::shared_ptr<Epoch> epoch;
	std::vector<PageId> pages;
	std::vector<NodeId> entries;
	{
		const std::shared_lock<std::shared_mutex> guard(impl->state_mutex);
		epoch = impl->epoch;
		entries = graph.entries;
		for (const auto &[begin, page_count] : impl->node_pages.All()) {
			const uint32_t from = std::max(begin, first.value / per_page);
			for (uint32_t page = from; page < begin + page_count && pages.size() <= count / per_page; page++) {
				pages.push_back(PageId(page));
			}
		}
	}
	PageCacheCounters counters;
	for (const PageId page : pages) {
		const PageRef present = graph.cache->Pin(graph.file_key, page, PageKind::NODES, counters);
		for (uint32_t place = 0; place < per_page && nodes.size() < count; place++) {
			const NodeId id(page.value * per_page + place);
			const NodeView view(graph.layout, present.data(), id, graph.node_end);
			// A place that was never used has neither row nor edges.
			if (id.value < first.value || (view.Row() == NO_ROW && view.Degree() == 0)) {
				continue;
			}
			NodeSummary node;
			node.node = id;
			node.page = page;
			node.row_id = RowOf(view.Row());
			node.is_entry = std::find(entries.begin(), entries.end(), id) != entries.end();
			node.neighbors = NeighborsOf(view);
			for (uint32_t i = 0; i < view.Degree(); i++) {
				node.is_fill.push_back(view.IsFill(i));
			}
			if (node.row_id) {
				const std::shared_lock<std::shared_mutex> guard(impl->state_mutex);
				node.is_deleted = impl->tombstones.Contains(*node.row_id);
			}
			nodes.push_back(std::move(node));
		}
	}
	return nodes;
}

std::vector<TraceStep> AnnIndex::Trace(const float *query, uint32_t list_size) {
	const Graph &graph = impl->graph;
	std::shared_ptr<Epoch> epoch;
	std::optional<BeamSearch> search;
	{
		const std::shared_lock<std::shared_mutex> guard(impl->state_mutex);
		epoch = impl->epoch;
		search.emplace(graph, query, 1);
	}
	search->Expand(list_size);
	std::vector<TraceStep> steps;
	std::unordered_map<uint32_t, NodeId> named_by;
	PageCacheCounters counters;
	for (const Visit &visit : search->Visits()) {
		TraceStep step;
		step.node = visit.node;
		step.row_id = RowOf(visit.row_id);
		step.distance = visit.distance;
		const auto named = named_by.find(visit.node.value);
		if (named != named_by.end()) {
			step.from = named->second;
		}
		steps.push_back(step);
		const PageId id = graph.layout.PageOf(visit.node);
		const PageRef page = graph.cache->Pin(graph.file_key, id, PageKind::NODES, counters);
		for (const NodeId neighbor : NeighborsOf(NodeView(graph.layout, page.data(), visit.node, graph.node_end))) {
			named_by.emplace(neighbor.value, visit.node);
		}
	}
	return steps;
}

std::vector<FilePart> AnnIndex::FileParts() {
	const std::lock_guard<std::mutex> write_guard(impl->write_mutex);
	const std::shared_lock<std::shared_mutex> guard(impl->state_mutex);
	uint64_t retired_count = 0;
	for (const RetiredPages &retired : impl->retired) {
		retired_count += retired.pages.Count();
	}
	const uint64_t size = impl->file->SizeBytes();
	const uint64_t slot_count = size > FILE_HEAD_SIZE ? (size - FILE_HEAD_SIZE) / impl->file->PageSize() : 0;
	std::vector<FilePart> parts = {
	    {"nodes", impl->node_pages.Count()}, {"retired", retired_count}, {"free", impl->file->FreeSlotCount()}};
	uint64_t known = 0;
	for (const FilePart &part : parts) {
		known += part.block_count;
	}
	parts.push_back({"maps and lists", slot_count - std::min(slot_count, known)});
	return parts;
}

} // namespace lm_diskann
