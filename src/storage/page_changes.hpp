// The page map's changes since the last publish: runs of page ids and the runs of slots they moved to.
#pragma once

#include "storage/format.hpp"

#include <map>
#include <optional>

namespace lm_diskann {

//! Consecutive ids on consecutive slots, or, without a slot, ids whose pages were freed.
struct PageRun {
	uint32_t count = 0;
	std::optional<Slot> slot;
};

//! Not thread-safe; the page file locks. A bulk build's changes are one run, however many pages it writes.
class PageChanges {
public:
	//! first id -> run, ascending and disjoint.
	using Runs = std::map<uint32_t, PageRun>;

	//! Replaces what was known of the ids [first, first + run.count).
	void Set(PageId first, PageRun run);
	//! None: `id` has not changed. Otherwise a run of one, for `id`.
	std::optional<PageRun> Find(PageId id) const;
	void Clear() {
		runs.clear();
	}
	const Runs &All() const {
		return runs;
	}

private:
	//! Makes `id` the first of its run, if it is in one.
	void SplitAt(uint64_t id);

	Runs runs;
};

} // namespace lm_diskann
