#pragma once

#include "base/types.hpp"

namespace lm_diskann {

//! True when `bytes` are exactly one bitmap in Roaring's portable form that CRoaring would write: its own reader checks
//! sizes, but trusts the order of keys and values and the cardinalities, and works on memory by them later.
//! Source: github.com/RoaringBitmap/RoaringFormatSpec. Cost: O(bytes).
bool IsPortableBitmap(ConstByteSpan bytes);

} // namespace lm_diskann
