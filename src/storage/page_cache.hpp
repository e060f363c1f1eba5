// A cache of verified pages of many files under one hard byte budget.
//
// Frames are found in shards, each with its own lock, hash table and S3-FIFO queues (Yang et al., SOSP 2023: a small
// queue for what was met once, a main queue for what was met again, ghosts of what left the small one), so a hit takes
// no global lock. A pinned frame is never evicted and never changes: `Put` installs another frame for the page, and
// readers that hold the former keep it until they let go, so no reader sees half of a change.
//
// A small share is for pages that are *kept*: S3-FIFO does not see them, and they go last. Beyond their share, because
// the cache has become smaller since, they go first.
#pragma once

#include "storage/page_file.hpp"

#include <atomic>
#include <functional>
#include <memory>

namespace lm_diskann {

class PageCache;
struct PageFrame;

//! Hits and misses of one caller; not shared between threads.
struct PageCacheCounters {
	uint64_t hits = 0;
	uint64_t misses = 0;
};

//! A pin on a page. Movable; releases at destruction. The bytes are valid and constant while it lives.
class PageRef {
public:
	PageRef() = default;
	PageRef(PageRef &&other) noexcept;
	PageRef &operator=(PageRef &&other) noexcept;
	PageRef(const PageRef &) = delete;
	PageRef &operator=(const PageRef &) = delete;
	~PageRef();

	const uint8_t *data() const {
		return bytes;
	}
	explicit operator bool() const {
		return bytes != nullptr;
	}
	void Reset() noexcept;

private:
	friend class PageCache;

	PageCache *cache = nullptr;
	PageFrame *frame = nullptr;
	const uint8_t *bytes = nullptr;
};

//! Thread-safe. One object serves all indexes of a database instance; it outlives every file attached to it.
class PageCache {
public:
	//! Kept pages of all files together have one part in this many of the budget, and of what is used.
	static constexpr uint64_t KEPT_PARTS = 32;

	//! Asked before the cache grows by `bytes` (true: granted) and told when it shrinks by them. Called from any
	//! thread, without a lock held; must not throw. A page that is needed although denied is freed when unpinned.
	struct MemoryAccount {
		std::function<bool(uint64_t bytes)> reserve;
		std::function<void(uint64_t bytes)> release;
	};
	//! Identity of an attached file; never given twice.
	using FileKey = uint64_t;

	explicit PageCache(uint64_t budget_bytes, MemoryAccount account = {});
	~PageCache();

	FileKey Attach(PageFile &file);
	//! Drops all pages of the file, dirty ones without writing. No pin on them may be left.
	void Detach(FileKey key);

	//! Takes effect at once: unpinned frames above the budget are evicted before it returns.
	void SetBudget(uint64_t budget_bytes);
	uint64_t Budget() const;
	//! Bytes of all frames, each its page and 128 bytes more. At most the budget, plus what is pinned beyond it.
	uint64_t UsedBytes() const;
	uint64_t UsedBytes(FileKey key) const;
	//! Evicts unpinned frames until at most `target_bytes` are used (other operators need the memory).
	void Shrink(uint64_t target_bytes);

	//! Pins one page; reads and verifies it when absent.
	PageRef Pin(FileKey key, PageId id, PageKind kind, PageCacheCounters &counters);
	//! Pins one page if it is here; else an empty ref, and nothing is counted. Throws CorruptionError.
	PageRef PinCached(FileKey key, PageId id, PageKind kind, PageCacheCounters &counters);
	//! Has the processor load `size` bytes from `offset` on of a page, if it is here. That counts nowhere as its use.
	void Prefetch(FileKey key, PageId id, size_t offset, size_t size) const;
	//! Pins ids[i] into refs[i]; all absent pages are read with one batch. `refs` has ids.size() elements.
	//! Several threads may ask for the same page at once; one of the reads wins. After an error some refs hold pins.
	void PinBatch(FileKey key, Span<const PageId> ids, PageKind kind, Span<PageRef> refs, PageCacheCounters &counters);

	//! Keeps a pinned page, until it is freed or its file detached; what is put in its place is kept as well. False:
	//! that would be beyond the share, or there is no memory for it.
	bool Keep(const PageRef &page);
	//! Pages of the file that may still be kept.
	size_t KeepableCount(FileKey key) const;

	//! Replaces the page by a copy of `page` (page_size bytes). It is dirty: it reaches the file, always in a fresh
	//! slot, at Flush, or when dirty pages exceed half the budget or nothing else can be evicted; the oldest go first.
	//! Readers never evict a dirty frame, so only the file's one changing thread writes. Called by that thread. After
	//! FileError the page is in the cache or as it was before.
	void Put(FileKey key, PageId id, PageKind kind, ConstByteSpan page);
	//! PageFile::FreePage, and no frame of the page is left, dirty or not. Called by the file's one changing thread.
	void Free(FileKey key, PageId id);
	//! Writes all dirty pages of the file, in page order. Called by the file's one changing thread.
	void Flush(FileKey key);

	struct Impl;

private:
	friend class PageRef;
	std::unique_ptr<Impl> impl;
};

} // namespace lm_diskann
