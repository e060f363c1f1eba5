// Property: a RadixMap is a std::map<uint64_t, uint64_t> whose pages are exactly those reachable from its root, each
// change writes a touched page once, and consecutive values need no page. Checked by examples and by random operations
// against std::map over a page space that counts live pages.
#include "storage/radix_map.hpp"

#include "base/aligned_buffer.hpp"
#include "base/error.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <set>

namespace lm_diskann {

namespace {

constexpr uint32_t PAGE_SIZE = 4096;
constexpr uint64_t FANOUT = (PAGE_SIZE - 32) / 8;

//! Pages in RAM; reading or releasing a page that is not live fails the test.
class CountingSpace {
public:
	RadixPageSpace Space() {
		RadixPageSpace space;
		space.page_size = PAGE_SIZE;
		space.read = [this](uint64_t address, ByteSpan page) {
			ASSERT_EQ(pages.count(address), 1u);
			std::memcpy(page.data(), pages[address].data(), PAGE_SIZE);
		};
		space.write = [this](ByteSpan page) {
			write_count++;
			pages[next_address].assign(page.begin(), page.end());
			return next_address++;
		};
		space.release = [this](uint64_t address) { ASSERT_EQ(pages.erase(address), 1u); };
		return space;
	}
	std::set<uint64_t> Live() const {
		std::set<uint64_t> live;
		for (const auto &page : pages) {
			live.insert(page.first);
		}
		return live;
	}

	std::map<uint64_t, std::vector<uint8_t>> pages;
	uint64_t next_address = 1;
	uint64_t write_count = 0;
};

using Pairs = std::vector<std::pair<uint64_t, uint64_t>>;

void Assign(RadixMap &map, const Pairs &pairs) {
	map.Assign(Span<const std::pair<uint64_t, uint64_t>>(pairs.data(), pairs.size()));
}

Pairs Linear(uint64_t first, uint64_t count, uint64_t base) {
	Pairs pairs;
	for (uint64_t i = 0; i < count; i++) {
		pairs.emplace_back(first + i, base + i);
	}
	return pairs;
}

Pairs Contents(const RadixMap &map) {
	Pairs pairs;
	map.ForEach([&](uint64_t key, uint64_t value) { pairs.emplace_back(key, value); });
	return pairs;
}

void ExpectSame(const RadixMap &map, const std::map<uint64_t, uint64_t> &model, const CountingSpace &space) {
	EXPECT_EQ(Contents(map), Pairs(model.begin(), model.end()));
	std::set<uint64_t> reached;
	map.ForEachPage([&](uint64_t address) { EXPECT_TRUE(reached.insert(address).second); });
	EXPECT_EQ(reached, space.Live());
}

} // namespace

TEST(RadixMapTest, EmptyMapFindsNothing) {
	CountingSpace space;
	RadixMap map(space.Space(), RadixRoot());
	EXPECT_FALSE(map.Find(0));
	EXPECT_FALSE(map.Find(UINT64_MAX));
	EXPECT_TRUE(Contents(map).empty());
}

TEST(RadixMapTest, LinearRunNeedsNoPageHoweverLong) {
	CountingSpace space;
	RadixMap map(space.Space(), RadixRoot());
	map.AssignLinear(1000000000, 7);
	EXPECT_EQ(map.Find(0), 7u);
	EXPECT_EQ(map.Find(999999999), 1000000006u);
	EXPECT_FALSE(map.Find(1000000000));
	EXPECT_EQ(map.Root().height, 0u);
	EXPECT_EQ(space.write_count, 0u);
}

TEST(RadixMapTest, ConsecutiveAssignsStayOneRun) {
	CountingSpace space;
	RadixMap map(space.Space(), RadixRoot());
	Assign(map, Linear(0, 1000, 50));
	Assign(map, Linear(1000, 5000, 1050));
	EXPECT_EQ(space.write_count, 0u);
	EXPECT_EQ(Contents(map), Linear(0, 6000, 50));
}

TEST(RadixMapTest, SingleChangeBelowARunSplitsOnlyItsPath) {
	CountingSpace space;
	RadixMap map(space.Space(), RadixRoot());
	map.AssignLinear(1000000, 0); // Height 3: 508^2 = 258064 < 10^6 < 508^3.
	Assign(map, {{500000, 5}});
	EXPECT_EQ(map.Root().height, 3u);
	EXPECT_EQ(space.pages.size(), 3u);
	EXPECT_EQ(space.write_count, 3u);
	EXPECT_EQ(map.Find(499999), 499999u);
	EXPECT_EQ(map.Find(500000), 5u);
	EXPECT_EQ(map.Find(500001), 500001u);
	EXPECT_EQ(map.Find(999999), 999999u);
	EXPECT_FALSE(map.Find(1000000));
}

TEST(RadixMapTest, UndoingTheChangeGivesTheRunBack) {
	CountingSpace space;
	RadixMap map(space.Space(), RadixRoot());
	map.AssignLinear(1000000, 3);
	Assign(map, {{500000, 5}});
	Assign(map, {{500000, 500003}});
	EXPECT_EQ(space.pages.size(), 0u);
	EXPECT_EQ(map.Root().height, 0u);
	EXPECT_EQ(map.Find(999999), 1000002u);
}

TEST(RadixMapTest, KeysBetweenTheFormerEndAndAFarKeyStayAbsent) {
	CountingSpace space;
	RadixMap map(space.Space(), RadixRoot());
	map.AssignLinear(1000, 0);
	Assign(map, {{5000000, 9}});
	EXPECT_EQ(map.Find(999), 999u);
	EXPECT_FALSE(map.Find(1000));
	EXPECT_FALSE(map.Find(4999999));
	EXPECT_EQ(map.Find(5000000), 9u);
	Pairs expected = Linear(0, 1000, 0);
	expected.emplace_back(5000000, 9);
	EXPECT_EQ(Contents(map), expected);
}

TEST(RadixMapTest, HugeKeysWork) {
	CountingSpace space;
	RadixMap map(space.Space(), RadixRoot());
	Assign(map, {{3, 1}, {uint64_t(1) << 62, 2}, {UINT64_MAX - 1, RadixMap::VALUE_MAX}});
	EXPECT_EQ(map.Find(uint64_t(1) << 62), 2u);
	EXPECT_EQ(map.Find(UINT64_MAX - 1), RadixMap::VALUE_MAX);
	EXPECT_FALSE(map.Find(UINT64_MAX));
	std::vector<uint64_t> keys {3, uint64_t(1) << 62, UINT64_MAX - 1};
	map.Erase(Span<const uint64_t>(keys));
	EXPECT_EQ(space.pages.size(), 0u);
	EXPECT_EQ(map.Root().key_end, 0u);
}

TEST(RadixMapTest, ABatchWritesEachTouchedPageOnce) {
	CountingSpace space;
	RadixMap map(space.Space(), RadixRoot());
	map.AssignLinear(FANOUT * FANOUT, 0);
	Pairs pairs;
	for (uint64_t leaf = 0; leaf < 10; leaf++) {
		pairs.emplace_back(leaf * FANOUT + 3, 1);
		pairs.emplace_back(leaf * FANOUT + 9, 2);
	}
	Assign(map, pairs);
	EXPECT_EQ(space.write_count, 11u); // Ten leaves and the root.
	Assign(map, {{3, 8}});
	EXPECT_EQ(space.write_count, 13u);
	EXPECT_EQ(space.pages.size(), 11u);
}

TEST(RadixMapTest, AnInvalidEntryOrRootIsCorruption) {
	CountingSpace space;
	std::vector<uint8_t> page(PAGE_SIZE, 0xFF);
	space.pages[5] = page;
	RadixRoot root;
	root.entry = (uint64_t(1) << 62) | 5;
	root.key_end = 100;
	root.height = 1;
	EXPECT_THROW(RadixMap(space.Space(), root).Find(1), CorruptionError);
	EXPECT_THROW(Contents(RadixMap(space.Space(), root)), CorruptionError);
	root.height = 0;
	EXPECT_THROW(RadixMap(space.Space(), root).Find(1), CorruptionError);
	root.height = 9;
	EXPECT_THROW(RadixMap(space.Space(), root), CorruptionError);
}

TEST(RadixMapTest, RandomOperationsMatchAnOrderedMap) {
	for (uint64_t seed = 0; seed < 40; seed++) {
		SCOPED_TRACE("seed " + std::to_string(seed));
		std::mt19937_64 random(seed);
		CountingSpace space;
		RadixMap map(space.Space(), RadixRoot());
		std::map<uint64_t, uint64_t> model;
		uint64_t key_limit = uint64_t(1) << (4 + random() % 20);
		for (int step = 0; step < 30; step++) {
			uint64_t choice = random() % 10;
			std::map<uint64_t, uint64_t> batch;
			if (choice < 3) { // A run, often behind the end.
				uint64_t first = random() % 2 ? map.Root().key_end : random() % key_limit;
				uint64_t base = random() % 3 ? first + 100 : random() % 1000000;
				for (auto [key, value] : Linear(first, random() % 2000, base)) {
					batch[key] = value;
				}
			} else if (choice < 7) { // Scattered keys.
				for (uint64_t i = random() % 50; i > 0; i--) {
					batch[random() % key_limit] = random() % 100000;
				}
			} else if (choice == 7 && step % 5 == 0) {
				uint64_t count = random() % 3000;
				map.AssignLinear(count, 11);
				model.clear();
				for (auto [key, value] : Linear(0, count, 11)) {
					model[key] = value;
				}
			} else {
				std::set<uint64_t> keys;
				for (uint64_t i = random() % 200; i > 0; i--) {
					keys.insert(random() % key_limit);
				}
				for (uint64_t key : keys) {
					model.erase(key);
				}
				std::vector<uint64_t> erased(keys.begin(), keys.end());
				map.Erase(Span<const uint64_t>(erased));
			}
			Assign(map, Pairs(batch.begin(), batch.end()));
			for (auto [key, value] : batch) {
				model[key] = value;
			}
			for (int i = 0; i < 20; i++) {
				uint64_t key = random() % (key_limit + 100);
				auto found = model.find(key);
				EXPECT_EQ(map.Find(key), found == model.end() ? std::nullopt : std::optional<uint64_t>(found->second));
			}
		}
		ExpectSame(map, model, space);
		map.Clear();
		EXPECT_TRUE(space.pages.empty());
		if (HasFailure()) {
			return;
		}
	}
}

} // namespace lm_diskann
