// Exact distances between vectors, with Highway and run-time dispatch.
//
// All functions take `dims` elements (1 to 16384), at any alignment, and never throw. Sums are kept in float32 for
// float input (several accumulators) and in exact integers for int8 input. Smaller is nearer.
#pragma once

#include "vector/vector_types.hpp"

#include <cstddef>

namespace lm_diskann {

//! sum((a[i] - b[i])^2)
float SquaredL2(const float *a, const float *b, size_t dims);
float SquaredL2(const int8_t *a, const int8_t *b, size_t dims);
//! sum(a[i] * b[i])
float InnerProduct(const float *a, const float *b, size_t dims);
float InnerProduct(const int8_t *a, const int8_t *b, size_t dims);
//! 1 - a.b / (|a| |b|), clamped to [0, 2]; 2 when a norm is zero, as in DuckDB's array_cosine_distance.
float CosineDistance(const float *a, const float *b, size_t dims);
float CosineDistance(const int8_t *a, const int8_t *b, size_t dims);

//! The distance of `metric`: SquaredL2, CosineDistance or the negative InnerProduct.
float Distance(Metric metric, const float *a, const float *b, size_t dims);
float Distance(Metric metric, const int8_t *a, const int8_t *b, size_t dims);

//! distances[i] = Distance of `query` and row i of `rows`: `count` x `dims` floats. Faster than one by one; sums may
//! differ from those in the last bits.
void DistancesToRows(Metric metric, const float *query, const float *rows, size_t count, size_t dims, float *distances);

} // namespace lm_diskann
