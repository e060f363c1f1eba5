// Products of many vectors of bytes with many, and the distances that follow from them, with Highway and run-time
// dispatch. Columns lie side by side in panels, so that a tile of sums stays in registers, no sum is taken across a
// register, and each load is shared by all of a tile's rows or columns.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lm_diskann {

//! Vectors of a panel: 4 bytes of the first, 4 bytes of the second, ...
constexpr size_t PANEL_COLUMNS = 16;

//! `dims` as it counts in panels and rows: a multiple of 4, what is more being zeros.
constexpr size_t PanelDims(size_t dims) {
	return (dims + 3) / 4 * 4;
}

//! Puts `count` (at most PANEL_COLUMNS) vectors of `dims` bytes into `panel` of PANEL_COLUMNS * PanelDims(dims) bytes.
//! Columns behind the last are not written.
void PackPanel(const uint8_t *const *vectors, size_t count, size_t dims, uint8_t *panel);

//! products[r * panel_count * PANEL_COLUMNS + c] = sum over all j of rows[r][j] * (column c)[j], exactly. `dims` is a
//! PanelDims of 4 to 16384, no byte of a row is below -127. No allocation.
void PanelProducts(const int8_t *const *rows, size_t row_count, const uint8_t *panels, size_t panel_count, size_t dims,
                   int32_t *products);

//! A distance from one row to column c, but for what is the same for all columns:
//! row_scale * scales[c] * (product + offset) + row_extra * extras[c] + norms[c].
struct PanelDistances {
	const float *scales;
	const float *norms;
	const float *extras;
	float row_scale;
	float row_extra;
	int32_t offset;
};

//! Writes which of the first `count` columns have a distance below `bound`, ascending, and the distances; returns how
//! many. All arrays have room for `count` rounded up to PANEL_COLUMNS.
size_t NearColumns(const PanelDistances &formula, const int32_t *products, size_t count, float bound, uint32_t *columns,
                   float *distances);

} // namespace lm_diskann
