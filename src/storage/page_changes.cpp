#include "storage/page_changes.hpp"

#include <iterator>

namespace lm_diskann {

namespace {

PageRun Behind(const PageRun &run, uint32_t skipped) {
	PageRun rest {run.count - skipped, run.slot};
	if (rest.slot) {
		rest.slot->value += skipped;
	}
	return rest;
}

//! `second` begins at the id behind `first`: do they read as one run?
bool Continues(const PageRun &first, const PageRun &second) {
	if (first.slot.has_value() != second.slot.has_value()) {
		return false;
	}
	return !first.slot || uint64_t(first.slot->value) + first.count == second.slot->value;
}

} // namespace

void PageChanges::Set(PageId first, PageRun run) {
	uint64_t end = uint64_t(first.value) + run.count;
	SplitAt(first.value);
	SplitAt(end);
	auto next = runs.lower_bound(first.value);
	while (next != runs.end() && next->first < end) {
		next = runs.erase(next);
	}
	if (next != runs.end() && next->first == end && Continues(run, next->second)) {
		run.count += next->second.count;
		next = runs.erase(next);
	}
	if (next != runs.begin()) {
		auto previous = std::prev(next);
		bool touches = uint64_t(previous->first) + previous->second.count == first.value;
		if (touches && Continues(previous->second, run)) {
			previous->second.count += run.count;
			return;
		}
	}
	runs.emplace_hint(next, first.value, run);
}

std::optional<PageRun> PageChanges::Find(PageId id) const {
	auto after = runs.upper_bound(id.value);
	if (after == runs.begin()) {
		return std::nullopt;
	}
	auto holder = std::prev(after);
	uint32_t skipped = id.value - holder->first;
	if (skipped >= holder->second.count) {
		return std::nullopt;
	}
	PageRun rest = Behind(holder->second, skipped);
	rest.count = 1;
	return rest;
}

void PageChanges::SplitAt(uint64_t id) {
	if (id > UINT32_MAX) {
		return;
	}
	auto after = runs.lower_bound(uint32_t(id));
	if (after == runs.begin()) {
		return;
	}
	auto holder = std::prev(after);
	uint32_t skipped = uint32_t(id) - holder->first;
	if (skipped < holder->second.count) {
		PageRun rest = Behind(holder->second, skipped);
		holder->second.count = skipped;
		runs.emplace_hint(after, uint32_t(id), rest);
	}
}

} // namespace lm_diskann
