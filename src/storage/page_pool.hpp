// Memory for the pages of a cache: pieces of one size, mapped many at a time. Each is whole pages of the operating
// system, so what a cache gives up can go back to it; on the heap it would lie between other allocations and stay.
#pragma once

#include "base/page_memory.hpp"

#include <mutex>
#include <vector>

namespace lm_diskann {

//! Thread-safe.
class PagePool {
public:
	//! `page_size`: a multiple of 4096.
	explicit PagePool(size_t page_size_p) : page_size(page_size_p) {
	}

	//! A page of any content, aligned to 4096; null: there is no memory.
	uint8_t *Take() noexcept;
	//! Any page that was taken.
	void Put(uint8_t *page) noexcept;
	//! Gives what nobody has back to the system; its addresses are taken again later.
	void ReturnFree() noexcept;

private:
	void AddChunk();

	const size_t page_size;
	std::mutex mutex;
	std::vector<PageMemory> chunks;
	//! Pages that nobody has. Both have room for all pages.
	std::vector<uint8_t *> free_pages;
	std::vector<uint8_t *> returned_pages;
};

} // namespace lm_diskann
