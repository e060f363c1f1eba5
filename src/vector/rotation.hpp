// The random orthogonal map of the quantizer, and the rounding of what it gave, with Highway and run-time dispatch.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lm_diskann {

//! Rounds of a rotation; each has `dims` signs.
static constexpr size_t ROTATION_ROUNDS = 4;

//! target = P(source), `dims` floats each, which may not overlap: ROTATION_ROUNDS times random `signs` (+-1), a fast
//! Hadamard transform of a power of two of elements, at the begin and the end by turns, and a mixing of both halves.
//! Every machine computes the same bits, since codes on disk follow from them.
void RotateVector(const float *signs, const float *source, float *target, size_t dims);

//! The largest |values[i]|; 0 or more even if one is not a number.
float LargestMagnitude(const float *values, size_t count);

//! target[i] = values[i] * factor, rounded to the nearest integer (to even between two) within +-`limit`, a whole
//! number of at most 127; the limit for what is not a number. Returns the sum of the target.
int32_t RoundToInt8(const float *values, float factor, float limit, int8_t *target, size_t count);
//! The same in 16 bits, without the sum.
void RoundToInt16(const float *values, float factor, float limit, int16_t *target, size_t count);

} // namespace lm_diskann
