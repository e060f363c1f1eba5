#include "vector/distance.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vector/distance.cpp" // this file, once for each SIMD target
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lm_diskann {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

//! Runs `step(a, b, lane)` over whole vectors of `d`, four at a time with separate accumulators (two FMA ports times
//! four cycles of latency), then once over the rest, padded with zeros: zeros add nothing to any sum here.
template <class D, class T, class STEP>
HWY_INLINE void ForEachVector(D d, const T *a, const T *b, size_t dims, STEP &&step) {
	const size_t lanes = hn::Lanes(d);
	size_t i = 0;
	for (; i + 4 * lanes <= dims; i += 4 * lanes) {
		step(hn::LoadU(d, a + i), hn::LoadU(d, b + i), 0);
		step(hn::LoadU(d, a + i + lanes), hn::LoadU(d, b + i + lanes), 1);
		step(hn::LoadU(d, a + i + 2 * lanes), hn::LoadU(d, b + i + 2 * lanes), 2);
		step(hn::LoadU(d, a + i + 3 * lanes), hn::LoadU(d, b + i + 3 * lanes), 3);
	}
	for (; i + lanes <= dims; i += lanes) {
		step(hn::LoadU(d, a + i), hn::LoadU(d, b + i), 0);
	}
	if (i < dims) {
		HWY_ALIGN T rest_a[hn::MaxLanes(d)] = {};
		HWY_ALIGN T rest_b[hn::MaxLanes(d)] = {};
		std::memcpy(rest_a, a + i, (dims - i) * sizeof(T));
		std::memcpy(rest_b, b + i, (dims - i) * sizeof(T));
		step(hn::Load(d, rest_a), hn::Load(d, rest_b), 1);
	}
}

template <class D, class V>
HWY_INLINE auto SumOf(D d, const V *sums) {
	return hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3]))));
}

float SquaredL2Float(const float *a, const float *b, size_t dims) {
	const hn::ScalableTag<float> d;
	using V = hn::Vec<decltype(d)>;
	V sums[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
	ForEachVector(d, a, b, dims, [&](V x, V y, int lane) HWY_ATTR {
		const V difference = hn::Sub(x, y);
		sums[lane] = hn::MulAdd(difference, difference, sums[lane]);
	});
	return SumOf(d, sums);
}

float InnerProductFloat(const float *a, const float *b, size_t dims) {
	const hn::ScalableTag<float> d;
	using V = hn::Vec<decltype(d)>;
	V sums[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
	ForEachVector(d, a, b, dims, [&](V x, V y, int lane) HWY_ATTR { sums[lane] = hn::MulAdd(x, y, sums[lane]); });
	return SumOf(d, sums);
}

//! products[0..2] = a.b, a.a, b.b
void ProductsFloat(const float *a, const float *b, size_t dims, double *products) {
	const hn::ScalableTag<float> d;
	using V = hn::Vec<decltype(d)>;
	const V zero = hn::Zero(d);
	V ab[4] = {zero, zero, zero, zero};
	V aa[4] = {zero, zero, zero, zero};
	V bb[4] = {zero, zero, zero, zero};
	ForEachVector(d, a, b, dims, [&](V x, V y, int lane) HWY_ATTR {
		ab[lane] = hn::MulAdd(x, y, ab[lane]);
		aa[lane] = hn::MulAdd(x, x, aa[lane]);
		bb[lane] = hn::MulAdd(y, y, bb[lane]);
	});
	products[0] = SumOf(d, ab);
	products[1] = SumOf(d, aa);
	products[2] = SumOf(d, bb);
}

//! Exact sums of products of int8: 16384 * 255^2 < 2^31. `form` makes the factors of a step.
#if HWY_TARGET == HWY_SCALAR
template <class FORM>
HWY_INLINE int32_t SumInt8(const int8_t *a, const int8_t *b, size_t dims, FORM &&form) {
	const hn::ScalableTag<int32_t> d;
	int32_t sum = 0;
	for (size_t i = 0; i < dims; i++) {
		const auto factors = form(hn::Set(d, a[i]), hn::Set(d, b[i]));
		sum += hn::GetLane(hn::Mul(factors.first, factors.second));
	}
	return sum;
}
#else
template <class FORM>
HWY_INLINE int32_t SumInt8(const int8_t *a, const int8_t *b, size_t dims, FORM &&form) {
	const hn::ScalableTag<int32_t> d32;
	const hn::Repartition<int16_t, decltype(d32)> d16;
	const hn::Rebind<int8_t, decltype(d16)> d8;
	using V8 = hn::Vec<decltype(d8)>;
	auto sum0 = hn::Zero(d32);
	auto sum1 = hn::Zero(d32);
	ForEachVector(d8, a, b, dims, [&](V8 x, V8 y, int) HWY_ATTR {
		const auto factors = form(hn::PromoteTo(d16, x), hn::PromoteTo(d16, y));
		sum0 = hn::ReorderWidenMulAccumulate(d32, factors.first, factors.second, sum0, sum1);
	});
	return hn::GetLane(hn::SumOfLanes(d32, hn::Add(sum0, sum1)));
}
#endif

template <class V>
struct Factors {
	V first;
	V second;
};

int32_t SquaredL2Int8(const int8_t *a, const int8_t *b, size_t dims) {
	return SumInt8(a, b, dims, [](auto x, auto y) HWY_ATTR {
		const auto difference = hn::Sub(x, y);
		return Factors<decltype(x)> {difference, difference};
	});
}

int32_t InnerProductInt8(const int8_t *a, const int8_t *b, size_t dims) {
	return SumInt8(a, b, dims, [](auto x, auto y) HWY_ATTR { return Factors<decltype(x)> {x, y}; });
}

void WidenInt8Kernel(const int8_t *source, float *target, size_t dims) {
	const hn::ScalableTag<float> d;
	const hn::RebindToSigned<decltype(d)> d32;
	const hn::Rebind<int8_t, decltype(d)> d8;
	const size_t lanes = hn::Lanes(d);
	size_t i = 0;
	for (; i + lanes <= dims; i += lanes) {
		hn::StoreU(hn::ConvertTo(d, hn::PromoteTo(d32, hn::LoadU(d8, source + i))), d, target + i);
	}
	for (; i < dims; i++) {
		target[i] = source[i];
	}
}

} // namespace HWY_NAMESPACE
} // namespace lm_diskann
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lm_diskann {

HWY_EXPORT(SquaredL2Float);
HWY_EXPORT(InnerProductFloat);
HWY_EXPORT(ProductsFloat);
HWY_EXPORT(SquaredL2Int8);
HWY_EXPORT(InnerProductInt8);
HWY_EXPORT(WidenInt8Kernel);

namespace {

//! NaN for a zero norm, as in DuckDB; rounding may leave [-1, 1].
float CosineOf(double product, double squared_norm_a, double squared_norm_b) {
	const double similarity = product / std::sqrt(squared_norm_a * squared_norm_b);
	return similarity == similarity ? float(1.0 - std::clamp(similarity, -1.0, 1.0))
	                                : std::numeric_limits<float>::quiet_NaN();
}

//! Rounds to nearest even; beyond the largest half the largest half is taken.
uint16_t HalfOf(float value) {
	constexpr float HALF_MAX = 65504.0F;
	const float bounded = std::clamp(value, -HALF_MAX, HALF_MAX);
	uint32_t bits = 0;
	std::memcpy(&bits, &bounded, sizeof(bits));
	const auto sign = uint16_t((bits >> 16) & 0x8000U);
	const float magnitude = std::fabs(bounded);
	if (magnitude < 6.103515625e-05F) { // below 2^-14 halves are multiples of 2^-24
		return uint16_t(sign | uint16_t(std::nearbyint(magnitude * 16777216.0F)));
	}
	bits &= 0x7FFFFFFFU;
	bits += 0x0FFFU + ((bits >> 13) & 1U);
	return uint16_t(sign | uint16_t((bits - (112U << 23)) >> 13));
}

float FloatOf(uint16_t half) {
	const uint32_t exponent = (half >> 10) & 0x1FU;
	const float mantissa = float(half & 0x3FFU);
	const float magnitude = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(mantissa + 1024.0F, int(exponent) - 25);
	return (half & 0x8000U) != 0 ? -magnitude : magnitude;
}

} // namespace

float SquaredL2(const float *a, const float *b, size_t dims) {
	return HWY_DYNAMIC_DISPATCH(SquaredL2Float)(a, b, dims);
}

float SquaredL2(const int8_t *a, const int8_t *b, size_t dims) {
	return float(HWY_DYNAMIC_DISPATCH(SquaredL2Int8)(a, b, dims));
}

float InnerProduct(const float *a, const float *b, size_t dims) {
	return HWY_DYNAMIC_DISPATCH(InnerProductFloat)(a, b, dims);
}

float InnerProduct(const int8_t *a, const int8_t *b, size_t dims) {
	return float(HWY_DYNAMIC_DISPATCH(InnerProductInt8)(a, b, dims));
}

float CosineDistance(const float *a, const float *b, size_t dims) {
	double products[3];
	HWY_DYNAMIC_DISPATCH(ProductsFloat)(a, b, dims, products);
	return CosineOf(products[0], products[1], products[2]);
}

float CosineDistance(const int8_t *a, const int8_t *b, size_t dims) {
	return CosineOf(HWY_DYNAMIC_DISPATCH(InnerProductInt8)(a, b, dims),
	                HWY_DYNAMIC_DISPATCH(InnerProductInt8)(a, a, dims),
	                HWY_DYNAMIC_DISPATCH(InnerProductInt8)(b, b, dims));
}

float Distance(Metric metric, const float *a, const float *b, size_t dims) {
	return metric == Metric::L2SQ     ? SquaredL2(a, b, dims)
	       : metric == Metric::COSINE ? CosineDistance(a, b, dims)
	                                  : -InnerProduct(a, b, dims);
}

float Distance(Metric metric, const int8_t *a, const int8_t *b, size_t dims) {
	return metric == Metric::L2SQ     ? SquaredL2(a, b, dims)
	       : metric == Metric::COSINE ? CosineDistance(a, b, dims)
	                                  : -InnerProduct(a, b, dims);
}

void WidenInt8(const int8_t *source, float *target, size_t dims) {
	HWY_DYNAMIC_DISPATCH(WidenInt8Kernel)(source, target, dims);
}

void FloatToHalf(const float *source, uint16_t *target, size_t dims) {
	std::transform(source, source + dims, target, HalfOf);
}

void HalfToFloat(const uint16_t *source, float *target, size_t dims) {
	std::transform(source, source + dims, target, FloatOf);
}

} // namespace lm_diskann
#endif // HWY_ONCE
