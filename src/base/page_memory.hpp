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

//! Fetches the memory behind `bytes` of a PageMemory, its first ones, before it is written to: at once, which takes a
//! third of what the faults of all its pages do. Where the system cannot, writing fetches it.
void FetchMemory(uint8_t *first, size_t bytes) noexcept;

//! Gives the memory behind `bytes` whole pages of a PageMemory back to the system. They stay usable; what they hold is
//! lost.
void ReturnMemory(uint8_t *first, size_t bytes) noexcept;

} // namespace lm_diskann
