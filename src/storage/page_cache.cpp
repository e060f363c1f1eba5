#include "storage/page_cache.hpp"

#include "base/error.hpp"
#include "storage/page_cache_impl.hpp"

#include <algorithm>
#include <new>
#include <string>

namespace lm_diskann {

namespace {

//! Fewer freed bytes are soon used again, or not worth a walk over the pools.
constexpr uint64_t RETURNED_BYTES_MIN = uint64_t(1) << 20;

void Describe(PageFrame &frame, CachedFile &file, PageId id, PageKind kind) {
	frame.key = file.key;
	frame.file = &file;
	frame.hash = PageCache::Impl::HashOf(file.key, id);
	frame.id = id;
	frame.kind = kind;
	frame.use_count = 0;
	frame.is_dirty = false;
	frame.pins.store(1, std::memory_order_relaxed);
}

} // namespace

// --- pins ------------------------------------------------------------------------------------------------------------

PageRef::PageRef(PageRef &&other) noexcept
    : cache(std::exchange(other.cache, nullptr)), frame(std::exchange(other.frame, nullptr)),
      bytes(std::exchange(other.bytes, nullptr)) {
}

PageRef &PageRef::operator=(PageRef &&other) noexcept {
	std::swap(cache, other.cache);
	std::swap(frame, other.frame);
	std::swap(bytes, other.bytes);
	return *this;
}

PageRef::~PageRef() {
	Reset();
}

void PageRef::Reset() noexcept {
	if (frame) {
		bytes = nullptr;
		cache->impl->Unpin(std::exchange(frame, nullptr));
	}
}

void PageCache::Impl::Unpin(PageFrame *frame) noexcept {
	PageFrame *unused = nullptr;
	if (IsOverBudget() || !frame->is_accounted) {
		CacheShard &shard = ShardFor(frame->hash);
		std::lock_guard<std::mutex> guard(shard.lock);
		uint32_t before = frame->pins.fetch_sub(1, std::memory_order_acq_rel);
		if (before == 1 && !frame->is_dirty) {
			shard.Unlist(*frame);
			unused = frame;
		} else if (before == (PageFrame::UNLISTED | 1)) {
			unused = frame;
		}
	} else if (frame->pins.fetch_sub(1, std::memory_order_acq_rel) == (PageFrame::UNLISTED | 1)) {
		unused = frame;
	}
	if (unused) {
		FreeFrame(unused);
	}
}

// --- frames ----------------------------------------------------------------------------------------------------------

CachedFile &PageCache::Impl::FileOf(FileKey key) const {
	std::shared_lock<std::shared_mutex> guard(files_lock);
	auto found = files.find(key);
	LMD_CHECK(found != files.end(), "the file is attached to the cache");
	return *found->second;
}

//! Grows `used_bytes` if the budget and the account allow.
bool PageCache::Impl::Charge(uint64_t bytes) {
	uint64_t used = used_bytes.load(std::memory_order_relaxed);
	do {
		uint64_t budget = budget_bytes.load(std::memory_order_relaxed);
		if (used > budget || bytes > budget - used) {
			return false;
		}
	} while (!used_bytes.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
	if (account.reserve && !account.reserve(bytes)) {
		used_bytes.fetch_sub(bytes, std::memory_order_relaxed);
		return false;
	}
	return true;
}

//! An empty frame whose bytes are charged already.
PageFrame *PageCache::Impl::NewFrame(CachedFile &file, bool is_accounted) {
	uint64_t bytes = PageFrame::BytesFor(file.file.PageSize());
	std::unique_ptr<PageFrame> frame(new (std::nothrow) PageFrame());
	uint8_t *page = frame ? file.pool.Take() : nullptr;
	if (!page) {
		used_bytes.fetch_sub(bytes, std::memory_order_relaxed);
		if (is_accounted && account.release) {
			account.release(bytes);
		}
		throw MemoryError("page cache: no memory for a page of " + std::to_string(bytes) + " bytes");
	}
	frame->page = page;
	frame->page_size = file.file.PageSize();
	frame->is_accounted = is_accounted;
	frame->file = &file;
	file.used_bytes.fetch_add(bytes, std::memory_order_relaxed);
	return frame.release();
}

void PageCache::Impl::FreeFrame(PageFrame *frame) noexcept {
	uint64_t bytes = frame->Bytes();
	bool is_accounted = frame->is_accounted;
	EndKeeping(*frame);
	frame->file->pool.Put(frame->page);
	frame->file->used_bytes.fetch_sub(bytes, std::memory_order_relaxed);
	delete frame;
	used_bytes.fetch_sub(bytes, std::memory_order_relaxed);
	if (is_accounted && account.release) {
		account.release(bytes);
	}
}

void PageCache::Impl::EndKeeping(PageFrame &frame) noexcept {
	if (frame.is_kept) {
		frame.is_kept = false;
		kept_bytes.fetch_sub(frame.Bytes(), std::memory_order_relaxed);
	}
}

PageFrame *PageCache::Impl::TakeVictim(size_t first_shard) {
	const auto take = [&](PageFrame *(CacheShard::*take_from)()) -> PageFrame * {
		for (size_t i = 0; i < SHARD_COUNT; i++) {
			CacheShard &shard = shards[(first_shard + i) % SHARD_COUNT];
			std::lock_guard<std::mutex> guard(shard.lock);
			if (PageFrame *victim = (shard.*take_from)()) {
				return victim;
			}
		}
		return nullptr;
	};
	const uint64_t kept_max = used_bytes.load(std::memory_order_relaxed) / KEPT_PARTS;
	const bool is_kept_first = kept_bytes.load(std::memory_order_relaxed) > kept_max;
	PageFrame *victim = take(is_kept_first ? &CacheShard::TakeKept : &CacheShard::TakeVictim);
	if (!victim) {
		victim = take(is_kept_first ? &CacheShard::TakeVictim : &CacheShard::TakeKept);
	}
	return victim;
}

//! A frame within the budget, not listed, with one pin; none if nothing can be evicted for it.
PageFrame *PageCache::Impl::TryMakeFrame(CachedFile &file, PageId id, PageKind kind) {
	size_t own_shard = ShardIndex(HashOf(file.key, id));
	uint64_t bytes = PageFrame::BytesFor(file.file.PageSize());
	PageFrame *frame = nullptr;
	while (!frame) {
		if (Charge(bytes)) {
			frame = NewFrame(file, true);
			break;
		}
		PageFrame *victim = TakeVictim(own_shard);
		if (!victim) {
			return nullptr;
		}
		if (victim->Bytes() != bytes || IsOverBudget()) {
			FreeFrame(victim);
			continue;
		}
		// The victim's memory, charge and reservation pass to the page that takes its place.
		EndKeeping(*victim);
		victim->file->used_bytes.fetch_sub(bytes, std::memory_order_relaxed);
		file.used_bytes.fetch_add(bytes, std::memory_order_relaxed);
		frame = victim;
	}
	Describe(*frame, file, id, kind);
	return frame;
}

//! The same, beyond the budget if need be.
PageFrame *PageCache::Impl::MakeFrame(CachedFile &file, PageId id, PageKind kind) {
	PageFrame *frame = TryMakeFrame(file, id, kind);
	if (!frame) {
		uint64_t bytes = PageFrame::BytesFor(file.file.PageSize());
		used_bytes.fetch_add(bytes, std::memory_order_relaxed);
		frame = NewFrame(file, !account.reserve || account.reserve(bytes));
		Describe(*frame, file, id, kind);
	}
	return frame;
}

void PageCache::Impl::Shrink(uint64_t target_bytes) {
	size_t shard = 0;
	uint64_t freed_bytes = 0;
	while (used_bytes.load(std::memory_order_relaxed) > target_bytes) {
		PageFrame *victim = TakeVictim(shard++);
		if (!victim) {
			break;
		}
		freed_bytes += victim->Bytes();
		FreeFrame(victim);
	}
	ReturnIfLarge(freed_bytes);
}

void PageCache::Impl::ReturnIfLarge(uint64_t freed_bytes) {
	if (freed_bytes < RETURNED_BYTES_MIN) {
		return;
	}
	const std::shared_lock<std::shared_mutex> guard(files_lock);
	for (auto &pool : pools) {
		pool.second.ReturnFree();
	}
}

// --- files and budget ------------------------------------------------------------------------------------------------

PageCache::PageCache(uint64_t budget_bytes, MemoryAccount account) : impl(std::make_unique<Impl>()) {
	impl->budget_bytes = budget_bytes;
	impl->account = std::move(account);
}

PageCache::~PageCache() {
	while (!impl->files.empty()) {
		Detach(impl->files.begin()->first);
	}
}

PageCache::FileKey PageCache::Attach(PageFile &file) {
	std::unique_lock<std::shared_mutex> guard(impl->files_lock);
	FileKey key = impl->next_key++;
	const uint32_t page_size = file.PageSize();
	PagePool &pool = impl->pools.try_emplace(page_size, page_size).first->second;
	impl->files.emplace(key, std::make_unique<CachedFile>(file, key, pool));
	return key;
}

void PageCache::Detach(FileKey key) {
	CachedFile &file = impl->FileOf(key);
	const uint64_t file_bytes = file.used_bytes.load(std::memory_order_relaxed);
	impl->dirty_bytes.fetch_sub(file.dirty.Bytes(), std::memory_order_relaxed);
	for (CacheShard &shard : impl->shards) {
		std::vector<PageFrame *> frames;
		{
			std::lock_guard<std::mutex> guard(shard.lock);
			frames = shard.TakeAllOf(key);
		}
		for (PageFrame *frame : frames) {
			LMD_CHECK(frame->pins.load() == 0, "a detached file has no pinned page");
			impl->FreeFrame(frame);
		}
	}
	LMD_CHECK(file.used_bytes.load() == 0, "a detached file has no pinned page");
	impl->ReturnIfLarge(file_bytes);
	std::unique_lock<std::shared_mutex> guard(impl->files_lock);
	impl->files.erase(key);
}

void PageCache::SetBudget(uint64_t budget_bytes) {
	impl->budget_bytes.store(budget_bytes, std::memory_order_relaxed);
	impl->Shrink(budget_bytes);
}

uint64_t PageCache::Budget() const {
	return impl->budget_bytes.load(std::memory_order_relaxed);
}

uint64_t PageCache::UsedBytes() const {
	return impl->used_bytes.load(std::memory_order_relaxed);
}

uint64_t PageCache::UsedBytes(FileKey key) const {
	return impl->FileOf(key).used_bytes.load(std::memory_order_relaxed);
}

void PageCache::Shrink(uint64_t target_bytes) {
	impl->Shrink(target_bytes);
}

size_t PageCache::KeepableCount(FileKey key) const {
	const uint64_t kept = impl->kept_bytes.load(std::memory_order_relaxed);
	const uint64_t kept_max = Budget() / KEPT_PARTS;
	return (kept_max - std::min(kept, kept_max)) / PageFrame::BytesFor(impl->FileOf(key).file.PageSize());
}

bool PageCache::Keep(const PageRef &page) {
	PageFrame &frame = *page.frame;
	CacheShard &shard = impl->ShardFor(frame.hash);
	std::lock_guard<std::mutex> guard(shard.lock);
	const bool is_listed = (frame.pins.load(std::memory_order_relaxed) & PageFrame::UNLISTED) == 0;
	if (frame.is_kept || !is_listed) {
		return true;
	}
	uint64_t kept = impl->kept_bytes.load(std::memory_order_relaxed);
	do {
		if (!frame.is_accounted || kept + frame.Bytes() > Budget() / KEPT_PARTS) {
			return false;
		}
	} while (!impl->kept_bytes.compare_exchange_weak(kept, kept + frame.Bytes(), std::memory_order_relaxed));
	shard.Keep(frame);
	return true;
}

} // namespace lm_diskann
