#pragma once

#include "base/types.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace lm_diskann {

//! Owns `size` zeroed elements of a trivial type, aligned to a file system page (4096 bytes), as O_DIRECT demands.
//! Throws std::bad_alloc.
template <class T>
class AlignedBuffer {
	static_assert(std::is_trivially_destructible_v<T> && std::is_trivially_copyable_v<T>);

public:
	static constexpr size_t ALIGNMENT = 4096;

	AlignedBuffer() = default;
	explicit AlignedBuffer(size_t count) : length(count) {
		if (count > 0) {
			first = static_cast<T *>(::operator new(Bytes(), std::align_val_t(ALIGNMENT)));
			std::fill_n(reinterpret_cast<uint8_t *>(first), Bytes(), uint8_t(0));
		}
	}
	~AlignedBuffer() {
		if (first) {
			::operator delete(first, std::align_val_t(ALIGNMENT));
		}
	}
	AlignedBuffer(AlignedBuffer &&other) noexcept
	    : first(std::exchange(other.first, nullptr)), length(std::exchange(other.length, 0)) {
	}
	AlignedBuffer &operator=(AlignedBuffer &&other) noexcept {
		std::swap(first, other.first);
		std::swap(length, other.length);
		return *this;
	}
	AlignedBuffer(const AlignedBuffer &) = delete;
	AlignedBuffer &operator=(const AlignedBuffer &) = delete;

	T *data() const {
		return first;
	}
	size_t size() const {
		return length;
	}
	T &operator[](size_t index) const {
		return first[index];
	}
	Span<T> span() const {
		return Span<T>(first, length);
	}

private:
	size_t Bytes() const {
		return length * sizeof(T);
	}

	T *first = nullptr;
	size_t length = 0;
};

} // namespace lm_diskann
