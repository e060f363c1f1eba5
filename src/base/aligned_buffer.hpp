#pragma once

#include "base/page_memory.hpp"

#include <type_traits>
#include <utility>

namespace lm_diskann {

//! Owns `size` zeroed elements of a trivial type, aligned to a file system page (4096 bytes), as O_DIRECT demands.
//! Throws std::bad_alloc.
template <class T>
class AlignedBuffer {
	static_assert(std::is_trivially_destructible_v<T> && std::is_trivially_copyable_v<T>);

public:
	static constexpr size_t ALIGNMENT = PageMemory::ALIGNMENT;

	AlignedBuffer() = default;
	explicit AlignedBuffer(size_t count) : memory(count * sizeof(T)), length(count) {
	}
	AlignedBuffer(AlignedBuffer &&other) noexcept
	    : memory(std::move(other.memory)), length(std::exchange(other.length, 0)) {
	}
	AlignedBuffer &operator=(AlignedBuffer &&other) noexcept {
		std::swap(memory, other.memory);
		std::swap(length, other.length);
		return *this;
	}

	T *data() const {
		return reinterpret_cast<T *>(memory.data());
	}
	size_t size() const {
		return length;
	}
	T &operator[](size_t index) const {
		return data()[index];
	}
	Span<T> span() const {
		return Span<T>(data(), length);
	}

private:
	PageMemory memory;
	size_t length = 0;
};

} // namespace lm_diskann
