#include "storage/cache_shard.hpp"

#include "base/error.hpp"

#include <algorithm>

namespace lm_diskann {

namespace {

constexpr size_t BUCKET_COUNT_MIN = 16;
//! The small queue's share of the shard is one part in this many.
constexpr uint64_t SMALL_PARTS = 10;
//! Ghosts are remembered for as many evictions as the main queue has frames, at least this many.
constexpr uint64_t GHOST_COUNT_MIN = 16;

bool IsPinned(const PageFrame &frame) {
	return frame.pins.load(std::memory_order_acquire) != 0;
}

} // namespace

void FrameQueue::PushNewest(PageFrame &frame) {
	frame.newer = nullptr;
	frame.older = newest;
	(newest ? newest->newer : oldest) = &frame;
	newest = &frame;
	count++;
	bytes += frame.Bytes();
}

void FrameQueue::Remove(PageFrame &frame) {
	(frame.newer ? frame.newer->older : newest) = frame.older;
	(frame.older ? frame.older->newer : oldest) = frame.newer;
	count--;
	bytes -= frame.Bytes();
}

CacheShard::CacheShard() : buckets(BUCKET_COUNT_MIN, nullptr), ghosts(BUCKET_COUNT_MIN) {
}

PageFrame *CacheShard::Find(uint64_t hash, PageCache::FileKey key, PageId id) const {
	PageFrame *frame = buckets[hash & (buckets.size() - 1)];
	while (frame && (frame->id != id || frame->key != key)) {
		frame = frame->next_in_bucket;
	}
	return frame;
}

void CacheShard::List(PageFrame &frame) {
	if (2 * listed_count == buckets.size()) {
		Grow();
	}
	PageFrame *&bucket = buckets[frame.hash & (buckets.size() - 1)];
	frame.next_in_bucket = bucket;
	bucket = &frame;
	listed_count++;
	if (!frame.is_dirty) {
		frame.is_in_main = IsGhost(frame.hash);
		QueueOf(frame).PushNewest(frame);
	}
}

void CacheShard::Unlist(PageFrame &frame) {
	PageFrame **link = &buckets[frame.hash & (buckets.size() - 1)];
	while (*link != &frame) {
		LMD_CHECK(*link, "a listed frame is in its bucket");
		link = &(*link)->next_in_bucket;
	}
	*link = frame.next_in_bucket;
	listed_count--;
	if (!frame.is_dirty) {
		QueueOf(frame).Remove(frame);
	}
}

void CacheShard::SetClean(PageFrame &frame) {
	frame.is_dirty = false;
	frame.is_in_main = frame.use_count > 0;
	QueueOf(frame).PushNewest(frame);
}

void CacheShard::Keep(PageFrame &frame) {
	if (!frame.is_dirty) {
		QueueOf(frame).Remove(frame);
		kept.PushNewest(frame);
	}
	frame.is_kept = true;
}

PageFrame *CacheShard::TakeVictim() {
	bool is_small_first = small.Bytes() * SMALL_PARTS > small.Bytes() + main.Bytes();
	PageFrame *victim = is_small_first ? TakeFromSmall() : TakeFromMain();
	if (!victim) {
		victim = is_small_first ? TakeFromMain() : TakeFromSmall();
	}
	return victim;
}

PageFrame *CacheShard::TakeKept() {
	for (PageFrame *frame = kept.Oldest(); frame; frame = frame->newer) {
		if (!IsPinned(*frame)) {
			Unlist(*frame);
			return frame;
		}
	}
	return nullptr;
}

std::vector<PageFrame *> CacheShard::TakeAllOf(PageCache::FileKey key) {
	std::vector<PageFrame *> taken;
	for (PageFrame *frame : buckets) {
		for (; frame; frame = frame->next_in_bucket) {
			if (frame->key == key) {
				taken.push_back(frame);
			}
		}
	}
	for (PageFrame *frame : taken) {
		Unlist(*frame);
	}
	return taken;
}

FrameQueue &CacheShard::QueueOf(const PageFrame &frame) {
	return frame.is_kept ? kept : frame.is_in_main ? main : small;
}

void CacheShard::Grow() {
	std::vector<PageFrame *> former(buckets.size() * 2, nullptr);
	former.swap(buckets);
	for (PageFrame *frame : former) {
		while (frame) {
			PageFrame *next = frame->next_in_bucket;
			PageFrame *&bucket = buckets[frame->hash & (buckets.size() - 1)];
			frame->next_in_bucket = bucket;
			bucket = frame;
			frame = next;
		}
	}
	std::vector<Ghost> former_ghosts(ghosts.size() * 2);
	former_ghosts.swap(ghosts);
	for (const Ghost &ghost : former_ghosts) {
		ghosts[ghost.hash & (ghosts.size() - 1)] = ghost;
	}
}

bool CacheShard::IsGhost(uint64_t hash) const {
	const Ghost &ghost = ghosts[hash & (ghosts.size() - 1)];
	return ghost.time > 0 && ghost.hash == hash &&
	       ghost_clock - ghost.time < std::max<uint64_t>(main.Count(), GHOST_COUNT_MIN);
}

PageFrame *CacheShard::TakeFromSmall() {
	for (size_t left = small.Count(); left > 0; left--) {
		PageFrame &frame = *small.Oldest();
		small.Remove(frame);
		if (frame.use_count > 0) {
			frame.use_count = 0;
			frame.is_in_main = true;
			main.PushNewest(frame);
		} else if (IsPinned(frame)) {
			small.PushNewest(frame);
		} else {
			ghosts[frame.hash & (ghosts.size() - 1)] = Ghost {frame.hash, ++ghost_clock};
			small.PushNewest(frame);
			Unlist(frame);
			return &frame;
		}
	}
	return nullptr;
}

PageFrame *CacheShard::TakeFromMain() {
	// Each frame is spared at most once for each use and once more for a pin.
	for (size_t left = main.Count() * (PageFrame::USE_COUNT_MAX + 1); left > 0; left--) {
		PageFrame &frame = *main.Oldest();
		bool is_pinned = IsPinned(frame);
		if (!is_pinned && frame.use_count == 0) {
			Unlist(frame);
			return &frame;
		}
		frame.use_count -= frame.use_count > 0 ? 1 : 0;
		main.Remove(frame);
		main.PushNewest(frame);
	}
	return nullptr;
}

} // namespace lm_diskann
