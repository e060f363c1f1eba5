#include "storage/extent_set.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <iterator>

namespace lm_diskann {

bool ExtentSet::Add(Extent extent) {
	if (extent.count == 0) {
		return true;
	}
	uint64_t end = uint64_t(extent.first) + extent.count;
	auto next = extents.lower_bound(extent.first);
	bool is_outside = end > NUMBER_END || (next != extents.end() && next->first < end);
	if (is_outside) {
		return false;
	}
	auto previous = next == extents.begin() ? extents.end() : std::prev(next);
	bool touches_previous = false;
	if (previous != extents.end()) {
		uint64_t previous_end = uint64_t(previous->first) + previous->second;
		if (previous_end > extent.first) {
			return false;
		}
		touches_previous = previous_end == extent.first;
	}
	number_count += extent.count;
	uint32_t count = extent.count;
	if (next != extents.end() && next->first == end) {
		count += next->second;
		extents.erase(next);
	}
	if (touches_previous) {
		previous->second += count;
	} else {
		extents.emplace(extent.first, count);
	}
	return true;
}

void ExtentSet::AddAll(const ExtentSet &other) {
	for (const auto &[first, count] : other.extents) {
		bool is_added = Add(Extent {first, count});
		LMD_CHECK(is_added, "two sets of extents overlap");
	}
}

bool ExtentSet::Remove(uint32_t number) {
	auto after = extents.upper_bound(number);
	if (after == extents.begin()) {
		return false;
	}
	auto holder = std::prev(after);
	uint32_t first = holder->first;
	uint32_t before = number - first;
	if (before >= holder->second) {
		return false;
	}
	uint32_t behind = holder->second - before - 1;
	if (behind > 0) {
		extents.emplace_hint(after, number + 1, behind);
	}
	if (before > 0) {
		holder->second = before;
	} else {
		extents.erase(holder);
	}
	number_count--;
	return true;
}

bool ExtentSet::Contains(uint32_t number) const {
	return BeginOf(number).has_value();
}

bool ExtentSet::Overlaps(Extent extent) const {
	const uint64_t end = uint64_t(extent.first) + extent.count;
	auto after = extents.lower_bound(extent.first);
	const bool begins_inside = extent.count > 0 && after != extents.end() && after->first < end;
	return begins_inside || (extent.count > 0 && Contains(extent.first));
}

std::optional<uint32_t> ExtentSet::TakeRun(uint32_t count) {
	for (auto extent = extents.begin(); extent != extents.end(); ++extent) {
		if (extent->second < count) {
			continue;
		}
		Extent rest {extent->first + count, extent->second - count};
		uint32_t first = extent->first;
		auto next = extents.erase(extent);
		if (rest.count > 0) {
			extents.emplace_hint(next, rest.first, rest.count);
		}
		number_count -= count;
		return first;
	}
	return std::nullopt;
}

ExtentSet ExtentSet::TakeLowest(uint32_t count) {
	ExtentSet taken;
	while (taken.number_count < count && !extents.empty()) {
		const Extent lowest {extents.begin()->first, extents.begin()->second};
		const uint32_t part = std::min(lowest.count, count - uint32_t(taken.number_count));
		extents.erase(extents.begin());
		if (part < lowest.count) {
			extents.emplace(lowest.first + part, lowest.count - part);
		}
		number_count -= part;
		taken.extents.emplace(lowest.first, part);
		taken.number_count += part;
	}
	return taken;
}

std::optional<uint32_t> ExtentSet::BeginOf(uint32_t number) const {
	auto after = extents.upper_bound(number);
	if (after == extents.begin()) {
		return std::nullopt;
	}
	auto holder = std::prev(after);
	return number - holder->first < holder->second ? std::optional<uint32_t>(holder->first) : std::nullopt;
}

uint32_t ExtentSet::TakeTail(uint32_t end) {
	if (extents.empty()) {
		return end;
	}
	auto last = std::prev(extents.end());
	if (last->first + last->second != end) {
		return end;
	}
	uint32_t first = last->first;
	number_count -= last->second;
	extents.erase(last);
	return first;
}

void ExtentSet::Clear() {
	extents.clear();
	number_count = 0;
}

} // namespace lm_diskann
