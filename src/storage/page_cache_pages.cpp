// Pages of the cache: reading absent ones, replacing them and writing them back.
#include "base/error.hpp"
#include "base/prefetch.hpp"
#include "storage/page_cache_impl.hpp"
#include "storage/page_check.hpp"

#include <algorithm>
#include <cstring>
#include <string>

namespace lm_diskann {

namespace {

//! Dirty frames take at most one part in this many of the budget, so that readers keep room.
constexpr uint64_t DIRTY_PARTS = 2;
//! Dirty pages with consecutive ids are written together up to this size.
constexpr uint64_t WRITE_BYTES_MAX = uint64_t(256) << 10;

void CheckKind(const PageFrame &frame, PageKind kind) {
	if (frame.kind != kind) {
		throw CorruptionError("page cache: page " + std::to_string(frame.id.value) + " must be a " +
		                      PageKindName(kind) + " page, found a " + PageKindName(frame.kind) + " page");
	}
}

//! Pins a listed frame; the shard is locked.
void PinLocked(PageFrame &frame) {
	frame.pins.fetch_add(1, std::memory_order_relaxed);
	frame.use_count += frame.use_count < PageFrame::USE_COUNT_MAX ? 1 : 0;
}

//! Absent pages of one batch. Frames that it still holds at its end are freed.
struct Misses {
	struct Miss {
		size_t index;
		uint64_t change_count;
		PageFrame *frame;
	};

	PageCache::Impl &impl;
	std::vector<Miss> all;

	~Misses() {
		for (const Miss &miss : all) {
			if (miss.frame) {
				impl.FreeFrame(miss.frame);
			}
		}
	}
};

} // namespace

// --- reading ---------------------------------------------------------------------------------------------------------

PageFrame *PageCache::Impl::PinListed(FileKey key, PageId id, PageKind kind, uint64_t &change_count) {
	uint64_t hash = HashOf(key, id);
	CacheShard &shard = ShardFor(hash);
	std::lock_guard<std::mutex> guard(shard.lock);
	PageFrame *frame = shard.Find(hash, key, id);
	if (frame) {
		CheckKind(*frame, kind);
		PinLocked(*frame);
	} else {
		change_count = shard.change_count;
	}
	return frame;
}

PageFrame *PageCache::Impl::ListRead(PageFrame *frame, uint64_t change_count) {
	CacheShard &shard = ShardFor(frame->hash);
	std::lock_guard<std::mutex> guard(shard.lock);
	PageFrame *listed = shard.Find(frame->hash, frame->key, frame->id);
	if (listed) {
		CheckKind(*listed, frame->kind);
		PinLocked(*listed);
		return listed;
	}
	if (shard.change_count == change_count) {
		shard.List(*frame);
	} else {
		// The page may have changed since the read began: good for who asked before, not for who asks next.
		frame->pins.fetch_or(PageFrame::UNLISTED, std::memory_order_relaxed);
	}
	return frame;
}

PageRef PageCache::PinCached(FileKey key, PageId id, PageKind kind, PageCacheCounters &counters) {
	PageRef ref;
	uint64_t change_count = 0;
	if (PageFrame *frame = impl->PinListed(key, id, kind, change_count)) {
		counters.hits++;
		ref.cache = this;
		ref.frame = frame;
		ref.bytes = frame->page;
	}
	return ref;
}

void PageCache::Prefetch(FileKey key, PageId id, size_t offset, size_t size) const {
	const uint64_t hash = Impl::HashOf(key, id);
	const CacheShard &shard = impl->ShardFor(hash);
	const uint8_t *page = nullptr;
	{
		std::lock_guard<std::mutex> guard(shard.lock);
		const PageFrame *frame = shard.Find(hash, key, id);
		page = frame ? frame->page : nullptr;
	}
	// By now it may be another page's memory or nobody's: to load that does no harm.
	if (page) {
		lm_diskann::Prefetch(page + offset, size);
	}
}

PageRef PageCache::Pin(FileKey key, PageId id, PageKind kind, PageCacheCounters &counters) {
	PageRef ref = PinCached(key, id, kind, counters);
	if (!ref) {
		PinBatch(key, Span<const PageId>(&id, 1), kind, Span<PageRef>(&ref, 1), counters);
	}
	return ref;
}

void PageCache::PinBatch(FileKey key, Span<const PageId> ids, PageKind kind, Span<PageRef> refs,
                         PageCacheCounters &counters) {
	LMD_CHECK(ids.size() == refs.size(), "as many refs as ids");
	auto give = [&](size_t index, PageFrame *frame) {
		refs[index].Reset();
		refs[index].cache = this;
		refs[index].frame = frame;
		refs[index].bytes = frame->page;
	};
	Misses misses {*impl, {}};
	for (size_t i = 0; i < ids.size(); i++) {
		uint64_t change_count = 0;
		if (PageFrame *frame = impl->PinListed(key, ids[i], kind, change_count)) {
			give(i, frame);
		} else {
			misses.all.push_back({i, change_count, nullptr});
		}
	}
	counters.hits += ids.size() - misses.all.size();
	counters.misses += misses.all.size();
	if (misses.all.empty()) {
		return;
	}
	CachedFile &file = impl->FileOf(key);
	std::vector<PageReadRequest> requests;
	requests.reserve(misses.all.size());
	for (Misses::Miss &miss : misses.all) {
		miss.frame = impl->MakeFrame(file, ids[miss.index], kind);
		requests.push_back({ids[miss.index], kind, ByteSpan(miss.frame->page, miss.frame->page_size)});
	}
	file.file.ReadPages(Span<const PageReadRequest>(requests.data(), requests.size()));
	for (Misses::Miss &miss : misses.all) {
		PageFrame *used = impl->ListRead(miss.frame, miss.change_count);
		if (used == miss.frame) {
			miss.frame = nullptr;
		}
		give(miss.index, used);
	}
}

// --- changing --------------------------------------------------------------------------------------------------------

void PageCache::Impl::Replace(CachedFile &file, PageId id, PageFrame *successor) {
	uint64_t hash = HashOf(file.key, id);
	CacheShard &shard = ShardFor(hash);
	PageFrame *unused = nullptr;
	uint64_t former_dirty_bytes = 0;
	{
		std::lock_guard<std::mutex> guard(shard.lock);
		shard.change_count++;
		if (PageFrame *former = shard.Find(hash, file.key, id)) {
			shard.Unlist(*former);
			if (former->is_dirty) {
				file.dirty.Remove(*former);
				former_dirty_bytes = former->Bytes();
			}
			if (successor) {
				successor->use_count = former->use_count;
				successor->is_kept = std::exchange(former->is_kept, false);
			}
			bool has_pins = former->pins.fetch_or(PageFrame::UNLISTED, std::memory_order_acq_rel) > 0;
			unused = has_pins ? nullptr : former;
		}
		if (successor) {
			successor->is_dirty = true;
			successor->pins.store(0, std::memory_order_relaxed);
			shard.List(*successor);
			file.dirty.PushNewest(*successor);
		}
	}
	dirty_bytes.fetch_add(successor ? successor->Bytes() : 0, std::memory_order_relaxed);
	dirty_bytes.fetch_sub(former_dirty_bytes, std::memory_order_relaxed);
	if (unused) {
		FreeFrame(unused);
	}
}

void PageCache::Put(FileKey key, PageId id, PageKind kind, ConstByteSpan page) {
	CachedFile &file = impl->FileOf(key);
	LMD_CHECK(page.size() == file.file.PageSize(), "a page has page_size bytes");
	PageFrame *frame = impl->TryMakeFrame(file, id, kind);
	while (!frame && file.dirty.Count() > 0) {
		impl->SpillOldest(file);
		frame = impl->TryMakeFrame(file, id, kind);
	}
	if (!frame) {
		// Every frame is pinned or another file's dirty one: the page goes straight to the file.
		AlignedBuffer<uint8_t> copy(page.size());
		std::memcpy(copy.data(), page.data(), page.size());
		file.file.WritePage(id, kind, copy.span());
		impl->Replace(file, id, nullptr);
		return;
	}
	std::memcpy(frame->page, page.data(), page.size());
	impl->Replace(file, id, frame);
	uint64_t dirty_max = Budget() / DIRTY_PARTS;
	while (impl->dirty_bytes.load(std::memory_order_relaxed) > dirty_max && file.dirty.Count() > 0) {
		impl->SpillOldest(file);
	}
}

void PageCache::Free(FileKey key, PageId id) {
	CachedFile &file = impl->FileOf(key);
	file.file.FreePage(id);
	impl->Replace(file, id, nullptr);
}

void PageCache::Impl::WriteRun(CachedFile &file, Span<PageFrame *const> run) {
	uint32_t page_size = file.file.PageSize();
	// The file fills in page heads, and readers may hold the frames: it gets a copy.
	AlignedBuffer<uint8_t> copy(run.size() * page_size);
	for (size_t i = 0; i < run.size(); i++) {
		std::memcpy(copy.data() + i * page_size, run[i]->page, page_size);
	}
	file.file.WritePages(run[0]->id, run[0]->kind, copy.span());
	for (PageFrame *frame : run) {
		file.dirty.Remove(*frame);
		dirty_bytes.fetch_sub(frame->Bytes(), std::memory_order_relaxed);
		CacheShard &shard = ShardFor(frame->hash);
		std::lock_guard<std::mutex> guard(shard.lock);
		shard.SetClean(*frame);
	}
	if (IsOverBudget()) {
		Shrink(budget_bytes.load(std::memory_order_relaxed));
	}
}

void PageCache::Impl::SpillOldest(CachedFile &file) {
	std::vector<PageFrame *> run {file.dirty.Oldest()};
	size_t count_max = std::max<size_t>(1, WRITE_BYTES_MAX / file.file.PageSize());
	for (PageFrame *next = run[0]->newer; next && run.size() < count_max; next = next->newer) {
		bool continues = next->id.value == run.back()->id.value + 1 && next->kind == run[0]->kind;
		if (!continues) {
			break;
		}
		run.push_back(next);
	}
	WriteRun(file, Span<PageFrame *const>(run.data(), run.size()));
}

void PageCache::Flush(FileKey key) {
	CachedFile &file = impl->FileOf(key);
	std::vector<PageFrame *> frames;
	frames.reserve(file.dirty.Count());
	for (PageFrame *frame = file.dirty.Oldest(); frame; frame = frame->newer) {
		frames.push_back(frame);
	}
	std::sort(frames.begin(), frames.end(), [](const PageFrame *a, const PageFrame *b) { return a->id < b->id; });
	size_t count_max = std::max<size_t>(1, WRITE_BYTES_MAX / file.file.PageSize());
	size_t begin = 0;
	while (begin < frames.size()) {
		size_t end = begin + 1;
		while (end < frames.size() && end - begin < count_max && frames[end]->kind == frames[begin]->kind &&
		       frames[end]->id.value == frames[end - 1]->id.value + 1) {
			end++;
		}
		impl->WriteRun(file, Span<PageFrame *const>(frames.data() + begin, end - begin));
		begin = end;
	}
}

} // namespace lm_diskann
