#pragma once

#include "base/types.hpp"

namespace lm_diskann {

//! XXH3-64 of `bytes`, mixed with `seed` (callers put an identity there, so that a page in a wrong place is found).
uint64_t Checksum(ConstByteSpan bytes, uint64_t seed);

} // namespace lm_diskann
