// The page cache's parts that its two .cpp share: frames and budget (page_cache.cpp), pages (page_cache_pages.cpp).
#pragma once

#include "storage/cache_shard.hpp"
#include "storage/page_pool.hpp"

#include <array>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

namespace lm_diskann {

struct CachedFile {
	PageFile &file;
	PageCache::FileKey key;
	PagePool &pool;
	std::atomic<uint64_t> used_bytes {0};
	//! Touched by the file's changing thread only.
	FrameQueue dirty;

	CachedFile(PageFile &file_p, PageCache::FileKey key_p, PagePool &pool_p) : file(file_p), key(key_p), pool(pool_p) {
	}
};

//! Locks: files_lock or one shard's lock, never two at once; none is held across a call of the account or I/O.
struct PageCache::Impl {
	static constexpr size_t SHARD_BITS = 5;
	static constexpr size_t SHARD_COUNT = size_t(1) << SHARD_BITS;

	static uint64_t HashOf(FileKey key, PageId id) {
		// The finalizer of splitmix64.
		uint64_t hash = key * 0x9E3779B97F4A7C15 + id.value;
		hash = (hash ^ (hash >> 30)) * 0xBF58476D1CE4E5B9;
		hash = (hash ^ (hash >> 27)) * 0x94D049BB133111EB;
		return hash ^ (hash >> 31);
	}
	//! The top bits; the shard's table uses the low ones.
	static size_t ShardIndex(uint64_t hash) {
		return hash >> (64 - SHARD_BITS);
	}
	CacheShard &ShardFor(uint64_t hash) {
		return shards[ShardIndex(hash)];
	}
	bool IsOverBudget() const {
		return used_bytes.load(std::memory_order_relaxed) > budget_bytes.load(std::memory_order_relaxed);
	}
	CachedFile &FileOf(FileKey key) const;

	// --- frames and budget ---------------------------------------------------------------------------------------

	//! Grows `used_bytes` if the budget and the account allow.
	bool Charge(uint64_t bytes);
	//! An empty frame whose bytes are charged already.
	PageFrame *NewFrame(CachedFile &file, bool is_accounted);
	void FreeFrame(PageFrame *frame) noexcept;
	//! An unlisted frame counts as kept no more.
	void EndKeeping(PageFrame &frame) noexcept;
	//! Any shard's victim, `first_shard`'s before others'; none if nothing can be evicted. Kept ones come last, or
	//! first beyond their share.
	PageFrame *TakeVictim(size_t first_shard);
	//! A frame within the budget, not listed, with one pin; none if nothing can be evicted for it.
	PageFrame *TryMakeFrame(CachedFile &file, PageId id, PageKind kind);
	//! The same, beyond the budget if need be.
	PageFrame *MakeFrame(CachedFile &file, PageId id, PageKind kind);
	void Shrink(uint64_t target_bytes);
	//! After so many bytes of frames were freed at once.
	void ReturnIfLarge(uint64_t freed_bytes);
	void Unpin(PageFrame *frame) noexcept;

	// --- pages ---------------------------------------------------------------------------------------------------

	//! The listed frame of the page with one pin more, or none and the shard's change count.
	PageFrame *PinListed(FileKey key, PageId id, PageKind kind, uint64_t &change_count);
	//! Lists a frame that was just read, unless another read or a change came first; returns the frame to use.
	PageFrame *ListRead(PageFrame *frame, uint64_t change_count);
	//! Lists `successor` (may be none) in place of the page's frame; the former is freed with its last pin.
	void Replace(CachedFile &file, PageId id, PageFrame *successor);
	//! Writes dirty frames of one kind with consecutive ids; they are clean then.
	void WriteRun(CachedFile &file, Span<PageFrame *const> run);
	void SpillOldest(CachedFile &file);

	std::array<CacheShard, SHARD_COUNT> shards;
	MemoryAccount account;
	std::atomic<uint64_t> budget_bytes {0};
	std::atomic<uint64_t> used_bytes {0};
	std::atomic<uint64_t> dirty_bytes {0};
	//! Of frames that are kept, or were when they were unlisted.
	std::atomic<uint64_t> kept_bytes {0};
	mutable std::shared_mutex files_lock;
	//! By page size.
	std::map<uint32_t, PagePool> pools;
	std::unordered_map<FileKey, std::unique_ptr<CachedFile>> files;
	FileKey next_key = 1;
};

} // namespace lm_diskann
