#include "graph/build_cells.hpp"

#include "base/random.hpp"

#include <algorithm>
#include <numeric>

namespace lm_diskann {

namespace {

//! Members of a cell, on average, and of the uppermost level at most.
constexpr size_t CELL_MEMBERS = 64, TOP_MEMBERS = 1024;
//! Cells that a row is compared with, and of each no more members than these. With 16 cells of 128 or 24 of 64 recall
//! of 50,000 SIFT vectors falls by 0.002 at L = 24.
constexpr size_t PROBES = 32, PROBED_MAX = 512;
//! Cells among which the one of a member is chosen.
constexpr size_t GROUPING_PROBES = 8;
//! Positions around a row's own that it is always compared with.
constexpr size_t OWN_MARGIN = 64;

size_t ItemRows(const BuildSpace &space) {
	return NearestFinder::RowsMax(space.Dims(), GROUPING_PROBES);
}

} // namespace

BuildCells::BuildCells(const BuildSpace &space_p, uint64_t seed)
    : space(space_p), order(Random(seed).Permutation<uint32_t>(space_p.Count())) {
}

uint64_t BuildCells::MemoryBytes(size_t count) {
	// Order and cells while grouping; members and starts of all levels.
	return count * 2 * sizeof(uint32_t) + count * (CELL_MEMBERS + 2) / (CELL_MEMBERS - 1) * sizeof(uint32_t) + 1024;
}

bool BuildCells::StartLevel() {
	if (levels.empty()) {
		size_t top = order.size();
		while (top > TOP_MEMBERS) {
			top = (top + CELL_MEMBERS - 1) / CELL_MEMBERS;
		}
		std::sort(order.begin(), order.begin() + ptrdiff_t(top));
		levels.emplace_back();
		std::transform(order.begin(), order.begin() + ptrdiff_t(top), std::back_inserter(levels.back().members),
		               [](uint32_t node) { return NodeId(node); });
		levels.back().members.shrink_to_fit();
	} else {
		PutIntoCells();
	}
	const size_t above = Members().size();
	if (above == order.size()) {
		order = std::vector<uint32_t>();
		cell_of = std::vector<uint32_t>();
		return false;
	}
	grouped_count = order.size();
	for (size_t next; (next = (grouped_count + CELL_MEMBERS - 1) / CELL_MEMBERS) > above;) {
		grouped_count = next;
	}
	// Members come by number: neighbours in the file are neighbours in space.
	std::sort(order.begin(), order.begin() + ptrdiff_t(grouped_count));
	cell_of = std::vector<uint32_t>(grouped_count);
	return true;
}

size_t BuildCells::ItemCount() const {
	return (grouped_count + ItemRows(space) - 1) / ItemRows(space);
}

void BuildCells::GroupItem(size_t item) {
	const size_t begin = item * ItemRows(space);
	const size_t end = std::min(grouped_count, begin + ItemRows(space));
	std::vector<NodeId> nodes;
	std::transform(order.begin() + ptrdiff_t(begin), order.begin() + ptrdiff_t(end), std::back_inserter(nodes),
	               [](uint32_t node) { return NodeId(node); });
	NearestFinder finder(space);
	finder.SetRows(nodes, 0);
	Find(levels.size() - 1, 1, 0, 0, finder);
	std::vector<uint32_t> nearest;
	for (size_t i = 0; i < nodes.size(); i++) {
		finder.TakeFound(i, nearest);
		// Nothing is near what has a distance that is not a number.
		cell_of[begin + i] = nearest.empty() ? 0 : nearest[0];
	}
}

void BuildCells::PutIntoCells() {
	Level level;
	level.starts.resize(Members().size() + 1);
	for (const uint32_t cell : cell_of) {
		level.starts[cell + 1]++;
	}
	std::partial_sum(level.starts.begin(), level.starts.end(), level.starts.begin());
	level.members.resize(grouped_count);
	for (size_t i = 0; i < grouped_count; i++) {
		level.members[level.starts[cell_of[i]]++] = NodeId(order[i]);
	}
	// Each start is at its cell's end by now.
	std::copy_backward(level.starts.begin(), level.starts.end() - 1, level.starts.end());
	level.starts[0] = 0;
	levels.push_back(std::move(level));
}

void BuildCells::FindNearest(size_t begin, size_t end, size_t keep, NearestFinder &finder) const {
	finder.SetRows(Span<const NodeId>(Members().data() + begin, end - begin), uint32_t(begin));
	Find(levels.size() - 1, keep, begin, end, finder);
}

//! Leaves in `finder` the members of a level that are nearest to its rows, which are the members from own_begin to
//! own_end, or come from another level.
void BuildCells::Find(size_t depth, size_t keep, size_t own_begin, size_t own_end, NearestFinder &finder) const {
	const Level &level = levels[depth];
	const auto offer = [&](const std::vector<uint32_t> &rows, size_t begin, size_t end) {
		if (begin < end) {
			finder.Offer(rows, Span<const NodeId>(level.members.data() + begin, end - begin), uint32_t(begin));
		}
	};
	std::vector<uint32_t> rows(finder.RowCount());
	std::iota(rows.begin(), rows.end(), 0U);
	if (depth == 0) {
		finder.Start(keep);
		offer(rows, 0, level.members.size());
		return;
	}
	Find(depth - 1, own_begin < own_end ? PROBES : GROUPING_PROBES, 0, 0, finder);
	std::vector<std::pair<uint32_t, uint32_t>> wanted; // cell, row
	std::vector<uint32_t> cells;
	for (const uint32_t row : rows) {
		finder.TakeFound(row, cells);
		for (const uint32_t cell : cells) {
			wanted.emplace_back(cell, row);
		}
	}
	std::sort(wanted.begin(), wanted.end());
	// What most rows want is nearest, and the sooner that is found, the less of the rest is looked at.
	std::vector<std::pair<size_t, size_t>> groups; // rows, first in `wanted`
	for (size_t i = 0, begin = 0; i < wanted.size(); i++) {
		if (i + 1 == wanted.size() || wanted[i + 1].first != wanted[i].first) {
			groups.emplace_back(i + 1 - begin, begin);
			begin = i + 1;
		}
	}
	std::sort(groups.begin(), groups.end(), [](const auto &a, const auto &b) {
		return a.first != b.first ? a.first > b.first : a.second < b.second;
	});
	finder.Start(keep);
	const size_t near_begin = own_begin - std::min(own_begin, OWN_MARGIN);
	const size_t near_end = own_begin < own_end ? std::min(level.members.size(), own_end + OWN_MARGIN) : 0;
	offer(rows, own_begin, near_end);
	offer(rows, near_begin, own_begin);
	for (const auto &[count, first] : groups) {
		const uint32_t cell = wanted[first].first;
		rows.clear();
		for (size_t i = first; i < first + count; i++) {
			rows.push_back(wanted[i].second);
		}
		const size_t begin = level.starts[cell];
		const size_t end = std::min<size_t>(level.starts[cell + 1], begin + PROBED_MAX);
		offer(rows, begin, std::min(end, std::max(begin, near_begin)));
		offer(rows, std::max(begin, std::min(end, near_end)), end);
	}
}

} // namespace lm_diskann
