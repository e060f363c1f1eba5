// A page file and its cache, for tests of the cache.
#pragma once

#include "storage/memory_file.hpp"
#include "storage/page_cache.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <random>
#include <vector>

namespace lm_diskann::page_cache_test {

//! Page size plus room for a frame's head, so that N of these hold N frames and not N + 1.
static constexpr uint64_t FRAME_BYTES_MAX = 4096 + 200;

//! A page file of `page_count` pages whose every word is (id, version), and its cache.
struct Fixture {
	explicit Fixture(uint64_t budget_bytes, uint32_t page_count = 1000, uint32_t page_size_p = 4096)
	    : page_size(page_size_p), cache(budget_bytes) {
		file = PageFile::Create(std::make_unique<MemoryFile>(), page_size, Uuid(), {});
		file->ReservePages(page_count);
		for (uint32_t id = 0; id < page_count; id++) {
			AlignedBuffer<uint8_t> page = MakePage(id, 0);
			file->WritePage(PageId(id), PageKind::NODES, page.span());
		}
		key = cache.Attach(*file);
	}
	AlignedBuffer<uint8_t> MakePage(uint32_t id, uint32_t version) const {
		AlignedBuffer<uint8_t> page(page_size);
		for (size_t at = sizeof(PageHead); at < page_size; at += 8) {
			std::memcpy(page.data() + at, &id, 4);
			std::memcpy(page.data() + at + 4, &version, 4);
		}
		return page;
	}
	//! Version of a page, after checking that it is whole and has that id.
	uint32_t VersionOf(const uint8_t *page, uint32_t id) const {
		uint32_t version;
		std::memcpy(&version, page + sizeof(PageHead) + 4, 4);
		AlignedBuffer<uint8_t> expected = MakePage(id, version);
		EXPECT_EQ(
		    std::memcmp(page + sizeof(PageHead), expected.data() + sizeof(PageHead), page_size - sizeof(PageHead)), 0)
		    << "page " << id;
		return version;
	}
	PageRef Pin(uint32_t id) {
		return cache.Pin(key, PageId(id), PageKind::NODES, counters);
	}
	uint32_t PinVersion(uint32_t id) {
		PageRef ref = Pin(id);
		return VersionOf(ref.data(), id);
	}
	void Put(uint32_t id, uint32_t version) {
		AlignedBuffer<uint8_t> page = MakePage(id, version);
		cache.Put(key, PageId(id), PageKind::NODES, ConstByteSpan(page.data(), page.size()));
	}
	//! Puts the next versions of random pages, and notes in `versions` what is in the cache at least.
	void PutMany(std::vector<std::atomic<uint32_t>> &versions) {
		std::mt19937 random(99);
		for (uint32_t version = 1; version < 3000; version++) {
			const auto id = uint32_t(random() % versions.size());
			Put(id, version);
			versions[id] = version;
			if (version % 200 == 0) {
				cache.Flush(key);
				file->Confirm(file->Publish({}).generation);
			}
		}
	}
	uint32_t VersionInFile(uint32_t id) const {
		AlignedBuffer<uint8_t> page(page_size);
		file->ReadPage(PageId(id), PageKind::NODES, page.span());
		return VersionOf(page.data(), id);
	}

	uint32_t page_size;
	std::unique_ptr<PageFile> file;
	PageCache cache;
	PageCache::FileKey key = 0;
	PageCacheCounters counters;
};

} // namespace lm_diskann::page_cache_test
