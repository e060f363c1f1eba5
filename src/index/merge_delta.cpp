#include "base/checksum.hpp"
#include "base/error.hpp"
#include "index/maintenance.hpp"
#include "vector/convert.hpp"
#include "vector/distance.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <tuple>
#include <unordered_map>

namespace lm_diskann {

namespace {

//! Rows of a batch, and what its vectors and edges may take of memory, as far as that leaves the first number of rows.
constexpr size_t BATCH_ROWS_MIN = 512, BATCH_ROWS_MAX = 2048;
constexpr uint64_t BATCH_BYTES = uint64_t(32) << 20;

//! The places of nodes in `pages`, ascending.
std::vector<NodeId> PlacesIn(const ExtentSet &pages, uint32_t nodes_per_page) {
	std::vector<NodeId> places;
	for (const auto &[first, count] : pages.All()) {
		for (uint32_t i = 0; i < count * nodes_per_page; i++) {
			places.push_back(NodeId(first * nodes_per_page + i));
		}
	}
	return places;
}

} // namespace

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

ExtentSet Maintenance::ReserveNodePages(size_t count) {
	const std::lock_guard<std::mutex> write_guard(state.write_mutex);
	const uint32_t per_page = graph.layout.nodes_per_page;
	const auto page_count = uint32_t((count + per_page - 1) / per_page);
	ExtentSet pages = file.ReserveAnyPages(page_count);
	const uint64_t end = uint64_t(file.PageIdEnd()) * per_page;
	if (end >= NO_NODE.value) {
		throw FileError("the index file has no node numbers left; rebuild the index");
	}
	graph.node_end = end;
	return pages;
}

void Maintenance::GiveBack(const ExtentSet &pages) {
	const std::lock_guard<std::mutex> write_guard(state.write_mutex);
	for (const auto &[first, count] : pages.All()) {
		for (uint32_t i = 0; i < count; i++) {
			file.FreePage(PageId(first + i));
		}
	}
}

bool Maintenance::Merge(size_t row_max, const std::function<bool()> &is_stopped) {
	ReleaseRetired();
	state.SpillDelta(AnnIndex::Impl::DELTA_BYTES_MAX);
	Delta::Rows rows;
	bool has_more = false;
	{
		const std::shared_lock<std::shared_mutex> guard(state.state_mutex);
		rows = state.delta.Oldest(row_max);
		const uint64_t delta_count = state.delta.Count();
		has_more = delta_count > rows.row_ids.size();
		state.merge_goal = std::max<uint64_t>(state.merge_goal, delta_count);
		state.activity_share = 1 - float(double(delta_count) / double(std::max<uint64_t>(1, state.merge_goal)));
	}
	if (!has_more) {
		state.merge_goal = 0;
	}
	if (rows.row_ids.empty()) {
		return false;
	}
	SortByPlace(rows);
	const uint32_t dims = graph.layout.dims;
	const bool is_float = graph.layout.element_type == ElementType::FLOAT32;
	const ExtentSet pages = ReserveNodePages(rows.row_ids.size());
	const std::vector<NodeId> places = PlacesIn(pages, graph.layout.nodes_per_page);
	std::vector<NewNode> nodes;
	float norm_max = graph.norm_max;
	for (size_t i = 0; i < rows.row_ids.size(); i++) {
		NewNode node;
		node.id = places[i];
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
	parameters.is_dead = [this](RowId row_id) { return IsDead(row_id); };
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

void Maintenance::SortByPlace(Delta::Rows &rows) const {
	const uint32_t dims = graph.layout.dims;
	const size_t count = rows.row_ids.size();
	const size_t vector_bytes = rows.vectors.size() / count;
	struct Place {
		uint16_t reference;
		//! The first row whose vector has the same checksum.
		size_t first;
		size_t row;
	};
	std::vector<Place> order;
	std::unordered_map<uint64_t, size_t> first_of;
	std::vector<float> widened(dims);
	std::vector<float> scratch;
	for (size_t i = 0; i < count; i++) {
		const uint8_t *vector = rows.vectors.data() + i * vector_bytes;
		if (graph.layout.element_type == ElementType::FLOAT32) {
			std::memcpy(widened.data(), vector, vector_bytes);
		} else {
			WidenInt8(reinterpret_cast<const int8_t *>(vector), widened.data(), dims);
		}
		const size_t first = first_of.emplace(Checksum({vector, vector_bytes}, 0), i).first->second;
		order.push_back({graph.quantizer.NearestReference(widened.data(), scratch), first, i});
	}
	std::sort(order.begin(), order.end(), [](const Place &a, const Place &b) {
		return std::tie(a.reference, a.first, a.row) < std::tie(b.reference, b.first, b.row);
	});
	Delta::Rows sorted;
	for (const Place &place : order) {
		sorted.row_ids.push_back(rows.row_ids[place.row]);
		sorted.sequences.push_back(rows.sequences[place.row]);
		const auto vector = rows.vectors.begin() + ptrdiff_t(place.row * vector_bytes);
		sorted.vectors.insert(sorted.vectors.end(), vector, vector + ptrdiff_t(vector_bytes));
	}
	rows = std::move(sorted);
}

std::vector<NodeId> Maintenance::ClearFormerNodes(const std::vector<RowId> &row_ids, const RadixMap &row_map) {
	std::vector<NodeId> cleared;
	for (const RowId row_id : row_ids) {
		if (RowMapKey(row_id) >= state.stored.graph_row_end) {
			continue;
		}
		if (const std::optional<uint64_t> node = row_map.Find(RowMapKey(row_id))) {
			cleared.push_back(NodeId(uint32_t(*node)));
			ChangePage(graph, graph.layout.PageOf(cleared.back()),
			           [&](uint8_t *page) { ClearRow(graph.layout, page, cleared.back()); });
		}
	}
	return cleared;
}

void Maintenance::ApplyMerge(const Delta::Rows &rows, const std::vector<NewNode> &nodes, MergeBatch &batch,
                             const ExtentSet &pages) {
	const std::lock_guard<std::mutex> write_guard(state.write_mutex);
	try {
		{
			// Searches may meet the new nodes before they are answers.
			const std::unique_lock<std::shared_mutex> guard(state.state_mutex);
			for (const NewNode &node : nodes) {
				state.stored.graph_row_end = std::max(state.stored.graph_row_end, RowMapKey(node.row_id) + 1);
				state.arriving.Insert(node.row_id);
			}
		}
		ChangedRowMap changed(file, state.stored.row_map);
		const std::vector<NodeId> cleared = ClearFormerNodes(rows.row_ids, changed.map);
		state.counters.blocks_written += batch.Apply() + cleared.size();
		std::vector<std::pair<uint64_t, uint64_t>> entries;
		entries.reserve(nodes.size());
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
			state.arriving = RowSet();
			for (const NodeId node : cleared) {
				state.cleared_nodes.Insert(AsSetMember(node));
			}
			if (state.compact) {
				// It may be that no other is left.
				state.compact->live_node = nodes.back().id;
			}
			state.node_pages.AddAll(pages);
			state.stored.row_map = changed.map.Root();
			state.stored.node_count += nodes.size() - cleared.size();
			state.merge_count++;
			state.is_delta_changed = true;
			state.is_graph_changed = true;
			state.is_unpublished = true;
		}
		state.counters.merges += nodes.size();
		state.counters.choice_distances += batch.ChoiceDistances();
		changed.FreeReleased();
	} catch (...) {
		state.MarkUnhealthy("a merge stopped half-way");
		throw;
	}
}

void AnnIndex::Impl::RequireHealthy() const {
	if (!is_healthy) {
		throw FileError(why.load());
	}
}

size_t AnnIndex::MergeBatchRows() const {
	// Copies of the vector: as it came, as bytes, and as a query. The codes of its edges fill a block.
	const NodeLayout &layout = impl->graph.layout;
	const uint64_t row_bytes = uint64_t(layout.dims) * (sizeof(float) + 1) +
	                           KeptQueries::MemoryBytes(impl->graph.quantizer, 1) +
	                           layout.page_size / layout.nodes_per_page;
	return std::clamp(size_t(BATCH_BYTES / row_bytes), BATCH_ROWS_MIN, BATCH_ROWS_MAX);
}

bool AnnIndex::Merge(size_t row_max, const std::function<bool()> &is_stopped) {
	return Maintenance(*impl, Activity::MERGING).Merge(row_max, is_stopped);
}

} // namespace lm_diskann
