// Vectors beside each other, rounded to bytes: they tell for a quarter of the reading how near each is at least. So an
// exact search of many rows computes few exact distances.
//
// A vector x is scale * c + e, with c whole numbers of -127..127 and a known length of e; the query likewise. For L2SQ,
// and for COSINE between vectors of unit length, the triangle inequality bounds the distance by that of the rounded
// vectors and the lengths of both rests; for IP, Cauchy-Schwarz bounds what the rests add to the product.
#pragma once

#include "base/types.hpp"
#include "vector/vector_types.hpp"

#include <vector>

namespace lm_diskann {

//! One query for any number of RoundedRows of the same metric and dimensions.
class RoundedQuery {
public:
	//! `dims` floats, any.
	RoundedQuery(Metric metric, const float *query, size_t dims);

private:
	friend class RoundedRows;

	Metric metric;
	std::vector<int8_t> values;
	int32_t sum = 0;
	//! Of the rounded vector, squared, and of its rest; infinity where that is not known.
	float square = 0, rest = 0;
	float scale = 0;
	//! Of the query.
	float norm = 0;
};

//! Immutable, so any thread reads it.
class RoundedRows {
public:
	//! `rows`: `count` x `dims` floats, any. Throws std::bad_alloc.
	RoundedRows(Metric metric, const float *rows, size_t count_p, size_t dims_p);

	static uint64_t MemoryBytes(size_t dims, size_t count);

	size_t Count() const {
		return count;
	}
	//! bounds[i] is at most the Distance of the query and row i; -infinity where nothing is known, as of vectors with
	//! elements that are not finite.
	void LowerBounds(const RoundedQuery &query, float *bounds) const;

private:
	size_t count;
	size_t dims;
	//! c + 128: products of bytes are fastest between a signed and an unsigned one.
	std::vector<uint8_t> values;
	//! For each row, as in RoundedQuery.
	std::vector<float> scales, squares, rests;
};

} // namespace lm_diskann
