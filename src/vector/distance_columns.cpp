#include "vector/distance_columns.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

// Its dot product of bytes (VNNI) does in one step what takes three without.
#define HWY_WANT_AVX3_DL
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vector/distance_columns.cpp" // this file, once for each SIMD target
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef LMD_DISTANCE_TILE
#define LMD_DISTANCE_TILE
namespace lm_diskann {

//! Columns of a tile, bytes of each that lie together, and of all.
constexpr size_t TILE = 16, QUAD = 4, QUAD_BYTES = TILE * QUAD;
//! What columns are stored with: products are fastest between a signed and an unsigned byte.
constexpr int32_t BYTE_OFFSET = 128;

//! DistanceColumns, and the rows of one call.
struct ColumnView {
	size_t count, quads, stride;
	const uint8_t *tiles;
	const float *scales, *norms, *extras;
	size_t row_count;
	//! ROWS_MAX of each; the last row stands in for those that are not there.
	const int8_t *rows[DistanceColumns::ROWS_MAX];
	const ByteVectorTerms *terms[DistanceColumns::ROWS_MAX];
	int32_t offsets[DistanceColumns::ROWS_MAX];
};

} // namespace lm_diskann
#endif

HWY_BEFORE_NAMESPACE();
namespace lm_diskann {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

//! products[r * TILE + c] = the sum of all products of row r and column c of the tile, for ROWS_MAX rows. A lane adds
//! at most 16384 * 255 * 127 < 2^31.
#if HWY_TARGET == HWY_AVX3_DL
void TileProducts(const int8_t *const *rows, const uint8_t *tile, size_t quads, int32_t *products) {
	const hn::CappedTag<int32_t, TILE> d32;
	hn::Vec<decltype(d32)> sums[DistanceColumns::ROWS_MAX];
	for (auto &sum : sums) {
		sum = hn::Zero(d32);
	}
	for (size_t q = 0; q < quads; q++) {
		const auto columns = hn::LoadU(d32, reinterpret_cast<const int32_t *>(tile + q * QUAD_BYTES));
		for (size_t r = 0; r < DistanceColumns::ROWS_MAX; r++) {
			int32_t quad;
			std::memcpy(&quad, rows[r] + q * QUAD, QUAD);
			const auto row = hn::Set(d32, quad);
			// Highway's target has the instruction, but its name for the compiler does not.
			__asm__("vpdpbusd %2, %1, %0" : "+v"(sums[r].raw) : "v"(columns.raw), "v"(row.raw));
		}
	}
	for (size_t r = 0; r < DistanceColumns::ROWS_MAX; r++) {
		hn::StoreU(sums[r], d32, products + r * TILE);
	}
}
#elif HWY_TARGET != HWY_SCALAR
//! Two rows at a time: with the columns and sums of more there are too few registers.
template <size_t ROWS>
HWY_INLINE void SomeProducts(const int8_t *const *rows, const uint8_t *tile, size_t quads, int32_t *products) {
	const hn::CappedTag<int16_t, 32> d16;
	const hn::Rebind<uint8_t, decltype(d16)> column_tag;
	const hn::Rebind<int8_t, decltype(d16)> row_tag;
	const hn::Repartition<int32_t, decltype(d16)> d32;
	constexpr size_t LANES = hn::MaxLanes(d16);
	constexpr size_t VECTORS = QUAD_BYTES / LANES;
	hn::Vec<decltype(d32)> sums[ROWS][VECTORS], rests[ROWS][VECTORS];
	for (size_t r = 0; r < ROWS; r++) {
		for (size_t v = 0; v < VECTORS; v++) {
			sums[r][v] = rests[r][v] = hn::Zero(d32);
		}
	}
	for (size_t q = 0; q < quads; q++) {
		hn::Vec<decltype(d16)> quad[ROWS];
		for (size_t r = 0; r < ROWS; r++) {
			int32_t bytes;
			std::memcpy(&bytes, rows[r] + q * QUAD, QUAD);
			const hn::Repartition<int32_t, decltype(row_tag)> quad_tag;
			quad[r] = hn::PromoteTo(d16, hn::BitCast(row_tag, hn::Set(quad_tag, bytes)));
		}
		for (size_t v = 0; v < VECTORS; v++) {
			const auto columns = hn::PromoteTo(d16, hn::LoadU(column_tag, tile + q * QUAD_BYTES + v * LANES));
			for (size_t r = 0; r < ROWS; r++) {
				sums[r][v] = hn::ReorderWidenMulAccumulate(d32, columns, quad[r], sums[r][v], rests[r][v]);
			}
		}
	}
	for (size_t r = 0; r < ROWS; r++) {
		int32_t pairs[2 * TILE];
		for (size_t v = 0; v < VECTORS; v++) {
			hn::StoreU(hn::RearrangeToOddPlusEven(sums[r][v], rests[r][v]), d32, pairs + v * LANES / 2);
		}
		for (size_t c = 0; c < TILE; c++) {
			products[r * TILE + c] = pairs[2 * c] + pairs[2 * c + 1];
		}
	}
}

void TileProducts(const int8_t *const *rows, const uint8_t *tile, size_t quads, int32_t *products) {
	for (size_t r = 0; r < DistanceColumns::ROWS_MAX; r += 2) {
		SomeProducts<2>(rows + r, tile, quads, products + r * TILE);
	}
}
#else
void TileProducts(const int8_t *const *rows, const uint8_t *tile, size_t quads, int32_t *products) {
	for (size_t r = 0; r < DistanceColumns::ROWS_MAX; r++) {
		std::fill_n(products + r * TILE, TILE, 0);
		for (size_t i = 0; i < quads * QUAD_BYTES; i++) {
			products[r * TILE + i % QUAD_BYTES / QUAD] += tile[i] * rows[r][i / QUAD_BYTES * QUAD + i % QUAD];
		}
	}
}
#endif

//! In single steps: fused ones would differ between machines.
void AllDistances(const ColumnView &view, float *distances) {
	const hn::CappedTag<float, TILE> tag;
	const hn::RebindToSigned<decltype(tag)> int_tag;
	int32_t products[DistanceColumns::ROWS_MAX * TILE];
	for (size_t tile = 0; tile < view.count; tile += TILE) {
		TileProducts(view.rows, view.tiles + tile * view.quads * QUAD, view.quads, products);
		for (size_t r = 0; r < view.row_count; r++) {
			const ByteVectorTerms &row = *view.terms[r];
			for (size_t c = 0; c < TILE; c += hn::Lanes(tag)) {
				const auto product = hn::ConvertTo(
				    tag, hn::Sub(hn::LoadU(int_tag, products + r * TILE + c), hn::Set(int_tag, view.offsets[r])));
				const auto factor = hn::Mul(hn::Set(tag, 2 * row.scale), hn::LoadU(tag, view.scales + tile + c));
				const auto norm = hn::Add(hn::Set(tag, row.norm), hn::LoadU(tag, view.norms + tile + c));
				const auto extra = hn::Sub(hn::Set(tag, row.extra), hn::LoadU(tag, view.extras + tile + c));
				const auto sum = hn::Add(hn::Sub(norm, hn::Mul(factor, product)), hn::Mul(extra, extra));
				// What is not a number, between vectors as large as floats get, becomes zero.
				hn::StoreU(hn::IfThenElseZero(hn::Gt(sum, hn::Zero(tag)), sum), tag,
				           distances + r * view.stride + tile + c);
			}
		}
	}
}

size_t FindAllWithin(const float *distances, size_t count, float limit, uint32_t *positions) {
	const hn::CappedTag<float, TILE> tag;
	const hn::RebindToUnsigned<decltype(tag)> position_tag;
	const size_t lanes = hn::Lanes(tag);
	size_t found = 0;
	size_t i = 0;
	for (; i + lanes <= count; i += lanes) {
		const auto is_within = hn::Le(hn::LoadU(tag, distances + i), hn::Set(tag, limit));
		if (!hn::AllFalse(tag, is_within)) {
			found += hn::CompressStore(hn::Iota(position_tag, uint32_t(i)), hn::RebindMask(position_tag, is_within),
			                           position_tag, positions + found);
		}
	}
	for (; i < count; i++) {
		positions[found] = uint32_t(i);
		found += distances[i] <= limit ? 1 : 0;
	}
	return found;
}

} // namespace
} // namespace HWY_NAMESPACE
} // namespace lm_diskann
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lm_diskann {

namespace {

HWY_EXPORT(AllDistances);
HWY_EXPORT(FindAllWithin);

} // namespace

DistanceColumns::DistanceColumns(size_t dims_p, size_t column_max)
    : dims(dims_p), stride(StrideFor(column_max)), tiles(stride * RowBytes(dims_p)), scales(stride), norms(stride),
      extras(stride) {
}

size_t DistanceColumns::StrideFor(size_t column_max) {
	return (column_max + TILE - 1) / TILE * TILE;
}

uint64_t DistanceColumns::MemoryBytes(size_t dims, size_t column_max) {
	return StrideFor(column_max) * (RowBytes(dims) + sizeof(ByteVectorTerms));
}

void DistanceColumns::Add(const uint8_t *bytes, const ByteVectorTerms &terms) {
	uint8_t *target = tiles.data() + count / TILE * TILE * RowBytes(dims) + count % TILE * QUAD;
	size_t i = 0;
	for (; i + QUAD <= dims; i += QUAD, target += QUAD_BYTES) {
		std::memcpy(target, bytes + i, QUAD);
	}
	std::copy(bytes + i, bytes + dims, target);
	scales[count] = terms.scale;
	norms[count] = terms.norm;
	extras[count] = terms.extra;
	count++;
}

void DistanceColumns::Distances(const int8_t *rows, const ByteVectorTerms *row_terms, size_t row_count,
                                float *distances) const {
	const size_t row_bytes = RowBytes(dims);
	ColumnView view = {
	    count, row_bytes / QUAD, stride, tiles.data(), scales.data(), norms.data(), extras.data(), row_count, {}, {},
	    {}};
	for (size_t r = 0; r < ROWS_MAX; r++) {
		const size_t row = std::min(r, row_count - 1);
		view.rows[r] = rows + row * row_bytes;
		view.terms[r] = row_terms + row;
		view.offsets[r] = BYTE_OFFSET * std::accumulate(view.rows[r], view.rows[r] + row_bytes, int32_t(0));
	}
	HWY_DYNAMIC_DISPATCH(AllDistances)(view, distances);
}

size_t FindWithin(const float *distances, size_t count, float limit, uint32_t *positions) {
	return HWY_DYNAMIC_DISPATCH(FindAllWithin)(distances, count, limit, positions);
}

} // namespace lm_diskann
#endif // HWY_ONCE
