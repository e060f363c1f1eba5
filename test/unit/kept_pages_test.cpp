// Property: what the cache keeps is the last that goes, whatever is read or put meanwhile, and it is never more than
// its share: a smaller cache, memory that others need, and freed pages are a reason to let go of it.
#include "unit/page_cache_fixture.hpp"

#include <random>
#include <thread>

namespace lm_diskann {

using namespace page_cache_test;

namespace {

constexpr uint32_t KEPT_COUNT = 10;
//! A budget whose share is KEPT_COUNT pages and not one more.
constexpr uint64_t BUDGET = KEPT_COUNT * PageCache::KEPT_PARTS * FRAME_BYTES_MAX;

//! While the budget is BUDGET.
uint64_t KeptCount(const Fixture &fixture) {
	return KEPT_COUNT - fixture.cache.KeepableCount(fixture.key);
}

bool Keep(Fixture &fixture, uint32_t id) {
	return fixture.cache.Keep(fixture.Pin(id));
}

void KeepFirst(Fixture &fixture, uint32_t count) {
	for (uint32_t id = 0; id < count; id++) {
		ASSERT_TRUE(Keep(fixture, id));
	}
}

//! Reads all pages from `first` on, twice, so that S3-FIFO has reason to remember them.
void Scan(Fixture &fixture, uint32_t first) {
	for (uint32_t id = first; id < 1000; id++) {
		fixture.PinVersion(id);
		fixture.PinVersion(id);
		ASSERT_LE(fixture.cache.UsedBytes(), fixture.cache.Budget());
	}
}

uint64_t CountCached(Fixture &fixture, uint32_t first, uint32_t count) {
	PageCacheCounters counters;
	for (uint32_t id = first; id < first + count; id++) {
		fixture.cache.PinCached(fixture.key, PageId(id), PageKind::NODES, counters);
	}
	return counters.hits;
}

} // namespace

TEST(KeptPages, AScanOfAllOtherPagesLeavesThem) {
	for (const bool is_kept : {false, true}) {
		Fixture fixture(BUDGET);
		for (uint32_t id = 0; id < KEPT_COUNT; id++) {
			const PageRef page = fixture.Pin(id);
			EXPECT_TRUE(!is_kept || fixture.cache.Keep(page));
		}
		for (int round = 0; round < 3; round++) {
			Scan(fixture, KEPT_COUNT);
			EXPECT_EQ(CountCached(fixture, 0, KEPT_COUNT), is_kept ? KEPT_COUNT : 0) << "nobody asked for them";
		}
	}
}

TEST(KeptPages, TheShareIsOfAllFilesTogether) {
	Fixture fixture(BUDGET);
	const auto other = PageFile::Create(std::make_unique<MemoryFile>(), 4096, Uuid(), {});
	other->ReservePages(KEPT_COUNT);
	AlignedBuffer<uint8_t> pages(size_t(KEPT_COUNT) * 4096);
	other->WritePages(PageId(0), PageKind::NODES, pages.span());
	const PageCache::FileKey key = fixture.cache.Attach(*other);
	const auto keep_other = [&](uint32_t id) {
		return fixture.cache.Keep(fixture.cache.Pin(key, PageId(id), PageKind::NODES, fixture.counters));
	};
	KeepFirst(fixture, KEPT_COUNT - 1);
	KeepFirst(fixture, KEPT_COUNT - 1);
	EXPECT_TRUE(keep_other(0)) << "what is kept twice counts once";
	EXPECT_FALSE(keep_other(1));
	EXPECT_FALSE(Keep(fixture, KEPT_COUNT));
	EXPECT_EQ(fixture.cache.KeepableCount(key), 0U);

	fixture.cache.Detach(key);
	EXPECT_TRUE(Keep(fixture, KEPT_COUNT));
	EXPECT_FALSE(Keep(fixture, KEPT_COUNT + 1));
	fixture.cache.Detach(fixture.key);
	EXPECT_EQ(fixture.cache.UsedBytes(), 0U);
	fixture.key = fixture.cache.Attach(*fixture.file);
	EXPECT_EQ(KeptCount(fixture), 0U);
	KeepFirst(fixture, KEPT_COUNT);
}

TEST(KeptPages, WhatIsPutInTheirPlaceIsKept) {
	Fixture fixture(BUDGET);
	KeepFirst(fixture, KEPT_COUNT);
	const PageRef former = fixture.Pin(3);
	for (uint32_t version = 1; version < 4; version++) {
		for (uint32_t id = 0; id < KEPT_COUNT; id++) {
			fixture.Put(id, version);
			EXPECT_TRUE(Keep(fixture, id)) << "it is dirty, and kept already";
		}
		EXPECT_EQ(KeptCount(fixture), KEPT_COUNT);
	}
	fixture.cache.Flush(fixture.key);
	Scan(fixture, KEPT_COUNT);
	EXPECT_EQ(CountCached(fixture, 0, KEPT_COUNT), KEPT_COUNT);
	EXPECT_EQ(fixture.PinVersion(3), 3U);
	EXPECT_EQ(fixture.VersionOf(former.data(), 3), 0U);
	EXPECT_TRUE(fixture.cache.Keep(former)) << "nobody finds this version any more";
	EXPECT_EQ(KeptCount(fixture), KEPT_COUNT);
}

TEST(KeptPages, AFreedPageMakesPlaceForAnother) {
	Fixture fixture(BUDGET);
	KeepFirst(fixture, KEPT_COUNT);
	ASSERT_FALSE(Keep(fixture, KEPT_COUNT));
	PageRef page = fixture.Pin(4);
	fixture.cache.Free(fixture.key, PageId(4));
	page.Reset();
	EXPECT_TRUE(Keep(fixture, KEPT_COUNT));
	EXPECT_FALSE(Keep(fixture, KEPT_COUNT + 1));
}

TEST(KeptPages, ADirtyPageCanBeKept) {
	Fixture fixture(BUDGET);
	fixture.Put(7, 1);
	EXPECT_TRUE(Keep(fixture, 7));
	Scan(fixture, KEPT_COUNT);
	fixture.cache.Flush(fixture.key);
	Scan(fixture, KEPT_COUNT);
	EXPECT_EQ(CountCached(fixture, 7, 1), 1U);
}

TEST(KeptPages, ASmallerCacheLetsGoOfThem) {
	Fixture fixture(BUDGET);
	KeepFirst(fixture, KEPT_COUNT);
	Scan(fixture, KEPT_COUNT);
	for (const uint64_t parts : {2, 4}) {
		fixture.cache.Shrink(BUDGET / parts);
		EXPECT_LE(fixture.cache.UsedBytes(), BUDGET / parts);
		EXPECT_LE(KeptCount(fixture), KEPT_COUNT / parts);
		EXPECT_GT(KeptCount(fixture), 0U);
	}
	fixture.cache.Shrink(0);
	EXPECT_EQ(fixture.cache.UsedBytes(), 0U);
	EXPECT_EQ(KeptCount(fixture), 0U);

	KeepFirst(fixture, KEPT_COUNT);
	Scan(fixture, KEPT_COUNT);
	fixture.cache.SetBudget(BUDGET / KEPT_COUNT);
	EXPECT_LE(CountCached(fixture, 0, KEPT_COUNT), 1U);
	fixture.cache.SetBudget(0);
	EXPECT_EQ(fixture.cache.UsedBytes(), 0U);
	EXPECT_FALSE(Keep(fixture, 1));
}

TEST(KeptPages, WhatIsLeftFromALargerCacheGoesFirst) {
	Fixture fixture(BUDGET);
	KeepFirst(fixture, KEPT_COUNT);
	// Nothing has to go for this budget, but one page in 32 is what may be kept of it.
	fixture.cache.SetBudget(2 * KEPT_COUNT * FRAME_BYTES_MAX);
	for (uint32_t id = 100; id < 100 + 2 * KEPT_COUNT; id++) {
		fixture.PinVersion(id);
	}
	EXPECT_EQ(CountCached(fixture, 0, KEPT_COUNT), 0U);
	EXPECT_EQ(CountCached(fixture, 100, 2 * KEPT_COUNT), 2 * KEPT_COUNT);
}

TEST(KeptPages, TheyGoBeforeTheBudgetIsExceeded) {
	Fixture fixture(BUDGET);
	KeepFirst(fixture, KEPT_COUNT);
	std::vector<PageRef> refs;
	while (fixture.cache.UsedBytes() + FRAME_BYTES_MAX <= BUDGET) {
		refs.push_back(fixture.Pin(100 + uint32_t(refs.size())));
	}
	// All others are pinned.
	for (uint32_t i = 1; i <= KEPT_COUNT; i++) {
		refs.push_back(fixture.Pin(50 + i));
		EXPECT_LE(fixture.cache.UsedBytes(), BUDGET);
		EXPECT_LE(CountCached(fixture, 0, KEPT_COUNT), KEPT_COUNT - i + 1);
	}
	EXPECT_LE(KeptCount(fixture), 1U);
}

TEST(KeptPages, APinnedOneStaysWhenAllShallGo) {
	Fixture fixture(BUDGET);
	KeepFirst(fixture, KEPT_COUNT);
	Scan(fixture, KEPT_COUNT);
	const PageRef pinned = fixture.Pin(3);
	fixture.cache.Shrink(0);
	EXPECT_EQ(CountCached(fixture, 0, 1000), 1U);
	EXPECT_EQ(fixture.VersionOf(pinned.data(), 3), 0U);
}

TEST(KeptPages, ThePageThatCouldNotBeAccountedForIsNotKept) {
	const Fixture fixture(0);
	PageCache::MemoryAccount account;
	account.reserve = [](uint64_t) { return false; };
	account.release = [](uint64_t) { ADD_FAILURE(); };
	PageCache cache(BUDGET, account);
	const PageCache::FileKey key = cache.Attach(*fixture.file);
	PageCacheCounters counters;
	PageRef page = cache.Pin(key, PageId(1), PageKind::NODES, counters);
	EXPECT_FALSE(cache.Keep(page));
	page.Reset();
	EXPECT_EQ(cache.UsedBytes(), 0U);
}

TEST(KeptPages, ThreadsThatReadKeepPutAndShrinkAgree) {
	constexpr uint32_t PAGE_COUNT = 600;
	Fixture fixture(BUDGET, PAGE_COUNT);
	std::vector<std::atomic<uint32_t>> versions(PAGE_COUNT); // At least this version is in the cache.
	std::atomic<bool> is_done {false};
	std::vector<std::thread> others;
	for (uint32_t seed = 0; seed < 3; seed++) {
		others.emplace_back([&, seed]() {
			std::mt19937 random(seed);
			PageCacheCounters counters;
			while (!is_done) {
				const uint32_t id = random() % PAGE_COUNT;
				const uint32_t version_min = versions[id].load();
				const PageRef page = fixture.cache.Pin(fixture.key, PageId(id), PageKind::NODES, counters);
				ASSERT_GE(fixture.VersionOf(page.data(), id), version_min);
				if (seed > 0) {
					fixture.cache.Keep(page);
				}
				if (seed == 2 && random() % 100 == 0) {
					fixture.cache.Shrink(random() % BUDGET);
				}
			}
		});
	}
	fixture.PutMany(versions);
	is_done = true;
	for (std::thread &other : others) {
		other.join();
	}
	EXPECT_LE(fixture.cache.UsedBytes(), BUDGET);
	fixture.cache.Detach(fixture.key);
	EXPECT_EQ(fixture.cache.UsedBytes(), 0U);
	fixture.key = fixture.cache.Attach(*fixture.file);
	EXPECT_EQ(KeptCount(fixture), 0U);
	KeepFirst(fixture, KEPT_COUNT);
}

} // namespace lm_diskann
