// Pages of a pool: nobody has two, what is written into one stays until it is put back, whatever was returned
// meanwhile.
#include "storage/page_pool.hpp"

#include <cstring>
#include <gtest/gtest.h>
#include <map>
#include <random>

namespace lm_diskann {
namespace {

TEST(PagePool, PagesAreApartAndKeepWhatTheyHold) {
	for (const size_t page_size : {size_t(4096), size_t(12288), size_t(65536)}) {
		for (uint64_t seed = 1; seed <= 5; seed++) {
			SCOPED_TRACE("page size " + std::to_string(page_size) + ", seed " + std::to_string(seed));
			std::mt19937_64 random(seed);
			PagePool pool(page_size);
			std::map<uint8_t *, uint8_t> held;
			for (size_t step = 0; step < 2000; step++) {
				const uint64_t kind = random() % 100;
				if (kind == 0) {
					pool.ReturnFree();
				} else if (kind < 55 || held.empty()) {
					uint8_t *page = pool.Take();
					ASSERT_NE(page, nullptr);
					ASSERT_EQ(reinterpret_cast<uintptr_t>(page) % PageMemory::ALIGNMENT, 0U);
					const auto above = held.lower_bound(page);
					ASSERT_TRUE(above == held.end() || page + page_size <= above->first);
					ASSERT_TRUE(above == held.begin() || std::prev(above)->first + page_size <= page);
					held[page] = uint8_t(random());
					std::memset(page, held[page], page_size);
				} else {
					const auto chosen = std::next(held.begin(), std::ptrdiff_t(random() % held.size()));
					for (size_t i = 0; i < page_size; i += 511) {
						ASSERT_EQ(chosen->first[i], chosen->second);
					}
					pool.Put(chosen->first);
					held.erase(chosen);
				}
			}
		}
	}
}

TEST(PageMemory, FetchingKeepsWhatItHolds) {
	for (const size_t size : {size_t(100), size_t(4096), size_t(1) << 20}) {
		const PageMemory memory(size);
		memory.data()[size / 2] = 7;
		FetchMemory(memory.data(), size);
		for (size_t i = 0; i < size; i++) {
			ASSERT_EQ(memory.data()[i], i == size / 2 ? 7 : 0) << i << " of " << size;
		}
	}
}

} // namespace
} // namespace lm_diskann
