#pragma once

#include <cstddef>
#include <cstdint>

namespace lm_diskann {

//! Has the processor load `size` bytes at once, rather than as they are read. Any address may be named.
inline void Prefetch(const uint8_t *bytes, size_t size) {
	constexpr size_t CACHE_LINE = 64;
	for (size_t i = 0; i < size; i += CACHE_LINE) {
		__builtin_prefetch(bytes + i);
	}
}

} // namespace lm_diskann
