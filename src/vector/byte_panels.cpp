#include "vector/byte_panels.hpp"

#include <cstring>

// Its dot product of bytes (VNNI) does in one step what takes six without.
#define HWY_WANT_AVX3_DL
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vector/byte_panels.cpp" // this file, once for each SIMD target
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lm_diskann {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR

using Tag = hn::CappedTag<int32_t, PANEL_COLUMNS>;
using Quads = hn::Vec<Tag>;
using Pairs = hn::Vec<hn::Repartition<int16_t, Tag>>;
constexpr size_t LANES = hn::MaxLanes(Tag());
constexpr size_t VECTORS = PANEL_COLUMNS / LANES;

//! A lane holds 4 bytes of a column, or of a row the same in all lanes; a sum at most 16384 * 255 * 127 < 2^31.
#if HWY_TARGET == HWY_AVX3_DL
//! Panels that a tile spans: 4 x 4 sums of 32 registers.
constexpr size_t TILE_PANELS = 4;
struct Column {
	explicit HWY_INLINE Column(Quads bytes_p) : bytes(bytes_p) {
	}
	Quads bytes;
};
struct Row {
	explicit HWY_INLINE Row(Quads bytes_p) : bytes(bytes_p) {
	}
	Quads bytes;
};
HWY_INLINE void Add(const Column &column, const Row &row, Quads &sum) {
	// Highway's target has the instruction, but its name for the compiler does not.
	__asm__("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(column.bytes.raw), "v"(row.bytes.raw));
}
#else
constexpr size_t TILE_PANELS = 1;
//! Its bytes 0 and 2, and 1 and 3, as numbers of 16 bits.
struct Column {
	explicit HWY_INLINE Column(Quads bytes)
	    : even(hn::BitCast(hn::Repartition<int16_t, Tag>(), hn::And(bytes, hn::Set(Tag(), 0x00FF00FF)))),
	      odd(hn::BitCast(hn::Repartition<int16_t, Tag>(),
	                      hn::ShiftRight<8>(hn::BitCast(hn::Repartition<uint16_t, Tag>(), bytes)))) {
	}
	Pairs even, odd;
};
struct Row {
	explicit HWY_INLINE Row(Quads bytes)
	    : even(hn::ShiftRight<8>(hn::ShiftLeft<8>(hn::BitCast(hn::Repartition<int16_t, Tag>(), bytes)))),
	      odd(hn::ShiftRight<8>(hn::BitCast(hn::Repartition<int16_t, Tag>(), bytes))) {
	}
	Pairs even, odd;
};
HWY_INLINE Quads PairProducts(Pairs a, Pairs b) {
#if HWY_ARCH_X86
	// There the two products of a lane stay in it.
	Quads rest = hn::Zero(Tag());
	return hn::ReorderWidenMulAccumulate(Tag(), a, b, hn::Zero(Tag()), rest);
#else
	// A product of two bytes is a number of 16 bits.
	const Quads products = hn::BitCast(Tag(), hn::Mul(a, b));
	return hn::Add(hn::ShiftRight<16>(products), hn::ShiftRight<16>(hn::ShiftLeft<16>(products)));
#endif
}
HWY_INLINE void Add(const Column &column, const Row &row, Quads &sum) {
	sum = hn::Add(sum, hn::Add(PairProducts(column.even, row.even), PairProducts(column.odd, row.odd)));
}
#endif

template <size_t ROWS, size_t PANELS>
HWY_INLINE void TileProducts(const int8_t *const *rows, const uint8_t *panels, size_t dims, size_t stride,
                             int32_t *products) {
	constexpr Tag tag;
	Quads sums[ROWS][PANELS * VECTORS];
	for (auto &row : sums) {
		for (Quads &sum : row) {
			sum = hn::Zero(tag);
		}
	}
	for (size_t j = 0; j < dims; j += 4) {
		for (size_t v = 0; v < PANELS * VECTORS; v++) {
			const uint8_t *bytes = panels + (v / VECTORS * dims + j) * PANEL_COLUMNS + v % VECTORS * LANES * 4;
			const Column column(hn::LoadU(tag, reinterpret_cast<const int32_t *>(bytes)));
			for (size_t r = 0; r < ROWS; r++) {
				int32_t quad;
				std::memcpy(&quad, rows[r] + j, sizeof(quad));
				Add(column, Row(hn::Set(tag, quad)), sums[r][v]);
			}
		}
	}
	for (size_t r = 0; r < ROWS; r++) {
		for (size_t v = 0; v < PANELS * VECTORS; v++) {
			hn::StoreU(sums[r][v], tag, products + r * stride + v * LANES);
		}
	}
}

template <size_t ROWS>
void RowProducts(const int8_t *const *rows, const uint8_t *panels, size_t panel_count, size_t dims, int32_t *products) {
	const size_t stride = panel_count * PANEL_COLUMNS;
	size_t p = 0;
	for (; p + TILE_PANELS <= panel_count; p += TILE_PANELS) {
		TileProducts<ROWS, TILE_PANELS>(rows, panels + p * PANEL_COLUMNS * dims, dims, stride,
		                                products + p * PANEL_COLUMNS);
	}
	for (; p < panel_count; p++) {
		TileProducts<ROWS, 1>(rows, panels + p * PANEL_COLUMNS * dims, dims, stride, products + p * PANEL_COLUMNS);
	}
}

#else

template <size_t ROWS>
void RowProducts(const int8_t *const *rows, const uint8_t *panels, size_t panel_count, size_t dims, int32_t *products) {
	for (size_t r = 0; r < ROWS; r++) {
		for (size_t c = 0; c < panel_count * PANEL_COLUMNS; c++) {
			const uint8_t *column = panels + (c / PANEL_COLUMNS * dims) * PANEL_COLUMNS + c % PANEL_COLUMNS * 4;
			int32_t sum = 0;
			for (size_t j = 0; j < dims; j++) {
				sum += rows[r][j] * column[j / 4 * PANEL_COLUMNS * 4 + j % 4];
			}
			products[r * panel_count * PANEL_COLUMNS + c] = sum;
		}
	}
}

#endif

void AllPanelProducts(const int8_t *const *rows, size_t row_count, const uint8_t *panels, size_t panel_count,
                      size_t dims, int32_t *products) {
	constexpr size_t TILE_ROWS = 4;
	const size_t stride = panel_count * PANEL_COLUMNS;
	size_t r = 0;
	for (; r + TILE_ROWS <= row_count; r += TILE_ROWS) {
		RowProducts<TILE_ROWS>(rows + r, panels, panel_count, dims, products + r * stride);
	}
	for (; r < row_count; r++) {
		RowProducts<1>(rows + r, panels, panel_count, dims, products + r * stride);
	}
}

size_t AllNearColumns(const PanelDistances &formula, const int32_t *products, size_t count, float bound,
                      uint32_t *columns, float *distances) {
	const hn::CappedTag<float, PANEL_COLUMNS> tag;
	const hn::RebindToSigned<decltype(tag)> signed_tag;
	const hn::RebindToUnsigned<decltype(tag)> column_tag;
	const size_t lanes = hn::Lanes(tag);
	const auto row_scale = hn::Set(tag, formula.row_scale);
	const auto row_extra = hn::Set(tag, formula.row_extra);
	const auto offset = hn::Set(signed_tag, formula.offset);
	const auto limit = hn::Set(tag, bound);
	size_t found = 0;
	for (size_t c = 0; c < count; c += lanes) {
		const auto product = hn::ConvertTo(tag, hn::Add(hn::LoadU(signed_tag, products + c), offset));
		const auto scaled = hn::Mul(hn::Mul(row_scale, hn::LoadU(tag, formula.scales + c)), product);
		const auto distance = hn::Add(
		    scaled, hn::MulAdd(row_extra, hn::LoadU(tag, formula.extras + c), hn::LoadU(tag, formula.norms + c)));
		const auto is_near = hn::And(hn::Lt(distance, limit), hn::FirstN(tag, count - c));
		if (hn::AllFalse(tag, is_near)) {
			continue;
		}
		hn::CompressStore(hn::Iota(column_tag, uint32_t(c)), hn::RebindMask(column_tag, is_near), column_tag,
		                  columns + found);
		found += hn::CompressStore(distance, is_near, tag, distances + found);
	}
	return found;
}

} // namespace
} // namespace HWY_NAMESPACE
} // namespace lm_diskann
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lm_diskann {

HWY_EXPORT(AllPanelProducts);
HWY_EXPORT(AllNearColumns);

void PackPanel(const uint8_t *const *vectors, size_t count, size_t dims, uint8_t *panel) {
	for (size_t c = 0; c < count; c++) {
		uint8_t *target = panel + c * 4;
		const uint8_t *vector = vectors[c];
		size_t j = 0;
		for (; j + 4 <= dims; j += 4, target += PANEL_COLUMNS * 4) {
			std::memcpy(target, vector + j, 4);
		}
		if (j < dims) {
			std::memset(target, 0, 4);
			std::memcpy(target, vector + j, dims - j);
		}
	}
}

void PanelProducts(const int8_t *const *rows, size_t row_count, const uint8_t *panels, size_t panel_count, size_t dims,
                   int32_t *products) {
	HWY_DYNAMIC_DISPATCH(AllPanelProducts)(rows, row_count, panels, panel_count, dims, products);
}

size_t NearColumns(const PanelDistances &formula, const int32_t *products, size_t count, float bound, uint32_t *columns,
                   float *distances) {
	return HWY_DYNAMIC_DISPATCH(AllNearColumns)(formula, products, count, bound, columns, distances);
}

} // namespace lm_diskann
#endif // HWY_ONCE
