#pragma once

#include "base/types.hpp"

namespace lm_diskann {

//! Dimensions of one interleaved group of a packed code.
static constexpr size_t CODE_GROUP_DIMS = 128;

//! Bytes of codes that kernels work on at a time.
static constexpr size_t CODE_CHUNK_BYTES = 64;

//! Bytes of an arranged query for `level_count` dimensions (whole groups).
size_t ArrangedQueryBytes(uint32_t bits, size_t level_count);
//! Puts a query of `level_count` elements in the order in which CodeDotProducts meets them: for each 64 bytes of a code
//! and each place of a level in a byte, the 64 elements that belong to it; zeros where a code has ended.
void ArrangeQuery(uint32_t bits, const int8_t *query, size_t level_count, int8_t *arranged);

//! sums[i] = sum over all dimensions of level(i, dim) * query[dim], exactly, for `count` codes of `code_bytes` each
//! with `bits` (1, 2, 4) per dimension. No allocation.
void CodeDotProducts(uint32_t bits, const int8_t *arranged_query, const uint8_t *codes, size_t code_bytes, size_t count,
                     int32_t *sums);

//! Packs `level_count` levels (each below 2^bits; a multiple of 128 of them) into `code`.
//! In a group byte j of 16 * bits holds the dimensions j + s * 16 * bits at bit s * bits.
void PackLevels(uint32_t bits, const uint8_t *levels, size_t level_count, uint8_t *code);
//! The inverse.
void UnpackLevels(uint32_t bits, const uint8_t *code, size_t level_count, uint8_t *levels);

} // namespace lm_diskann
