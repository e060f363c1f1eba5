#pragma once

#include "base/types.hpp"

namespace lm_diskann {

//! Dimensions of one interleaved group of a packed code.
static constexpr size_t CODE_GROUP_DIMS = 128;

//! Bytes of codes that kernels work on at a time.
static constexpr size_t CODE_CHUNK_BYTES = 64;

//! Bits of an element of a query for levels of one bit, the sign included (see code_kernels.cpp).
static constexpr size_t QUERY_PLANES = 5;

//! Largest magnitude of an element of a query for levels of `bits`.
constexpr int32_t QueryLimit(uint32_t bits) {
	return bits == 1 ? (1 << (QUERY_PLANES - 1)) - 1 : 127;
}

//! Bytes of an arranged query for `level_count` dimensions (whole groups).
size_t ArrangedQueryBytes(uint32_t bits, size_t level_count);
//! Puts a query of `level_count` elements, at most QueryLimit each, in the order in which this machine's
//! CodeDotProducts meets them: for each 64 bytes of a code and each place of a level in a byte, the 64 elements that
//! belong to it; or for each 64 bytes of a one-bit code and each bit of an element, these bits packed like the code.
//! Zeros where a code has ended.
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
