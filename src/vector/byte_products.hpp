// Dot products of one vector of bytes with many that lie anywhere, with Highway and run-time dispatch.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lm_diskann {

//! products[i] = sum over all j of vectors[i][j] * query[j], exactly; `dims` (1 to 16384) bytes each, none of the query
//! below -127. Several at a time, so that their loads from memory overlap. No allocation.
void ByteProducts(const int8_t *query, const uint8_t *const *vectors, size_t count, size_t dims, int32_t *products);

} // namespace lm_diskann
