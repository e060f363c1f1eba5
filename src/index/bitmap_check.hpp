#pragma once

#include "base/types.hpp"

namespace lm_diskann {

//! True when `bytes` are exactly one bitmap in Roaring's portable form, without run containers (a RowSet makes none).
//! CRoaring's reader checks sizes, but trusts the order of keys and values and the cardinalities, and works on memory
//! by them later. Runs would let a few bytes stand for 2^32 rows; without them a set has at most 8 rows a byte. Source:
//! github.com/RoaringBitmap/RoaringFormatSpec. Cost: O(bytes).
bool IsPortableBitmap(ConstByteSpan bytes);

} // namespace lm_diskann
