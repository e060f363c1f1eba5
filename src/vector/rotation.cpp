// One source, compiled once for each Highway target. Only sums, differences and products of single elements, in an
// order that no target changes: the bits are the same everywhere.
#include "vector/rotation.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vector/rotation.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lm_diskann {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
constexpr size_t FLOAT_LANES = hn::MaxLanes(FloatTag());

//! Sums and differences of elements `half` apart, LANES at a time (LANES divides `half`).
template <size_t LANES>
HWY_INLINE void HadamardStep(float *values, size_t size, size_t half) {
	const hn::CappedTag<float, LANES> tag;
	for (size_t begin = 0; begin < size; begin += 2 * half) {
		float *low = values + begin;
		float *high = low + half;
		for (size_t i = 0; i < half; i += LANES) {
			const auto a = hn::LoadU(tag, low + i);
			const auto b = hn::LoadU(tag, high + i);
			hn::StoreU(hn::Add(a, b), tag, low + i);
			hn::StoreU(hn::Sub(a, b), tag, high + i);
		}
	}
}

#if HWY_TARGET != HWY_SCALAR
//! The steps of elements 1 and 2 apart, which lie in one vector.
HWY_INLINE void HadamardOfFours(float *values, size_t size) {
	const hn::CappedTag<float, std::min<size_t>(FLOAT_LANES, 8)> tag;
	const hn::Repartition<double, decltype(tag)> pairs;
	constexpr size_t LANES = hn::MaxLanes(decltype(tag)());
	for (size_t begin = 0; begin < size; begin += LANES) {
		auto v = hn::LoadU(tag, values + begin);
		auto swapped = hn::Shuffle2301(v);
		v = hn::OddEven(hn::Sub(swapped, v), hn::Add(v, swapped));
		swapped = hn::Shuffle1032(v);
		v = hn::BitCast(tag,
		                hn::OddEven(hn::BitCast(pairs, hn::Sub(swapped, v)), hn::BitCast(pairs, hn::Add(v, swapped))));
		hn::StoreU(v, tag, values + begin);
	}
}
#endif

//! Fast Walsh-Hadamard transform of `size` floats (a power of two), scaled to keep lengths.
void Hadamard(float *values, size_t size) {
	size_t half = 1;
#if HWY_TARGET != HWY_SCALAR
	if (size >= 8) {
		HadamardOfFours(values, size);
		half = 4;
	}
#endif
	for (; half < size; half *= 2) {
		if (half >= FLOAT_LANES) {
			HadamardStep<FLOAT_LANES>(values, size, half);
		} else if (half == 8) {
			HadamardStep<std::min<size_t>(FLOAT_LANES, 8)>(values, size, half);
		} else if (half == 4) {
			HadamardStep<std::min<size_t>(FLOAT_LANES, 4)>(values, size, half);
		} else {
			HadamardStep<1>(values, size, half);
		}
	}
	const float scale = 1.0F / std::sqrt(float(size));
	for (size_t i = 0; i < size; i++) {
		values[i] *= scale;
	}
}

//! Turns each coordinate of the first half with one of the last half by 45 degrees: windows that hardly overlap mix
//! (Kac's walk).
void MixHalves(float *values, size_t dims) {
	constexpr float HALF_ROOT = 0.70710678F;
	float *high = values + (dims - dims / 2);
	for (size_t i = 0; i < dims / 2; i++) {
		const float a = values[i];
		const float b = high[i];
		values[i] = (a + b) * HALF_ROOT;
		high[i] = (a - b) * HALF_ROOT;
	}
}

void Rotate(const float *signs, const float *source, float *target, size_t dims) {
	std::memcpy(target, source, dims * sizeof(float));
	size_t window = 1;
	while (2 * window <= dims) {
		window *= 2;
	}
	for (size_t round = 0; round < ROTATION_ROUNDS; round++) {
		const float *sign = signs + round * dims;
		for (size_t i = 0; i < dims; i++) {
			target[i] *= sign[i];
		}
		Hadamard(round % 2 == 0 ? target : target + (dims - window), window);
		if (window < dims) { // else it would undo the last step of the transform
			MixHalves(target, dims);
		}
	}
}

float Largest(const float *values, size_t count) {
	const FloatTag tag;
	auto largest = hn::Zero(tag);
	size_t i = 0;
	for (; i + FLOAT_LANES <= count; i += FLOAT_LANES) {
		const auto magnitude = hn::Abs(hn::LoadU(tag, values + i));
		// Not a number compares as false.
		largest = hn::IfThenElse(hn::Gt(magnitude, largest), magnitude, largest);
	}
	float result = hn::GetLane(hn::MaxOfLanes(tag, largest));
	for (; i < count; i++) {
		result = std::max(result, std::fabs(values[i]));
	}
	return result;
}

//! In this order a value that is not a number becomes the limit.
HWY_INLINE int32_t RoundOne(float value, float limit) {
	const float bounded = std::max(std::min(limit, value), -limit);
	// Leaves no bit behind the point: rounds to the nearest, to even between two.
	constexpr float ROUNDER = 12582912.0F; // 1.5 * 2^23
	return int32_t((bounded + ROUNDER) - ROUNDER);
}

int32_t RoundToBytes(const float *values, float factor, float limit, int8_t *target, size_t count) {
	int32_t sum = 0;
	for (size_t i = 0; i < count; i++) {
		const int32_t rounded = RoundOne(values[i] * factor, limit);
		target[i] = int8_t(rounded);
		sum += rounded;
	}
	return sum;
}

void RoundToShorts(const float *values, float factor, float limit, int16_t *target, size_t count) {
	for (size_t i = 0; i < count; i++) {
		target[i] = int16_t(RoundOne(values[i] * factor, limit));
	}
}

} // namespace
} // namespace HWY_NAMESPACE
} // namespace lm_diskann
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lm_diskann {

HWY_EXPORT(Rotate);
HWY_EXPORT(Largest);
HWY_EXPORT(RoundToBytes);
HWY_EXPORT(RoundToShorts);

void RotateVector(const float *signs, const float *source, float *target, size_t dims) {
	HWY_DYNAMIC_DISPATCH(Rotate)(signs, source, target, dims);
}

float LargestMagnitude(const float *values, size_t count) {
	return HWY_DYNAMIC_DISPATCH(Largest)(values, count);
}

int32_t RoundToInt8(const float *values, float factor, float limit, int8_t *target, size_t count) {
	return HWY_DYNAMIC_DISPATCH(RoundToBytes)(values, factor, limit, target, count);
}

void RoundToInt16(const float *values, float factor, float limit, int16_t *target, size_t count) {
	HWY_DYNAMIC_DISPATCH(RoundToShorts)(values, factor, limit, target, count);
}

} // namespace lm_diskann
#endif // HWY_ONCE
