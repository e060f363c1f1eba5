// One source, compiled once for each Highway target.
#include "vector/convert.hpp"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vector/convert.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lm_diskann {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
constexpr size_t FLOAT_LANES = hn::MaxLanes(FloatTag());

//! True where half conversions are instructions rather than emulations.
#define LMD_HAS_AVX2 (HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3)

void WidenBytes(const int8_t *source, float *target, size_t dims) {
	const FloatTag tag;
	const hn::Rebind<int8_t, FloatTag> byte_tag;
	size_t i = 0;
	for (; i + FLOAT_LANES <= dims; i += FLOAT_LANES) {
		const auto integers = hn::PromoteTo(hn::ScalableTag<int32_t>(), hn::LoadU(byte_tag, source + i));
		hn::StoreU(hn::ConvertTo(tag, integers), tag, target + i);
	}
	for (; i < dims; i++) {
		target[i] = static_cast<float>(source[i]);
	}
}

//! Round to nearest even, for finite values inside +-65504. The float's own rounding does the work: adding a power of
//! two whose last bit is the half's last bit drops exactly the bits the half does not have.
HWY_INLINE uint16_t HalfOf(float value) {
	uint32_t bits;
	std::memcpy(&bits, &value, sizeof(bits));
	const uint32_t sign = (bits >> 16) & 0x8000u;
	const uint32_t magnitude = bits & 0x7FFFFFFFu;
	if (magnitude < 0x38800000u) { // below 2^-14: a subnormal half, a multiple of 2^-24; 0.5 has its last bit there
		float absolute;
		std::memcpy(&absolute, &magnitude, sizeof(absolute));
		const float shifted = absolute + 0.5f;
		uint32_t shifted_bits;
		std::memcpy(&shifted_bits, &shifted, sizeof(shifted_bits));
		return static_cast<uint16_t>(sign | (shifted_bits - 0x3F000000u));
	}
	// 13 mantissa bits go; the exponent bias changes from 127 to 15.
	const uint32_t rounded = magnitude + 0xFFFu + ((magnitude >> 13) & 1u);
	return static_cast<uint16_t>(sign | ((rounded - (112u << 23)) >> 13));
}

HWY_INLINE float FloatOf(uint16_t half) {
	const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
	const uint32_t exponent = (half >> 10) & 31u;
	const uint32_t mantissa = half & 0x3FFu;
	uint32_t bits;
	if (exponent == 0) {
		const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
		std::memcpy(&bits, &magnitude, sizeof(bits));
	} else {
		bits = ((exponent == 31 ? 255u : exponent + 112u) << 23) | (mantissa << 13);
	}
	bits |= sign;
	float value;
	std::memcpy(&value, &bits, sizeof(value));
	return value;
}

void FloatsToHalves(const float *source, uint16_t *target, size_t dims) {
	constexpr float HALF_MAX = 65504.0f;
	size_t i = 0;
#if LMD_HAS_AVX2
	const FloatTag tag;
	const hn::Rebind<hwy::float16_t, FloatTag> half_tag;
	const hn::Rebind<uint16_t, FloatTag> bits_tag;
	for (; i + FLOAT_LANES <= dims; i += FLOAT_LANES) {
		const auto clamped =
		    hn::Max(hn::Set(tag, -HALF_MAX), hn::Min(hn::LoadU(tag, source + i), hn::Set(tag, HALF_MAX)));
		hn::StoreU(hn::BitCast(bits_tag, hn::DemoteTo(half_tag, clamped)), bits_tag, target + i);
	}
#endif
	for (; i < dims; i++) {
		target[i] = HalfOf(std::max(-HALF_MAX, std::min(source[i], HALF_MAX)));
	}
}

void HalvesToFloats(const uint16_t *source, float *target, size_t dims) {
	size_t i = 0;
#if LMD_HAS_AVX2
	const FloatTag tag;
	const hn::Rebind<hwy::float16_t, FloatTag> half_tag;
	const hn::Rebind<uint16_t, FloatTag> bits_tag;
	for (; i + FLOAT_LANES <= dims; i += FLOAT_LANES) {
		const auto halves = hn::BitCast(half_tag, hn::LoadU(bits_tag, source + i));
		hn::StoreU(hn::PromoteTo(tag, halves), tag, target + i);
	}
#endif
	for (; i < dims; i++) {
		target[i] = FloatOf(source[i]);
	}
}

#undef LMD_HAS_AVX2

} // namespace
} // namespace HWY_NAMESPACE
} // namespace lm_diskann
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lm_diskann {

HWY_EXPORT(WidenBytes);
HWY_EXPORT(FloatsToHalves);
HWY_EXPORT(HalvesToFloats);

void WidenInt8(const int8_t *source, float *target, size_t dims) {
	HWY_DYNAMIC_DISPATCH(WidenBytes)(source, target, dims);
}

void FloatToHalf(const float *source, uint16_t *target, size_t dims) {
	HWY_DYNAMIC_DISPATCH(FloatsToHalves)(source, target, dims);
}

void HalfToFloat(const uint16_t *source, float *target, size_t dims) {
	HWY_DYNAMIC_DISPATCH(HalvesToFloats)(source, target, dims);
}

} // namespace lm_diskann
#endif // HWY_ONCE
