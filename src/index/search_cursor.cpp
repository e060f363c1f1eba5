#include "base/error.hpp"
#include "graph/search.hpp"
#include "index/delta_scan.hpp"
#include "index/index_state.hpp"

#include <algorithm>

namespace lm_diskann {

namespace {

//! A list for all rows within a radius has room for this fraction of them more.
constexpr size_t RANGE_MARGIN = 4;

bool IsNearer(const Neighbor &a, const Neighbor &b) {
	return a.distance < b.distance || (a.distance == b.distance && a.row_id < b.row_id);
}

} // namespace

struct SearchCursor::Impl {
	Impl(std::shared_ptr<AnnIndex> index_p, AnnIndex::Impl &state_p, const float *query, size_t k_p,
	     uint32_t list_size_p, uint32_t beam_width)
	    : index(std::move(index_p)), state(state_p), k(k_p), list_size(list_size_p) {
		const std::shared_lock<std::shared_mutex> guard(state.state_mutex);
		epoch = state.epoch;
		merge_count = state.merge_count;
		dimension = state.calibration.dimension;
		search.emplace(state.graph, query, beam_width);
		delta.emplace(state.delta, state.configuration, query);
	}
	~Impl() {
		const SearchCounters total = Counters();
		IndexCounters &sums = state.counters;
		sums.queries++;
		sums.hops += total.hops;
		sums.blocks_read += total.blocks_read;
		sums.cache_hits += total.cache_hits;
		sums.distances_exact += total.distances_exact;
		sums.distances_estimated += total.distances_estimated;
	}

	SearchCounters Counters() const {
		SearchCounters total = search->Counters();
		total.distances_exact += delta->ExactCount();
		total.distances_estimated += delta->EstimatedCount();
		return total;
	}

	//! Moves what the traversal expanded since the last call to the pending rows, without the dead ones.
	void CollectVisits() {
		const std::shared_lock<std::shared_mutex> guard(state.state_mutex);
		const bool has_merged = merge_count != state.merge_count;
		const std::vector<Visit> &visits = search->Visits();
		for (; collected < visits.size(); collected++) {
			const RowId row_id = visits[collected].row_id;
			if (row_id == NO_ROW) {
				continue;
			}
			state.CheckNodeRow(row_id);
			if (accepts && !accepts(row_id)) {
				continue;
			}
			accepted_count++;
			// What is in the delta, or was when it was scanned, is an answer from there.
			if (WasTakenOut(row_id) || state.tombstones.Contains(row_id) || state.delta.Contains(row_id) ||
			    state.arriving.Contains(row_id) || (has_merged && delta->Scanned(row_id))) {
				continue;
			}
			pending.push_back({visits[collected].distance, row_id});
		}
	}

	//! state_mutex is held.
	bool WasTakenOut(RowId row_id) const {
		for (const Epoch *past = epoch.get(); past != state.epoch.get(); past = past->next.get()) {
			if (past->removed_rows.Contains(row_id)) {
				return true;
			}
		}
		return false;
	}

	bool StartAtAllEntries() {
		const std::shared_lock<std::shared_mutex> guard(state.state_mutex);
		return search->StartAt(state.graph.entries);
	}

	void SetFilter(std::function<bool(RowId)> accepts_p, uint32_t list_size_p) {
		accepts = std::move(accepts_p);
		k = 0;
		list_size = std::max<uint32_t>(list_size_p, 1);
		// What was returned before was no part of this list.
		returned = 0;
		search->SetFilter([this](RowId row_id) { return row_id != NO_ROW && accepts(row_id); }, list_size);
		pending.erase(std::remove_if(pending.begin(), pending.end(),
		                             [&](const Neighbor &neighbor) { return !accepts(neighbor.row_id); }),
		              pending.end());
		delta->Filter(accepts);
	}

	bool Advance(size_t visit_max) {
		search->Expand(list_size, visit_max);
		CollectVisits();
		return search->ListIsExhausted();
	}

	std::vector<Neighbor> Next(size_t count) {
		if (list_size < returned + count) {
			list_size = uint32_t(std::min<size_t>(UINT32_MAX / 2, std::max(returned + count, size_t(list_size) * 2)));
		}
		if (returned + count <= k) {
			search->ExpandTo(SearchLimit::For(list_size, k, dimension));
		} else {
			search->Expand(list_size);
		}
		CollectVisits();
		while (pending.size() + delta->LeftCount() < count && (!search->IsExhausted() || StartAtAllEntries())) {
			list_size = uint32_t(std::min<size_t>(UINT32_MAX / 2, size_t(list_size) * 2));
			search->Expand(list_size);
			CollectVisits();
		}
		TakeFromDelta(count);
		const size_t found = std::min(count, pending.size());
		std::partial_sort(pending.begin(), pending.begin() + found, pending.end(), IsNearer);
		std::vector<Neighbor> nearest(pending.begin(), pending.begin() + found);
		pending.erase(pending.begin(), pending.begin() + found);
		returned += found;
		return nearest;
	}

	//! Every row of the delta that is among the `count` nearest becomes pending.
	void TakeFromDelta(size_t count) {
		if (count == 0 || delta->LeftCount() == 0) {
			return;
		}
		if (pending.size() < count) {
			delta->TakeLowest(count - pending.size(), pending);
		}
		if (count <= pending.size()) {
			const auto last = pending.begin() + ptrdiff_t(count) - 1;
			std::nth_element(pending.begin(), last, pending.end(), IsNearer);
			delta->TakeWithin(last->distance, pending);
		}
	}

	//! Grows the list until it holds all visited nodes within the radius and `beyond` more; false: it does already.
	bool GrowList(float radius, uint32_t beyond) {
		const std::vector<Visit> &visits = search->Visits();
		for (; measured < visits.size(); measured++) {
			within_count += visits[measured].distance <= radius ? 1 : 0;
		}
		// Estimates near the border are wrong for a share of the nodes.
		const size_t wanted = within_count + std::max<size_t>(beyond, within_count / RANGE_MARGIN);
		if (wanted <= list_size) {
			return false;
		}
		list_size = uint32_t(std::min<size_t>(UINT32_MAX / 2, wanted));
		return true;
	}

	std::vector<Neighbor> NextWithin(float radius, size_t visit_max, bool &is_complete) {
		if (range_margin == 0) {
			range_margin = list_size;
		}
		is_complete = false;
		while (!is_complete && search->Visits().size() < visit_max) {
			if (Advance(visit_max) && !GrowList(radius, range_margin)) {
				is_complete = !search->IsExhausted() || !StartAtAllEntries();
			}
		}
		CollectVisits();
		delta->TakeWithin(radius, pending);
		delta->DropAll();
		std::vector<Neighbor> found;
		for (const Neighbor &neighbor : pending) {
			if (neighbor.distance <= radius) {
				found.push_back(neighbor);
			}
		}
		pending.clear();
		returned += found.size();
		return found;
	}

	std::shared_ptr<AnnIndex> index;
	AnnIndex::Impl &state;
	//! Keeps pages that this search may meet from being given to others.
	std::shared_ptr<Epoch> epoch;
	uint64_t merge_count = 0;
	std::optional<BeamSearch> search;
	//! Empty: all rows are returned.
	std::function<bool(RowId)> accepts;
	//! Rows that the limit of the search may be made for; 0: with a filter, none.
	size_t k;
	uint32_t list_size;
	//! Of the calibration when the search began.
	float dimension = 0;
	//! Found and not yet returned: rows of the graph, and those of the delta that may be among the next.
	std::vector<Neighbor> pending;
	//! The others of the delta.
	std::optional<DeltaScan> delta;
	size_t collected = 0;
	//! Of the collected, since the filter was set.
	size_t accepted_count = 0;
	size_t returned = 0;
	//! Of a search within a radius: visited nodes that were compared with it, those that are within, and what the list
	//! holds beyond them.
	size_t measured = 0;
	size_t within_count = 0;
	uint32_t range_margin = 0;
};

SearchCursor::SearchCursor(std::unique_ptr<Impl> impl_p) : impl(std::move(impl_p)) {
}
SearchCursor::SearchCursor(SearchCursor &&) noexcept = default;
SearchCursor::~SearchCursor() = default;

std::vector<Neighbor> SearchCursor::Next(size_t count) {
	return impl->Next(count);
}

void SearchCursor::SetFilter(std::function<bool(RowId)> accepts, uint32_t list_size) {
	impl->SetFilter(std::move(accepts), list_size);
}

bool SearchCursor::Advance(size_t visit_max) {
	return impl->Advance(visit_max);
}

void SearchCursor::Widen(uint32_t list_size) {
	impl->list_size = std::max(impl->list_size, list_size);
}

std::vector<Neighbor> SearchCursor::NextWithin(float radius, size_t visit_max, bool &is_complete) {
	return impl->NextWithin(radius, visit_max, is_complete);
}

SearchProgress SearchCursor::Progress() const {
	return {impl->search->Visits().size(), impl->accepted_count, impl->search->ListedCount()};
}

SearchCounters SearchCursor::Counters() const {
	return impl->Counters();
}

SearchCursor AnnIndex::Search(const float *query, size_t k, uint32_t l_search, uint32_t beam_width) {
	const auto list_size = uint32_t(std::min<size_t>(UINT32_MAX / 2, std::max<size_t>({l_search, k, 1})));
	return SearchCursor(
	    std::make_unique<SearchCursor::Impl>(shared_from_this(), *impl, query, k, list_size, beam_width));
}

} // namespace lm_diskann
