// Property: a PageCache always gives the page that was put or written last, and its frames never take more than the
// budget plus what is pinned. Checked by examples, and with many threads that pin and check pages beside one that puts.
#include "unit/page_cache_fixture.hpp"

#include "base/error.hpp"
#include "sim/sim_file.hpp"

#include <random>
#include <thread>

namespace lm_diskann {

using namespace page_cache_test;

TEST(PageCacheTest, TheSecondPinIsAHit) {
	Fixture fixture(1 << 20);
	EXPECT_EQ(fixture.PinVersion(7), 0u);
	EXPECT_EQ(fixture.PinVersion(7), 0u);
	EXPECT_EQ(fixture.counters.misses, 1u);
	EXPECT_EQ(fixture.counters.hits, 1u);
	EXPECT_EQ(fixture.cache.UsedBytes(), fixture.cache.UsedBytes(fixture.key));
	EXPECT_GE(fixture.cache.UsedBytes(), 4096u);
	EXPECT_LE(fixture.cache.UsedBytes(), FRAME_BYTES_MAX);
}

TEST(PageCacheTest, ABatchReadsAllAbsentPagesAtOnceAndTakesRepeatedIds) {
	Fixture fixture(1 << 20);
	PageRef present = fixture.Pin(3);
	std::vector<PageId> ids {PageId(1), PageId(3), PageId(5), PageId(1)};
	std::vector<PageRef> refs(4);
	fixture.cache.PinBatch(fixture.key, Span<const PageId>(ids), PageKind::NODES, Span<PageRef>(refs),
	                       fixture.counters);
	for (size_t i = 0; i < ids.size(); i++) {
		EXPECT_EQ(fixture.VersionOf(refs[i].data(), ids[i].value), 0u);
	}
	EXPECT_EQ(refs[1].data(), present.data());
	EXPECT_EQ(refs[0].data(), refs[3].data());
	EXPECT_LE(fixture.cache.UsedBytes(), 3 * FRAME_BYTES_MAX);
}

TEST(PageCacheTest, UnpinnedFramesStayWithinTheBudget) {
	uint64_t budget = 50 * FRAME_BYTES_MAX;
	Fixture fixture(budget);
	for (uint32_t i = 0; i < 5000; i++) {
		fixture.PinVersion(i * 7 % 1000);
		ASSERT_LE(fixture.cache.UsedBytes(), budget);
	}
	EXPECT_GT(fixture.cache.UsedBytes(), budget / 2);
}

TEST(PageCacheTest, PinsBeyondTheBudgetWorkAndAreFreedAtUnpin) {
	uint64_t budget = 10 * FRAME_BYTES_MAX;
	Fixture fixture(budget);
	std::vector<PageRef> refs;
	for (uint32_t id = 0; id < 100; id++) {
		refs.push_back(fixture.Pin(id));
		ASSERT_LE(fixture.cache.UsedBytes(), std::max(budget, (id + 1) * FRAME_BYTES_MAX));
	}
	for (uint32_t id = 0; id < 100; id++) {
		EXPECT_EQ(fixture.VersionOf(refs[id].data(), id), 0u);
	}
	refs.clear();
	EXPECT_LE(fixture.cache.UsedBytes(), budget);
}

TEST(PageCacheTest, ABudgetOfNothingStillServes) {
	Fixture fixture(0, 50);
	for (uint32_t id = 0; id < 50; id++) {
		EXPECT_EQ(fixture.PinVersion(id), 0u);
		fixture.Put(id, 2);
		EXPECT_EQ(fixture.PinVersion(id), 2u);
	}
	EXPECT_EQ(fixture.cache.UsedBytes(), 0u);
}

TEST(PageCacheTest, SetBudgetAndShrinkEvictAtOnce) {
	Fixture fixture(1000 * FRAME_BYTES_MAX);
	for (uint32_t id = 0; id < 500; id++) {
		fixture.PinVersion(id);
	}
	fixture.cache.Shrink(300 * FRAME_BYTES_MAX);
	EXPECT_LE(fixture.cache.UsedBytes(), 300 * FRAME_BYTES_MAX);
	PageRef pinned = fixture.Pin(499);
	fixture.cache.SetBudget(0);
	EXPECT_LE(fixture.cache.UsedBytes(), FRAME_BYTES_MAX);
	EXPECT_EQ(fixture.VersionOf(pinned.data(), 499), 0u);
	pinned.Reset();
	EXPECT_EQ(fixture.cache.UsedBytes(), 0u);
}

TEST(PageCacheTest, FilesWithDifferentPageSizesShareOneBudget) {
	Fixture fixture(2 << 20);
	auto large = PageFile::Create(std::make_unique<MemoryFile>(), 65536, Uuid(), {});
	large->ReservePages(100);
	AlignedBuffer<uint8_t> pages(100 * 65536);
	large->WritePages(PageId(0), PageKind::ROW_MAP, pages.span());
	PageCache::FileKey large_key = fixture.cache.Attach(*large);
	for (uint32_t i = 0; i < 1000; i++) {
		fixture.PinVersion(i);
		fixture.cache.Pin(large_key, PageId(i % 100), PageKind::ROW_MAP, fixture.counters);
		ASSERT_LE(fixture.cache.UsedBytes(), fixture.cache.Budget());
		ASSERT_EQ(fixture.cache.UsedBytes(), fixture.cache.UsedBytes(fixture.key) + fixture.cache.UsedBytes(large_key));
	}
	fixture.cache.Detach(large_key);
	EXPECT_EQ(fixture.cache.UsedBytes(), fixture.cache.UsedBytes(fixture.key));
}

TEST(PageCacheTest, AFailedReadLeavesNoFrame) {
	Fixture fixture(1 << 20, 10);
	std::vector<PageId> ids {PageId(1), PageId(2), PageId(99)};
	std::vector<PageRef> refs(3);
	EXPECT_THROW(fixture.cache.PinBatch(fixture.key, Span<const PageId>(ids), PageKind::NODES, Span<PageRef>(refs),
	                                    fixture.counters),
	             CorruptionError);
	EXPECT_EQ(fixture.cache.UsedBytes(), 0u);
	EXPECT_EQ(fixture.PinVersion(1), 0u);
	EXPECT_THROW(fixture.cache.Pin(fixture.key, PageId(1), PageKind::ROW_MAP, fixture.counters), CorruptionError);
}

TEST(PageCacheTest, PutReplacesWhileReadersKeepTheFormerPage) {
	Fixture fixture(1 << 20);
	PageRef former = fixture.Pin(5);
	fixture.Put(5, 1);
	PageRef dirty = fixture.Pin(5);
	fixture.Put(5, 2);
	EXPECT_EQ(fixture.VersionOf(former.data(), 5), 0u);
	EXPECT_EQ(fixture.VersionOf(dirty.data(), 5), 1u);
	EXPECT_EQ(fixture.PinVersion(5), 2u);
	EXPECT_EQ(fixture.VersionInFile(5), 0u);
	fixture.cache.Flush(fixture.key);
	EXPECT_EQ(fixture.VersionInFile(5), 2u);
	former.Reset();
	dirty.Reset();
	EXPECT_LE(fixture.cache.UsedBytes(), FRAME_BYTES_MAX);
}

TEST(PageCacheTest, DirtyPagesSpillOldestFirstToFreshSlots) {
	uint64_t budget = 40 * FRAME_BYTES_MAX;
	Fixture fixture(budget, 500);
	fixture.file->Publish({});
	uint64_t written = fixture.file->Counters().pages_written;
	for (uint32_t id = 0; id < 500; id += 2) {
		fixture.Put(id, 1);
		ASSERT_LE(fixture.cache.UsedBytes(), budget);
	}
	EXPECT_GE(fixture.file->Counters().pages_written - written, 250u - 20u);
	EXPECT_EQ(fixture.VersionInFile(0), 1u);
	EXPECT_EQ(fixture.VersionInFile(498), 0u);
	EXPECT_EQ(fixture.PinVersion(498), 1u);
	EXPECT_EQ(fixture.file->Verify(), std::vector<std::string>()); // The published generation is untouched.
	fixture.cache.Flush(fixture.key);
	for (uint32_t id = 0; id < 500; id++) {
		EXPECT_EQ(fixture.VersionInFile(id), id % 2 == 0 ? 1u : 0u);
	}
}

TEST(PageCacheTest, AFreedPageLeavesNoDirtyFrame) {
	Fixture fixture(1 << 20, 10);
	fixture.Put(3, 1);
	fixture.cache.Free(fixture.key, PageId(3));
	fixture.cache.Flush(fixture.key);
	EXPECT_THROW(fixture.Pin(3), CorruptionError);
	EXPECT_EQ(fixture.cache.UsedBytes(), 0u);
}

TEST(PageCacheTest, AFailedSpillKeepsThePageInTheCache) {
	std::shared_ptr<SimDisk> disk = SimDisk::Make(1);
	auto file = PageFile::Create(disk->OpenFile(), 4096, Uuid(), {});
	file->ReservePages(10);
	PageCache cache(1 << 20);
	PageCache::FileKey key = cache.Attach(*file);
	AlignedBuffer<uint8_t> page(4096);
	page[100] = 7;
	cache.Put(key, PageId(4), PageKind::NODES, ConstByteSpan(page.data(), page.size()));
	disk->FailChange(0);
	EXPECT_THROW(cache.Flush(key), FileError);
	EXPECT_TRUE(file->IsPoisoned());
	PageCacheCounters counters;
	EXPECT_EQ(cache.Pin(key, PageId(4), PageKind::NODES, counters).data()[100], 7);
	EXPECT_EQ(counters.hits, 1u);
}

TEST(PageCacheTest, AScanDoesNotPushOutWhatIsUsedAgain) {
	Fixture fixture(200 * FRAME_BYTES_MAX, 5000);
	for (int round = 0; round < 4; round++) {
		for (uint32_t id = 0; id < 100; id++) {
			fixture.PinVersion(id);
		}
	}
	for (uint32_t id = 100; id < 5000; id++) {
		fixture.PinVersion(id);
	}
	PageCacheCounters before = fixture.counters;
	for (uint32_t id = 0; id < 100; id++) {
		fixture.PinVersion(id);
	}
	EXPECT_GE(fixture.counters.hits - before.hits, 80u);
}

TEST(PageCacheTest, PrefetchingLeavesNoTrace) {
	constexpr uint32_t SEED = 7;
	Fixture plain(50 * FRAME_BYTES_MAX);
	Fixture prefetching(50 * FRAME_BYTES_MAX);
	std::mt19937 random(SEED);
	for (size_t i = 0; i < 5000; i++) {
		const auto id = uint32_t(std::min(random() % 1000, random() % 1000));
		plain.PinVersion(id);
		prefetching.PinVersion(id);
		prefetching.cache.Prefetch(prefetching.key, PageId(id / 2), 0, prefetching.page_size);
	}
	EXPECT_EQ(prefetching.counters.hits, plain.counters.hits) << "seed " << SEED;
	EXPECT_EQ(prefetching.counters.misses, plain.counters.misses) << "seed " << SEED;
	EXPECT_EQ(prefetching.cache.UsedBytes(), plain.cache.UsedBytes()) << "seed " << SEED;
}

TEST(PageCacheTest, TheAccountBalancesAndADenialEvicts) {
	std::atomic<int64_t> granted {0};
	std::atomic<int64_t> limit {100 * int64_t(FRAME_BYTES_MAX)};
	PageCache::MemoryAccount account;
	account.reserve = [&](uint64_t bytes) {
		if (granted + int64_t(bytes) > limit) {
			return false;
		}
		granted += bytes;
		return true;
	};
	account.release = [&](uint64_t bytes) { granted -= bytes; };
	Fixture fixture(0);
	{
		PageCache cache(1 << 30, account);
		PageCache::FileKey key = cache.Attach(*fixture.file);
		for (uint32_t i = 0; i < 3000; i++) {
			cache.Pin(key, PageId(i % 1000), PageKind::NODES, fixture.counters);
			ASSERT_EQ(int64_t(cache.UsedBytes()), granted);
		}
		EXPECT_GT(granted, limit / 2);
		limit = 0;
		cache.Shrink(0);
		EXPECT_EQ(granted, 0);
		PageRef denied = cache.Pin(key, PageId(1), PageKind::NODES, fixture.counters);
		EXPECT_EQ(fixture.VersionOf(denied.data(), 1), 0u);
		EXPECT_EQ(granted, 0);
		denied.Reset();
		EXPECT_EQ(cache.UsedBytes(), 0u);
		limit = 1 << 30;
		for (uint32_t i = 0; i < 100; i++) {
			AlignedBuffer<uint8_t> page = fixture.MakePage(i, 1);
			cache.Put(key, PageId(i), PageKind::NODES, ConstByteSpan(page.data(), page.size()));
		}
	}
	EXPECT_EQ(granted, 0);
}

TEST(PageCacheTest, EightThreadsOfEightLargePagesFitASmallCache) {
	Fixture fixture(16 << 20, 400, 65536);
	std::vector<std::thread> threads;
	for (uint32_t seed = 0; seed < 8; seed++) {
		threads.emplace_back([&fixture, seed]() {
			std::mt19937 random(seed);
			PageCacheCounters counters;
			for (int round = 0; round < 50; round++) {
				std::vector<PageId> ids;
				for (int i = 0; i < 8; i++) {
					ids.emplace_back(uint32_t(random() % 400));
				}
				std::vector<PageRef> refs(8);
				fixture.cache.PinBatch(fixture.key, Span<const PageId>(ids), PageKind::NODES, Span<PageRef>(refs),
				                       counters);
				for (int i = 0; i < 8; i++) {
					ASSERT_EQ(fixture.VersionOf(refs[i].data(), ids[i].value), 0u);
				}
			}
		});
	}
	for (std::thread &thread : threads) {
		thread.join();
	}
	EXPECT_LE(fixture.cache.UsedBytes(), uint64_t(16) << 20);
}

TEST(PageCacheTest, ReadersBesidePutsNeverGoBack) {
	constexpr uint32_t PAGE_COUNT = 300;
	for (uint64_t frame_count : {20, 100, 1000}) {
		Fixture fixture(frame_count * FRAME_BYTES_MAX, PAGE_COUNT);
		std::vector<std::atomic<uint32_t>> versions(PAGE_COUNT); // At least this version is in the cache.
		std::atomic<bool> is_done {false};
		std::vector<std::thread> readers;
		for (uint32_t seed = 0; seed < 3; seed++) {
			readers.emplace_back([&, seed]() {
				std::mt19937 random(seed);
				PageCacheCounters counters;
				while (!is_done) {
					std::vector<PageId> ids;
					std::vector<uint32_t> version_min;
					for (int i = 0; i < 4; i++) {
						ids.emplace_back(uint32_t(random() % PAGE_COUNT));
						version_min.push_back(versions[ids[i].value].load());
					}
					std::vector<PageRef> refs(4);
					fixture.cache.PinBatch(fixture.key, Span<const PageId>(ids), PageKind::NODES, Span<PageRef>(refs),
					                       counters);
					for (int i = 0; i < 4; i++) {
						ASSERT_GE(fixture.VersionOf(refs[i].data(), ids[i].value), version_min[i]);
					}
				}
			});
		}
		fixture.PutMany(versions);
		is_done = true;
		for (std::thread &reader : readers) {
			reader.join();
		}
		EXPECT_LE(fixture.cache.UsedBytes(), fixture.cache.Budget());
		fixture.cache.Flush(fixture.key);
		for (uint32_t id = 0; id < PAGE_COUNT; id++) {
			EXPECT_EQ(fixture.VersionInFile(id), versions[id].load());
			EXPECT_EQ(fixture.PinVersion(id), versions[id].load());
		}
	}
}

} // namespace lm_diskann
