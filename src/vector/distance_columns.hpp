// Squared distances of rows with many columns at once, all vectors of bytes: a blocked matrix product. Columns are laid
// out so that their products add up beside each other in a SIMD vector; with a few hundred of them in the cache a
// distance costs a tenth of one between two vectors that lie anywhere.
#pragma once

#include "base/aligned_buffer.hpp"

#include <vector>

namespace lm_diskann {

//! What stands behind a vector of bytes. The squared distance of two is
//! a.norm + b.norm - 2 a.scale b.scale <a, b> + (a.extra - b.extra)^2, and never less than zero.
struct ByteVectorTerms {
	//! A value of the vector is so many times its byte.
	float scale;
	//! Of the vector that the bytes stand for, squared.
	float norm;
	//! One coordinate more.
	float extra;
};

//! The columns. Constant while they are used, by any number of threads.
class DistanceColumns {
public:
	//! Rows that are worked on at a time.
	static constexpr size_t ROWS_MAX = 8;

	//! Room for `column_max` vectors of `dims` (1 to 16384) bytes. Throws std::bad_alloc.
	DistanceColumns(size_t dims_p, size_t column_max);

	static uint64_t MemoryBytes(size_t dims, size_t column_max);
	//! The Stride of so many columns.
	static size_t StrideFor(size_t column_max);
	//! Bytes of a row: `dims`, and zeros up to a whole number of fours.
	static size_t RowBytes(size_t dims) {
		return (dims + 3) / 4 * 4;
	}

	void Clear() {
		count = 0;
	}
	//! `bytes`: `dims` of value + 128, the values from -127 to 127. There must be room.
	void Add(const uint8_t *bytes, const ByteVectorTerms &terms);
	size_t Count() const {
		return count;
	}
	//! Floats from the distances of one row to those of the next.
	size_t Stride() const {
		return stride;
	}
	//! distances[r * Stride() + c] for `row_count` (1 to ROWS_MAX) rows, RowBytes from one to the next, and all
	//! columns. The same on every machine. No allocation.
	void Distances(const int8_t *rows, const ByteVectorTerms *row_terms, size_t row_count, float *distances) const;

private:
	size_t dims;
	size_t stride;
	size_t count = 0;
	//! Sixteen columns after sixteen, and of these the first four bytes of each, then the next four.
	AlignedBuffer<uint8_t> tiles;
	//! By column.
	std::vector<float> scales, norms, extras;
};

//! Puts the positions of all `distances` of at most `limit` into `positions`, ascending, and returns their number.
//! There must be room for `count` and 16 more. No allocation.
size_t FindWithin(const float *distances, size_t count, float limit, uint32_t *positions);

} // namespace lm_diskann
