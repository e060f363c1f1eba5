#include "storage/page_pool.hpp"

#include <algorithm>
#include <new>

namespace lm_diskann {

namespace {

constexpr size_t CHUNK_BYTES = size_t(1) << 20;

} // namespace

void PagePool::AddChunk() {
	const size_t count = std::max<size_t>(1, CHUNK_BYTES / page_size);
	const size_t page_count = (chunks.size() + 1) * count;
	free_pages.reserve(page_count);
	returned_pages.reserve(page_count);
	chunks.emplace_back(count * page_size);
	// The lowest address is taken first.
	for (size_t i = count; i-- > 0;) {
		returned_pages.push_back(chunks.back().data() + i * page_size);
	}
}

uint8_t *PagePool::Take() noexcept {
	const std::lock_guard<std::mutex> guard(mutex);
	if (free_pages.empty() && returned_pages.empty()) {
		try {
			AddChunk();
		} catch (const std::bad_alloc &) {
			return nullptr;
		}
	}
	std::vector<uint8_t *> &pages = free_pages.empty() ? returned_pages : free_pages;
	uint8_t *page = pages.back();
	pages.pop_back();
	return page;
}

void PagePool::Put(uint8_t *page) noexcept {
	const std::lock_guard<std::mutex> guard(mutex);
	free_pages.push_back(page);
}

void PagePool::ReturnFree() noexcept {
	const std::lock_guard<std::mutex> guard(mutex);
	// Neighbours go back in one call.
	std::sort(free_pages.begin(), free_pages.end());
	for (size_t begin = 0, end; begin < free_pages.size(); begin = end) {
		for (end = begin + 1; end < free_pages.size() && free_pages[end] == free_pages[end - 1] + page_size; end++) {
		}
		ReturnMemory(free_pages[begin], (end - begin) * page_size);
	}
	returned_pages.insert(returned_pages.end(), free_pages.rbegin(), free_pages.rend());
	free_pages.clear();
}

} // namespace lm_diskann
