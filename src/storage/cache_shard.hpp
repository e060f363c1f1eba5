// One shard of the page cache: a hash table of frames, the S3-FIFO queues that choose whom to evict, and a queue of
// those that are kept.
//
// A frame is *listed* while the table holds it. A listed clean frame is in one of the queues, a listed dirty one in
// its file's list of dirty frames. An unlisted frame belongs to its pins; the last one frees it.
// Source: Yang et al., FIFO queues are all you need for cache eviction, SOSP 2023, Algorithm 1.
#pragma once

#include "storage/page_cache.hpp"

#include <mutex>
#include <vector>

namespace lm_diskann {

struct CachedFile;

//! Describes a page in the cache.
struct alignas(64) PageFrame {
	//! Bit of `pins` beside the count.
	static constexpr uint32_t UNLISTED = uint32_t(1) << 31;
	static constexpr uint8_t USE_COUNT_MAX = 3;

	static size_t BytesFor(uint32_t page_size) {
		return sizeof(PageFrame) + page_size;
	}
	size_t Bytes() const {
		return BytesFor(page_size);
	}

	//! Rises under the shard's lock only, falls at any time.
	std::atomic<uint32_t> pins {0};
	PageId id;
	uint32_t page_size = 0;
	PageKind kind = PageKind::NONE;
	//! Pins since it was listed or last spared, at most USE_COUNT_MAX.
	uint8_t use_count = 0;
	bool is_dirty = false;
	bool is_in_main = false;
	//! S3-FIFO does not see it, while it is clean.
	bool is_kept = false;
	//! The memory account granted it.
	bool is_accounted = false;
	//! From the pool of its file, aligned to 4096.
	uint8_t *page = nullptr;
	uint64_t hash = 0;
	PageCache::FileKey key = 0;
	CachedFile *file = nullptr;
	PageFrame *next_in_bucket = nullptr;
	PageFrame *newer = nullptr;
	PageFrame *older = nullptr;
};

//! Frames in order of arrival, linked through `newer` and `older`.
class FrameQueue {
public:
	PageFrame *Oldest() const {
		return oldest;
	}
	size_t Count() const {
		return count;
	}
	uint64_t Bytes() const {
		return bytes;
	}
	void PushNewest(PageFrame &frame);
	void Remove(PageFrame &frame);

private:
	PageFrame *newest = nullptr;
	PageFrame *oldest = nullptr;
	size_t count = 0;
	uint64_t bytes = 0;
};

//! All members but `lock` are guarded by it.
class CacheShard {
public:
	CacheShard();

	mutable std::mutex lock;
	//! Changes of listed pages. A read that began before a change must not list what it read.
	uint64_t change_count = 0;

	PageFrame *Find(uint64_t hash, PageCache::FileKey key, PageId id) const;
	//! Lists a frame; a clean one joins the queue that its past deserves.
	void List(PageFrame &frame);
	//! Takes the frame out of the table and, if clean, its queue.
	void Unlist(PageFrame &frame);
	//! A dirty listed frame has become clean.
	void SetClean(PageFrame &frame);
	//! A listed frame is kept from here on.
	void Keep(PageFrame &frame);
	//! Unlists and returns the unpinned clean frame that S3-FIFO gives up; none if there is no such frame.
	PageFrame *TakeVictim();
	//! The same of the kept frames: the one that is kept for longest.
	PageFrame *TakeKept();
	//! Unlists and returns all frames of the file. Cost: the whole shard.
	std::vector<PageFrame *> TakeAllOf(PageCache::FileKey key);

private:
	struct Ghost {
		uint64_t hash = 0;
		//! Value of ghost_clock when it left the small queue; 0: unused.
		uint64_t time = 0;
	};

	//! That a clean frame belongs to.
	FrameQueue &QueueOf(const PageFrame &frame);
	void Grow();
	bool IsGhost(uint64_t hash) const;
	PageFrame *TakeFromSmall();
	PageFrame *TakeFromMain();

	//! Powers of two; as many ghosts as buckets, each in the place its hash says. At most half of the buckets are in
	//! use, so that a lookup rarely touches a frame that it does not want.
	std::vector<PageFrame *> buckets;
	std::vector<Ghost> ghosts;
	uint64_t ghost_clock = 0;
	size_t listed_count = 0;
	FrameQueue small;
	FrameQueue main;
	FrameQueue kept;
};

} // namespace lm_diskann
