// Vectors from one element type to another, with Highway and run-time dispatch.
//
// All functions take `dims` elements, at any alignment, and never throw.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lm_diskann {

//! target[i] = source[i] as float; exact.
void WidenInt8(const int8_t *source, float *target, size_t dims);
//! IEEE half precision, round to nearest even; values beyond 65504 saturate to +-65504.
void FloatToHalf(const float *source, uint16_t *target, size_t dims);
void HalfToFloat(const uint16_t *source, float *target, size_t dims);

} // namespace lm_diskann
