#include "base/checksum.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace lm_diskann {

uint64_t Checksum(ConstByteSpan bytes, uint64_t seed) {
	return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

} // namespace lm_diskann
