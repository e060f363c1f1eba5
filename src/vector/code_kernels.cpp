#include "vector/code_kernels.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vector/code_kernels.cpp" // this file, once for each SIMD target
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lm_diskann {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR

template <size_t BITS>
int32_t CodeDotProduct(const int8_t *query, const uint8_t *code, size_t code_bytes) {
	constexpr size_t STRIDE = 16 * BITS;
	int32_t sum = 0;
	for (size_t i = 0; i < code_bytes; i++) {
		const int8_t *part = query + i / STRIDE * CODE_GROUP_DIMS + i % STRIDE;
		for (size_t s = 0; s < 8 / BITS; s++) {
			sum += ((code[i] >> (s * BITS)) & ((1 << BITS) - 1)) * part[s * STRIDE];
		}
	}
	return sum;
}

#else

//! sum + products of unsigned levels (at most 15, so that two products fit 16 bits) and signed bytes, added in fours.
template <class DU, class VU = hn::Vec<DU>, class VI = hn::Vec<hn::RebindToSigned<DU>>,
          class V32 = hn::Vec<hn::Repartition<int32_t, DU>>>
HWY_INLINE V32 AddProducts([[maybe_unused]] DU du, VU levels, VI query, V32 sum) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_SSSE3
#if HWY_TARGET == HWY_AVX3
	if constexpr (sizeof(VU) == 64) {
		const auto pairs = _mm512_maddubs_epi16(levels.raw, query.raw);
		return hn::Add(sum, V32 {_mm512_madd_epi16(pairs, _mm512_set1_epi16(1))});
	} else
#endif
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
	    if constexpr (sizeof(VU) == 32) {
		const auto pairs = _mm256_maddubs_epi16(levels.raw, query.raw);
		return hn::Add(sum, V32 {_mm256_madd_epi16(pairs, _mm256_set1_epi16(1))});
	} else
#endif
	{
		const auto pairs = _mm_maddubs_epi16(levels.raw, query.raw);
		return hn::Add(sum, V32 {_mm_madd_epi16(pairs, _mm_set1_epi16(1))});
	}
#else
	const hn::RebindToSigned<DU> di;
	const hn::Repartition<int16_t, DU> d16;
	const hn::Repartition<int32_t, DU> d32;
	const hn::Half<decltype(di)> half;
	const auto signed_levels = hn::BitCast(di, levels);
	auto rest = hn::Zero(d32);
	sum = hn::ReorderWidenMulAccumulate(d32, hn::PromoteTo(d16, hn::LowerHalf(half, signed_levels)),
	                                    hn::PromoteTo(d16, hn::LowerHalf(half, query)), sum, rest);
	sum = hn::ReorderWidenMulAccumulate(d32, hn::PromoteTo(d16, hn::UpperHalf(half, signed_levels)),
	                                    hn::PromoteTo(d16, hn::UpperHalf(half, query)), sum, rest);
	return hn::Add(sum, rest);
#endif
}

template <size_t BITS>
int32_t CodeDotProduct(const int8_t *query, const uint8_t *code, size_t code_bytes) {
	constexpr size_t STRIDE = 16 * BITS;
	const hn::CappedTag<uint8_t, STRIDE> du;
	const hn::RebindToSigned<decltype(du)> di;
	const hn::Repartition<uint16_t, decltype(du)> d16;
	const hn::Repartition<int32_t, decltype(du)> d32;
	const size_t lanes = hn::Lanes(du);
	const auto mask = hn::Set(du, uint8_t((1U << BITS) - 1));
	auto sum0 = hn::Zero(d32);
	auto sum1 = hn::Zero(d32);
	for (size_t i = 0; i < code_bytes; i += lanes) {
		const int8_t *part = query + i / STRIDE * CODE_GROUP_DIMS + i % STRIDE;
		// Shifting 16-bit lanes is right for bytes too: what crosses a byte is masked away.
		const auto packed = hn::BitCast(d16, hn::LoadU(du, code + i));
		const auto level = [&](auto shifted) HWY_ATTR { return hn::And(hn::BitCast(du, shifted), mask); };
		sum0 = AddProducts(du, level(packed), hn::LoadU(di, part), sum0);
		sum1 = AddProducts(du, level(hn::ShiftRight<BITS>(packed)), hn::LoadU(di, part + STRIDE), sum1);
		if constexpr (BITS <= 2) {
			sum0 = AddProducts(du, level(hn::ShiftRight<2 * BITS>(packed)), hn::LoadU(di, part + 2 * STRIDE), sum0);
			sum1 = AddProducts(du, level(hn::ShiftRight<3 * BITS>(packed)), hn::LoadU(di, part + 3 * STRIDE), sum1);
		}
		if constexpr (BITS == 1) {
			sum0 = AddProducts(du, level(hn::ShiftRight<4>(packed)), hn::LoadU(di, part + 4 * STRIDE), sum0);
			sum1 = AddProducts(du, level(hn::ShiftRight<5>(packed)), hn::LoadU(di, part + 5 * STRIDE), sum1);
			sum0 = AddProducts(du, level(hn::ShiftRight<6>(packed)), hn::LoadU(di, part + 6 * STRIDE), sum0);
			sum1 = AddProducts(du, level(hn::ShiftRight<7>(packed)), hn::LoadU(di, part + 7 * STRIDE), sum1);
		}
	}
	return hn::GetLane(hn::SumOfLanes(d32, hn::Add(sum0, sum1)));
}

#endif

template <size_t BITS>
void CodeDotProductsOf(const int8_t *query, const uint8_t *codes, size_t code_bytes, size_t count, int32_t *sums) {
	for (size_t i = 0; i < count; i++) {
		sums[i] = CodeDotProduct<BITS>(query, codes + i * code_bytes, code_bytes);
	}
}

void AllCodeDotProducts(uint32_t bits, const int8_t *query, const uint8_t *codes, size_t code_bytes, size_t count,
                        int32_t *sums) {
	switch (bits) {
	case 1:
		return CodeDotProductsOf<1>(query, codes, code_bytes, count, sums);
	case 2:
		return CodeDotProductsOf<2>(query, codes, code_bytes, count, sums);
	default:
		return CodeDotProductsOf<4>(query, codes, code_bytes, count, sums);
	}
}

} // namespace HWY_NAMESPACE
} // namespace lm_diskann
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lm_diskann {

HWY_EXPORT(AllCodeDotProducts);

void CodeDotProducts(uint32_t bits, const int8_t *query, const uint8_t *codes, size_t code_bytes, size_t count,
                     int32_t *sums) {
	HWY_DYNAMIC_DISPATCH(AllCodeDotProducts)(bits, query, codes, code_bytes, count, sums);
}

void PackLevels(uint32_t bits, const uint8_t *levels, size_t level_count, uint8_t *code) {
	const size_t stride = 16 * size_t(bits);
	for (size_t i = 0; i < level_count / 8 * bits; i++) {
		const uint8_t *part = levels + i / stride * CODE_GROUP_DIMS + i % stride;
		uint32_t packed = 0;
		for (uint32_t s = 0; s < 8 / bits; s++) {
			packed |= uint32_t(part[s * stride]) << (s * bits);
		}
		code[i] = uint8_t(packed);
	}
}

void UnpackLevels(uint32_t bits, const uint8_t *code, size_t level_count, uint8_t *levels) {
	const size_t stride = 16 * size_t(bits);
	const auto mask = uint8_t((1U << bits) - 1);
	// Group by group, so that the inner loop runs over neighbouring bytes.
	for (size_t group = 0; group < level_count / CODE_GROUP_DIMS; group++) {
		const uint8_t *packed = code + group * stride;
		uint8_t *target = levels + group * CODE_GROUP_DIMS;
		for (uint32_t s = 0; s < 8 / bits; s++) {
			for (size_t j = 0; j < stride; j++) {
				target[s * stride + j] = uint8_t(packed[j] >> (s * bits)) & mask;
			}
		}
	}
}

} // namespace lm_diskann
#endif // HWY_ONCE
