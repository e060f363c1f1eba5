#include "base/page_memory.hpp"

#include <sys/mman.h>

#include <cstring>
#include <new>
#include <utility>

namespace lm_diskann {

namespace {

//! Smaller ones are worth no call of the operating system: buffers of single blocks.
constexpr size_t MAPPED_BYTES_MIN = 64 * 1024;

} // namespace

PageMemory::PageMemory(size_t size_p) : size(size_p) {
	if (size == 0) {
		return;
	}
	if (size >= MAPPED_BYTES_MIN) {
		void *mapped = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		is_mapped = mapped != MAP_FAILED;
		first = is_mapped ? static_cast<uint8_t *>(mapped) : nullptr;
	}
	// A process may have too many mappings and memory all the same.
	if (!is_mapped) {
		first = static_cast<uint8_t *>(::operator new(size, std::align_val_t(ALIGNMENT)));
		std::memset(first, 0, size);
	}
}

PageMemory::~PageMemory() {
	if (!is_mapped) {
		::operator delete(first, std::align_val_t(ALIGNMENT));
	} else if (::munmap(first, size) != 0) {
		// It would split a mapping, and there are too many: the addresses are lost, the memory is not.
		ReturnMemory(first, size);
	}
}

void PageMemory::Swap(PageMemory &other) noexcept {
	std::swap(first, other.first);
	std::swap(size, other.size);
	std::swap(is_mapped, other.is_mapped);
}

void FetchMemory(uint8_t *first, size_t bytes) noexcept {
#ifdef MADV_POPULATE_WRITE
	::madvise(first, bytes, MADV_POPULATE_WRITE);
#else
	(void)first;
	(void)bytes;
#endif
}

void ReturnMemory(uint8_t *first, size_t bytes) noexcept {
	::madvise(first, bytes, MADV_DONTNEED);
}

} // namespace lm_diskann
