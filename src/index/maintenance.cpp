// Merging the delta into the graph, and taking deleted rows out of it.
//
// Both plan a batch while everything goes on, and hold write_mutex only to apply it, so every published state lies
// between two batches. What moves from the delta to the graph does so for all searches at one moment: until then a row
// in both is an answer of the delta only, and a search that began before it drops what it meets again.
#include "base/error.hpp"
#include "graph/consolidate.hpp"
#include "graph/merge.hpp"
#include "graph/search.hpp"
#include "index/index_state.hpp"
#include "vector/distance.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace lm_diskann {

namespace {

//! Pages a compact looks at between two questions whether to stop, and edits it applies at once.
constexpr size_t COMPACT_PAGES = 64, COMPACT_EDITS = 256;

//! The row map with changes applied, and the pages of it that the present one no longer needs. Lookups use the former
//! root until it is replaced, so its pages go only afterwards.
struct ChangedRowMap {
	explicit ChangedRowMap(PageFile &file_p, const RadixRoot &root) : file(file_p), map(Space(), root) {
	}
	RadixPageSpace Space() {
		RadixPageSpace space = RowMapSpace(file);
		space.release = [this](uint64_t address) { released.push_back(PageId(uint32_t(address))); };
		return space;
	}
	void FreeReleased() {
		for (const PageId id : released) {
			file.FreePage(id);
		}
	}

	PageFile &file;
	std::vector<PageId> released;
	RadixMap map;
};

uint64_t RowMapKey(RowId row_id) {
	return uint64_t(row_id.value);
}

RowId AsSetMember(NodeId node) {
	return RowId(int64_t(node.value));
}

} // namespace

class Maintenance {
public:
	explicit Maintenance(AnnIndex::Impl &state_p) : state(state_p), graph(state_p.graph), file(*state_p.file) {
	}

	bool Merge(size_t row_max, const std::function<bool()> &is_stopped);
	bool Compact(const std::function<bool()> &is_stopped);

private:
	//! Frees what was retired and no search can meet any more.
	void ReleaseRetired();
	bool IsDead(RowId row_id) const;
	//! Consecutive pages for `count` new nodes.
	Extent ReserveNodePages(size_t count);
	void GiveBack(const Extent &pages);
	void ApplyMerge(const Delta::Rows &rows, const std::vector<NewNode> &nodes, MergeBatch &batch, const Extent &pages);
	//! Takes the rows from their former nodes, which stay as ways through the graph.
	std::vector<NodeId> ClearFormerNodes(const std::vector<RowId> &row_ids, const RadixMap &row_map);
	template <class CHANGE>
	void ChangePage(PageId id, CHANGE &&change);

	void StartCompact();
	void Sweep(const std::function<bool()> &is_stopped);
	void FinishCompact();
	//! A live node near the reference; NO_NODE: there is none at all.
	//! write_mutex is held.
	void AnchorOrphans(const std::vector<Orphan> &orphans);
	NodeId FindEntry(size_t reference, const CompactState &compact) const;
	//! Removes the dead nodes' pages, or wipes their places in pages that others live in. Returns the pages.
	ExtentSet RemoveNodes(const RowSet &dead_nodes);

	AnnIndex::Impl &state;
	Graph &graph;
	PageFile &file;
};

void Maintenance::ReleaseRetired() {
	const std::lock_guard<std::mutex> write_guard(state.write_mutex);
	std::vector<ExtentSet> released;
	{
		const std::unique_lock<std::shared_mutex> guard(state.state_mutex);
		while (!state.retired.empty() && state.retired.front().epoch.expired()) {
			released.push_back(std::move(state.retired.front().pages));
			state.retired.erase(state.retired.begin());
			state.is_graph_changed = true;
			state.is_unpublished = true;
		}
	}
	for (const ExtentSet &pages : released) {
		for (const auto &[first, count] : pages.All()) {
			for (uint32_t i = 0; i < count; i++) {
				graph.cache->Free(graph.file_key, PageId(first + i));
			}
		}
	}
}

bool Maintenance::IsDead(RowId row_id) const {
	if (row_id == NO_ROW) {
		return true;
	}
	const std::shared_lock<std::shared_mutex> guard(state.state_mutex);
	return state.tombstones.Contains(row_id);
}

template <class CHANGE>
void Maintenance::ChangePage(PageId id, CHANGE &&change) {
	AlignedBuffer<uint8_t> page(graph.layout.page_size);
	PageCacheCounters counters;
	{
		const PageRef present = graph.cache->Pin(graph.file_key, id, PageKind::NODES, counters);
		std::memcpy(page.data(), present.data(), page.size());
	}
	change(page.data());
	graph.cache->Put(graph.file_key, id, PageKind::NODES, page.span());
}

//===--------------------------------------------------------------------===//
// Merge
//===--------------------------------------------------------------------===//
Extent Maintenance::ReserveNodePages(size_t count) {
	const std::lock_guard<std::mutex> write_guard(state.write_mutex);
	const uint32_t per_page = graph.layout.nodes_per_page;
	const auto page_count = uint32_t((count + per_page - 1) / per_page);
	const PageId first = file.ReservePages(page_count);
	const uint64_t end = uint64_t(file.PageIdEnd()) * per_page;
	if (end >= NO_NODE.value) {
		throw FileError("the index file has no node numbers left; rebuild the index");
	}
	graph.node_end = end;
	return {first.value, page_count};
}

void Maintenance::GiveBack(const Extent &pages) {
	const std::lock_guard<std::mutex> write_guard(state.write_mutex);
	for (uint32_t i = 0; i < pages.count; i++) {
		file.FreePage(PageId(pages.first + i));
	}
}

bool Maintenance::Merge(size_t row_max, const std::function<bool()> &is_stopped) {
	ReleaseRetired();
	Delta::Rows rows;
	bool has_more = false;
	{
		const std::shared_lock<std::shared_mutex> guard(state.state_mutex);
		rows = state.delta.Oldest(row_max);
		has_more = state.delta.Count() > rows.row_ids.size();
	}
	if (rows.row_ids.empty()) {
		return false;
	}
	const uint32_t dims = graph.layout.dims;
	const bool is_float = graph.layout.element_type == ElementType::FLOAT32;
	const Extent pages = ReserveNodePages(rows.row_ids.size());
	std::vector<NewNode> nodes;
	float norm_max = graph.norm_max;
	for (size_t i = 0; i < rows.row_ids.size(); i++) {
		NewNode node;
		node.id = NodeId(uint32_t(pages.first * graph.layout.nodes_per_page + i));
		node.row_id = rows.row_ids[i];
		if (is_float) {
			node.floats = reinterpret_cast<const float *>(rows.vectors.data()) + i * dims;
			norm_max = std::max(norm_max, std::sqrt(InnerProduct(node.floats, node.floats, dims)));
		} else {
			node.bytes = reinterpret_cast<const int8_t *>(rows.vectors.data()) + i * dims;
			norm_max = std::max(norm_max, std::sqrt(InnerProduct(node.bytes, node.bytes, dims)));
		}
		nodes.push_back(node);
	}
	{
		const std::unique_lock<std::shared_mutex> guard(state.state_mutex);
		graph.norm_max = norm_max;
	}
	MergeParameters parameters;
	parameters.list_size = state.configuration.l_build;
	parameters.alpha = state.configuration.alpha;
	parameters.is_dead = [this](NodeId, RowId row_id) { return IsDead(row_id); };
	parameters.is_stopped = is_stopped;
	MergeBatch batch(graph, parameters, nodes);
	bool is_planned = false;
	try {
		is_planned = batch.Plan();
	} catch (...) {
		GiveBack(pages);
		throw;
	}
	if (!is_planned) {
		GiveBack(pages);
		return true;
	}
	ApplyMerge(rows, nodes, batch, pages);
	return has_more;
}

std::vector<NodeId> Maintenance::ClearFormerNodes(const std::vector<RowId> &row_ids, const RadixMap &row_map) {
	std::vector<NodeId> cleared;
	for (const RowId row_id : row_ids) {
		if (RowMapKey(row_id) >= state.stored.graph_row_end) {
			continue;
		}
		if (const std::optional<uint64_t> node = row_map.Find(RowMapKey(row_id))) {
			cleared.push_back(NodeId(uint32_t(*node)));
			ChangePage(graph.layout.PageOf(cleared.back()),
			           [&](uint8_t *page) { ClearRow(graph.layout, page, cleared.back()); });
		}
	}
	return cleared;
}

void Maintenance::ApplyMerge(const Delta::Rows &rows, const std::vector<NewNode> &nodes, MergeBatch &batch,
                             const Extent &pages) {
	const std::lock_guard<std::mutex> write_guard(state.write_mutex);
	try {
		ChangedRowMap changed(file, state.stored.row_map);
		const std::vector<NodeId> cleared = ClearFormerNodes(rows.row_ids, changed.map);
		state.counters.blocks_written += batch.Apply() + cleared.size();
		std::vector<std::pair<uint64_t, uint64_t>> entries;
		for (const NewNode &node : nodes) {
			entries.emplace_back(RowMapKey(node.row_id), node.id.value);
		}
		std::sort(entries.begin(), entries.end());
		changed.map.Assign(entries);
		{
			const std::unique_lock<std::shared_mutex> guard(state.state_mutex);
			for (size_t i = 0; i < nodes.size(); i++) {
				const RowId row_id = nodes[i].row_id;
				if (state.delta.Erase(row_id, rows.sequences[i])) {
					state.is_tombstones_changed |= state.tombstones.Erase(row_id);
				} else {
					// Deleted or replaced meanwhile: the new node was never an answer.
					state.is_tombstones_changed |= state.tombstones.Insert(row_id);
				}
				NodeId &entry = graph.entries[batch.ReferenceOf(i)];
				entry = entry == NO_NODE ? nodes[i].id : entry;
			}
			for (const NodeId node : cleared) {
				state.cleared_nodes.Insert(AsSetMember(node));
			}
			const bool is_added = state.node_pages.Add(pages);
			LMD_CHECK(is_added, "a page of nodes was in use");
			state.stored.row_map = changed.map.Root();
			state.stored.graph_row_end = std::max(state.stored.graph_row_end, entries.back().first + 1);
			state.stored.node_count += nodes.size() - cleared.size();
			state.merge_count++;
			state.is_delta_changed = true;
			state.is_graph_changed = true;
			state.is_unpublished = true;
		}
		state.counters.merges += nodes.size();
		changed.FreeReleased();
	} catch (...) {
		state.MarkUnhealthy("a merge stopped half-way");
		throw;
	}
}

//===--------------------------------------------------------------------===//
// Compact
//===--------------------------------------------------------------------===//
void Maintenance::StartCompact() {
	auto compact = std::make_unique<CompactState>();
	ExtentSet pages;
	{
		const std::shared_lock<std::shared_mutex> guard(state.state_mutex);
		state.tombstones.ForEach([&](RowId row_id) { compact->dead_rows.emplace_back(row_id, std::nullopt); });
		state.cleared_nodes.ForEach([&](RowId node) { compact->dead_nodes.Insert(node); });
		pages = state.node_pages;
	}
	// Only maintenance changes the row map.
	const RadixMap row_map(RowMapSpace(file), state.stored.row_map);
	for (auto &[row_id, node] : compact->dead_rows) {
		if (const std::optional<uint64_t> found = row_map.Find(RowMapKey(row_id))) {
			node = NodeId(uint32_t(*found));
			compact->dead_nodes.Insert(AsSetMember(*node));
		}
	}
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
		if (state.compact->dead_rows.empty() && state.compact->dead_nodes.Count() == 0) {
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

void Maintenance::Sweep(const std::function<bool()> &is_stopped) {
	CompactState &compact = *state.compact;
	ConsolidateParameters parameters;
	parameters.alpha = state.configuration.alpha;
	parameters.is_dead = [&](NodeId node) { return compact.dead_nodes.Contains(AsSetMember(node)); };
	ConsolidateBatch batch(graph, parameters);
	const uint32_t per_page = graph.layout.nodes_per_page;
	const auto apply = [&] {
		const std::lock_guard<std::mutex> write_guard(state.write_mutex);
		try {
			state.counters.blocks_written += batch.Apply();
			const std::unique_lock<std::shared_mutex> guard(state.state_mutex);
			state.is_unpublished = true;
		} catch (...) {
			state.MarkUnhealthy("a compact stopped half-way");
			throw;
		}
	};
	for (size_t i = 0; compact.extent < compact.pages.size(); i++) {
		if (i % COMPACT_PAGES == 0 && is_stopped()) {
			break;
		}
		const Extent &extent = compact.pages[compact.extent];
		const uint32_t page = extent.first + compact.place;
		for (uint32_t place = 0; place < per_page; place++) {
			const NodeId node(page * per_page + place);
			if (!parameters.is_dead(node) && batch.Plan(node)) {
				compact.live_node = node;
			}
		}
		compact.done_count++;
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
	compact.orphans.insert(compact.orphans.end(), batch.Orphans().begin(), batch.Orphans().end());
}

void Maintenance::AnchorOrphans(const std::vector<Orphan> &orphans) {
	const ConsolidateParameters parameters;
	ConsolidateBatch batch(graph, parameters);
	for (const Orphan &orphan : orphans) {
		batch.PlanAnchor(orphan);
		state.counters.blocks_written += batch.Apply();
	}
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

ExtentSet Maintenance::RemoveNodes(const RowSet &dead_nodes) {
	const NodeLayout &layout = graph.layout;
	ExtentSet removed;
	std::vector<NodeId> dead;
	dead_nodes.ForEach([&](RowId node) { dead.push_back(NodeId(uint32_t(node.value))); });
	for (size_t i = 0; i < dead.size();) {
		const PageId page = layout.PageOf(dead[i]);
		bool is_empty = true;
		PageCacheCounters counters;
		{
			const PageRef present = graph.cache->Pin(graph.file_key, page, PageKind::NODES, counters);
			for (uint32_t place = 0; place < layout.nodes_per_page; place++) {
				const NodeId node(page.value * layout.nodes_per_page + place);
				const NodeView view(layout, present.data(), node, graph.node_end);
				const bool is_used = view.Row() != NO_ROW || view.Degree() > 0;
				is_empty = is_empty && (!is_used || dead_nodes.Contains(AsSetMember(node)));
			}
		}
		const size_t begin = i;
		while (i < dead.size() && layout.PageOf(dead[i]) == page) {
			i++;
		}
		if (is_empty) {
			const bool is_added = removed.Add({page.value, 1});
			LMD_CHECK(is_added, "a page is removed once");
		} else {
			ChangePage(page, [&](uint8_t *bytes) {
				for (size_t k = begin; k < i; k++) {
					WipeNode(layout, bytes, dead[k]);
				}
			});
		}
	}
	return removed;
}

void Maintenance::FinishCompact() {
	CompactState &compact = *state.compact;
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
	const std::lock_guard<std::mutex> write_guard(state.write_mutex);
	try {
		const std::vector<NodeId> former = graph.entries;
		{
			// Where orphans are looked for, and searches begin from now on.
			const std::unique_lock<std::shared_mutex> guard(state.state_mutex);
			graph.entries = entries;
			state.is_graph_changed = true;
			state.is_unpublished = true;
		}
		ConsolidateParameters parameters;
		parameters.is_dead = [&](NodeId node) { return compact.dead_nodes.Contains(AsSetMember(node)); };
		ConsolidateBatch children(graph, parameters);
		for (size_t i = 0; i < former.size(); i++) {
			if (former[i] != NO_NODE && parameters.is_dead(former[i]) && entries[i] != NO_NODE) {
				children.OrphanChildrenOf(former[i], entries[i]);
			}
		}
		AnchorOrphans(children.Orphans());
		AnchorOrphans(compact.orphans);
		ChangedRowMap changed(file, state.stored.row_map);
		std::vector<uint64_t> erased;
		for (const auto &[row_id, node] : compact.dead_rows) {
			// A row that came back has another node by now.
			if (node && changed.map.Find(RowMapKey(row_id)) == std::optional<uint64_t>(node->value)) {
				erased.push_back(RowMapKey(row_id));
			}
		}
		std::sort(erased.begin(), erased.end());
		changed.map.Erase(erased);
		const ExtentSet removed = RemoveNodes(compact.dead_nodes);
		{
			const std::unique_lock<std::shared_mutex> guard(state.state_mutex);
			for (const auto &[row_id, node] : compact.dead_rows) {
				if (!node || std::binary_search(erased.begin(), erased.end(), RowMapKey(row_id))) {
					state.is_tombstones_changed |= state.tombstones.Erase(row_id);
				}
			}
			compact.dead_nodes.ForEach([&](RowId node) { state.cleared_nodes.Erase(node); });
			for (const auto &[first, count] : removed.All()) {
				for (uint32_t i = 0; i < count; i++) {
					state.node_pages.Remove(first + i);
				}
			}
			state.stored.row_map = changed.map.Root();
			state.stored.node_count -= erased.size();
			// Searches that began before may still follow edges to what was removed.
			auto next = std::make_shared<Epoch>();
			state.epoch->next = next;
			state.retired.push_back({state.epoch, removed});
			state.epoch = std::move(next);
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

void AnnIndex::Impl::RequireHealthy() const {
	if (!is_healthy) {
		throw FileError(why.load());
	}
}

bool AnnIndex::Merge(size_t row_max, const std::function<bool()> &is_stopped) {
	const std::lock_guard<std::mutex> guard(impl->maintenance_mutex);
	impl->RequireHealthy();
	return Maintenance(*impl).Merge(row_max, is_stopped);
}

bool AnnIndex::Compact(const std::function<bool()> &is_stopped) {
	const std::lock_guard<std::mutex> guard(impl->maintenance_mutex);
	impl->RequireHealthy();
	return Maintenance(*impl).Compact(is_stopped);
}

double AnnIndex::CompactProgress() const {
	const std::shared_lock<std::shared_mutex> guard(impl->state_mutex);
	if (!impl->compact || impl->compact->page_count == 0) {
		return 1;
	}
	return double(impl->compact->done_count) / double(impl->compact->page_count);
}

} // namespace lm_diskann
