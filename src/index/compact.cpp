#include "base/error.hpp"
#include "graph/search.hpp"
#include "index/maintenance.hpp"

#include <algorithm>
#include <limits>

namespace lm_diskann {

namespace {

//! Pages a compact looks at between two questions whether to stop, and edits it applies at once.
constexpr size_t COMPACT_PAGES = 64, COMPACT_EDITS = 256;
//! Rows that are taken out of the row map at once, which bounds the memory.
constexpr size_t ERASED_AT_ONCE = 65536;

} // namespace

void Maintenance::StartCompact() {
	auto compact = std::make_unique<CompactState>();
	ExtentSet pages;
	{
		const std::shared_lock<std::shared_mutex> guard(state.state_mutex);
		compact->dead_rows.Merge(state.tombstones);
		compact->dead_nodes.Merge(state.cleared_nodes);
		pages = state.node_pages;
	}
	// Only maintenance changes the row map.
	const RadixMap row_map(RowMapSpace(file), state.stored.row_map);
	compact->dead_rows.ForEach([&](RowId row_id) {
		if (const std::optional<uint64_t> node = row_map.Find(RowMapKey(row_id))) {
			compact->dead_nodes.Insert(AsSetMember(NodeId(uint32_t(*node))));
		}
	});
	for (const auto &[first, count] : pages.All()) {
		compact->pages.push_back({first, count});
	}
	compact->page_count = pages.Count();
	if (compact->dead_nodes.Count() == 0) {
		compact->extent = compact->pages.size();
	}
	const std::unique_lock<std::shared_mutex> guard(state.state_mutex);
	state.compact = std::move(compact);
}

bool Maintenance::Compact(const std::function<bool()> &is_stopped) {
	ReleaseRetired();
	if (!state.compact) {
		StartCompact();
		if (state.compact->dead_rows.Count() == 0 && state.compact->dead_nodes.Count() == 0) {
			const std::unique_lock<std::shared_mutex> guard(state.state_mutex);
			state.compact.reset();
			return false;
		}
	}
	try {
		Sweep(is_stopped);
	} catch (...) {
		// Repairs that were planned and not applied are behind the place it had come to: it begins anew.
		const std::unique_lock<std::shared_mutex> guard(state.state_mutex);
		state.compact.reset();
		throw;
	}
	if (state.compact->extent < state.compact->pages.size()) {
		return true;
	}
	FinishCompact();
	ReleaseRetired();
	return false;
}

ConsolidateParameters Maintenance::ParametersOf(const CompactState &compact) const {
	ConsolidateParameters parameters;
	parameters.alpha = state.configuration.alpha;
	parameters.is_dead = [&](NodeId node) { return compact.dead_nodes.Contains(AsSetMember(node)); };
	const std::shared_lock<std::shared_mutex> guard(state.state_mutex);
	for (const NodeId entry : graph.entries) {
		if (entry != NO_NODE && parameters.is_dead(entry)) {
			parameters.dead_entries.Insert(entry);
		}
	}
	return parameters;
}

void Maintenance::Sweep(const std::function<bool()> &is_stopped) {
	CompactState &compact = *state.compact;
	const ConsolidateParameters parameters = ParametersOf(compact);
	ConsolidateBatch batch(graph, parameters);
	const uint32_t per_page = graph.layout.nodes_per_page;
	const auto apply = [&] {
		const std::lock_guard<std::mutex> write_guard(state.write_mutex);
		try {
			state.counters.blocks_written += batch.Apply();
			// At once: what is published next may be all that is left of this compact.
			AnchorOrphans(batch);
			const std::unique_lock<std::shared_mutex> guard(state.state_mutex);
			state.is_unpublished = true;
		} catch (...) {
			state.MarkUnhealthy("a compact stopped half-way");
			throw;
		}
	};
	for (size_t i = 0; compact.extent < compact.pages.size(); i++) {
		if (i % COMPACT_PAGES == 0) {
			state.activity_share = float(double(compact.pages_done) / double(compact.page_count));
			compact.batch_bytes = batch.MemoryBytes();
			if (is_stopped()) {
				break;
			}
		}
		compact.pages_done++;
		const Extent &extent = compact.pages[compact.extent];
		const uint32_t page = extent.first + compact.place;
		for (uint32_t place = 0; place < per_page; place++) {
			const NodeId node(page * per_page + place);
			if (!parameters.is_dead(node) && batch.Plan(node)) {
				compact.live_node = node;
			}
		}
		if (++compact.place == extent.count) {
			compact.place = 0;
			compact.extent++;
		}
		if (batch.EditCount() >= COMPACT_EDITS) {
			apply();
		}
	}
	if (batch.EditCount() > 0) {
		apply();
	}
	compact.batch_bytes = 0;
}

void Maintenance::AnchorOrphans(ConsolidateBatch &from) {
	const ConsolidateParameters parameters;
	ConsolidateBatch batch(graph, parameters);
	do {
		for (const Orphan &orphan : from.TakeOrphans()) {
			batch.PlanAnchor(orphan);
			state.counters.blocks_written += batch.Apply();
		}
	} while (from.OrphanNextBranch());
}

NodeId Maintenance::FindEntry(size_t reference, const CompactState &compact) const {
	BeamSearch search(graph, graph.quantizer.Reference(reference), 1);
	search.Expand(state.configuration.l_build);
	NodeId nearest = compact.live_node;
	float distance = std::numeric_limits<float>::infinity();
	for (const Visit &visit : search.Visits()) {
		if (!compact.dead_nodes.Contains(AsSetMember(visit.node)) && visit.row_id != NO_ROW &&
		    visit.distance < distance) {
			nearest = visit.node;
			distance = visit.distance;
		}
	}
	return nearest;
}

bool Maintenance::IsPageDead(PageId page, const RowSet &dead_nodes) const {
	const NodeLayout &layout = graph.layout;
	PageCacheCounters counters;
	const PageRef present = graph.cache->Pin(graph.file_key, page, PageKind::NODES, counters);
	for (uint32_t place = 0; place < layout.nodes_per_page; place++) {
		const NodeId node(page.value * layout.nodes_per_page + place);
		const NodeView view(layout, present.data(), node, graph.node_end);
		// One without row and edges may have edges to it. Only maintenance changes that set.
		const bool is_used =
		    view.Row() != NO_ROW || view.Degree() > 0 || state.cleared_nodes.Contains(AsSetMember(node));
		if (is_used && !dead_nodes.Contains(AsSetMember(node))) {
			return false;
		}
	}
	return true;
}

ExtentSet Maintenance::RemoveNodes(const RowSet &dead_nodes) {
	const NodeLayout &layout = graph.layout;
	ExtentSet removed;
	// Those of one page.
	std::vector<NodeId> together;
	const auto remove = [&] {
		const PageId page = layout.PageOf(together.front());
		if (IsPageDead(page, dead_nodes)) {
			const bool is_added = removed.Add({page.value, 1});
			LMD_CHECK(is_added, "a page is removed once");
		} else {
			ChangePage(graph, page, [&](uint8_t *bytes) {
				for (const NodeId node : together) {
					WipeNode(layout, bytes, node);
				}
			});
		}
		together.clear();
	};
	dead_nodes.ForEach([&](RowId member) {
		const NodeId node(uint32_t(member.value));
		if (!together.empty() && layout.PageOf(together.front()) != layout.PageOf(node)) {
			remove();
		}
		together.push_back(node);
	});
	if (!together.empty()) {
		remove();
	}
	return removed;
}

std::vector<NodeId> Maintenance::FindEntries(const CompactState &compact) const {
	std::vector<NodeId> entries;
	{
		const std::shared_lock<std::shared_mutex> guard(state.state_mutex);
		entries = graph.entries;
	}
	for (size_t reference = 0; reference < entries.size(); reference++) {
		if (entries[reference] != NO_NODE && compact.dead_nodes.Contains(AsSetMember(entries[reference]))) {
			entries[reference] = FindEntry(reference, compact);
		}
	}
	return entries;
}

void Maintenance::ReplaceEntries(const std::vector<NodeId> &entries, const ConsolidateParameters &parameters) {
	const std::vector<NodeId> former = graph.entries;
	{
		// Where orphans are looked for, and searches begin from now on.
		const std::unique_lock<std::shared_mutex> guard(state.state_mutex);
		graph.entries = entries;
		state.is_graph_changed = true;
		state.is_unpublished = true;
	}
	ConsolidateBatch children(graph, parameters);
	// One node may be the entry of several references.
	NodeSet orphaned;
	for (size_t i = 0; i < former.size(); i++) {
		if (parameters.dead_entries.Contains(former[i]) && entries[i] != NO_NODE && orphaned.Insert(former[i])) {
			children.OrphanChildrenOf(former[i], entries[i]);
		}
	}
	AnchorOrphans(children);
}

Maintenance::ErasedRows Maintenance::EraseRows(const CompactState &compact, RadixMap &row_map) {
	ErasedRows rows;
	std::vector<uint64_t> keys;
	const auto erase = [&] {
		row_map.Erase(keys);
		keys.clear();
	};
	compact.dead_rows.ForEach([&](RowId row_id) {
		const std::optional<uint64_t> node = row_map.Find(RowMapKey(row_id));
		if (!node) {
			return;
		}
		if (!compact.dead_nodes.Contains(AsSetMember(NodeId(uint32_t(*node))))) {
			rows.returned.Insert(row_id);
			return;
		}
		rows.erased.Insert(row_id);
		keys.push_back(RowMapKey(row_id));
		if (keys.size() == ERASED_AT_ONCE) {
			erase();
		}
	});
	erase();
	return rows;
}

void Maintenance::RetireNodes(const CompactState &compact, const ErasedRows &rows, const ExtentSet &removed) {
	compact.dead_rows.ForEach([&](RowId row_id) {
		if (!rows.returned.Contains(row_id)) {
			state.is_tombstones_changed |= state.tombstones.Erase(row_id);
		}
	});
	compact.dead_nodes.ForEach([&](RowId node) { state.cleared_nodes.Erase(node); });
	for (const auto &[first, count] : removed.All()) {
		for (uint32_t i = 0; i < count; i++) {
			state.node_pages.Remove(first + i);
		}
	}
	// Searches that began before may still follow edges to what was removed.
	auto next = std::make_shared<Epoch>();
	state.epoch->removed_rows.Merge(rows.erased);
	state.epoch->next = next;
	state.retired.push_back({state.epoch, removed});
	state.epoch = std::move(next);
}

void Maintenance::FinishCompact() {
	const CompactState &compact = *state.compact;
	const std::vector<NodeId> entries = FindEntries(compact);
	const ConsolidateParameters parameters = ParametersOf(compact);
	const std::lock_guard<std::mutex> write_guard(state.write_mutex);
	try {
		ReplaceEntries(entries, parameters);
		ChangedRowMap changed(file, state.stored.row_map);
		const ErasedRows rows = EraseRows(compact, changed.map);
		const ExtentSet removed = RemoveNodes(compact.dead_nodes);
		{
			const std::unique_lock<std::shared_mutex> guard(state.state_mutex);
			RetireNodes(compact, rows, removed);
			state.stored.row_map = changed.map.Root();
			state.stored.node_count -= rows.erased.Count();
			state.is_graph_changed = true;
			state.is_unpublished = true;
			state.compact.reset();
		}
		changed.FreeReleased();
	} catch (...) {
		state.MarkUnhealthy("a compact stopped half-way");
		throw;
	}
}

bool AnnIndex::Compact(const std::function<bool()> &is_stopped) {
	return Maintenance(*impl, Activity::COMPACTING).Compact(is_stopped);
}

void AnnIndex::Scrub() {
	const std::lock_guard<std::mutex> guard(impl->write_mutex);
	impl->file->ScrubFreeSlots();
}

} // namespace lm_diskann
