// Memory that goes back to the operating system when it is freed. The C library keeps what lies between other
// allocations, for as long as the process lives; but a budget is of what the process holds, and the rest is for
// DuckDB's other operators.
#pragma once

#include "base/types.hpp"

namespace lm_diskann {

//! Owns zeroed bytes at a multiple of 4096. Large ones are mapped, and unmapped when it ends.
class PageMemory {
public:
	static constexpr size_t ALIGNMENT = 4096;

	PageMemory() = default;
	//! Throws std::bad_alloc.
	explicit PageMemory(size_t size_p);
	~PageMemory();
	PageMemory(PageMemory &&other) noexcept {
		Swap(other);
	}
	PageMemory &operator=(PageMemory &&other) noexcept {
		Swap(other);
		return *this;
	}

	uint8_t *data() const {
		return first;
	}

private:
	void Swap(PageMemory &other) noexcept;

	uint8_t *first = nullptr;
	size_t size = 0;
	bool is_mapped = false;
};

//! Fetches the memory behind the first `bytes` of a PageMemory at once, which takes less than a fault for each page
//! (bench/append_bench). Changes nothing that it holds. Where the system cannot, using it fetches it.
void FetchMemory(uint8_t *first, size_t bytes) noexcept;

//! Gives the memory behind `bytes` whole pages of a PageMemory back to the system. They stay usable; what they hold is
//! lost.
void ReturnMemory(uint8_t *first, size_t bytes) noexcept;

} // namespace lm_diskann
