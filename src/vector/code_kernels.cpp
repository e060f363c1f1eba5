// Products of a query with all codes of a block. Four codes are worked on at a time, so that each load of the query
// serves four and their sums are added up together.
//
// Levels are multiplied by bytes of the query, for each place of a level in a byte. One-bit levels have eight places;
// where the processor counts ones it is less work to go by the bits of the query's elements (RaBitQ, SIGMOD 2024): with
// bit b of all elements as plane b, the product is the sum of weight(b) * popcount(plane b AND code). Elements have
// five bits then, on every machine, so that sums are the same. Searches of openai3l-treasury visit at most 0.4 % more
// blocks than with eight bits, at recall within 0.15 points; with four bits they lose up to 0.4 points.
#include "vector/code_kernels.hpp"

#include <cstring>

// Its dot product of bytes (VNNI) halves the work of AVX3; here the one target more is worth compiling.
#define HWY_WANT_AVX3_DL
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vector/code_kernels.cpp" // this file, once for each SIMD target
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lm_diskann {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

//! Counts ones by planes. Without an instruction for it, multiplying takes fewer.
constexpr bool HasPlanes(size_t bits) {
	return bits == 1 && HWY_TARGET == HWY_AVX3_DL;
}

//! Parts of an arranged query for each CODE_CHUNK_BYTES of codes, of as many bytes.
constexpr size_t PartCount(size_t bits) {
	return HasPlanes(bits) ? QUERY_PLANES : 8 / bits;
}

constexpr int8_t PlaneWeight(size_t plane) {
	return int8_t(plane + 1 == QUERY_PLANES ? -(1 << plane) : 1 << plane);
}

#if HWY_TARGET == HWY_SCALAR

template <size_t BITS>
void CodeDotProductsOf(const int8_t *query, const uint8_t *codes, size_t code_bytes, size_t count, int32_t *sums) {
	for (size_t c = 0; c < count; c++) {
		const uint8_t *code = codes + c * code_bytes;
		int32_t sum = 0;
		for (size_t i = 0; i < code_bytes; i++) {
			const int8_t *part = query + i / CODE_CHUNK_BYTES * (8 / BITS) * CODE_CHUNK_BYTES + i % CODE_CHUNK_BYTES;
			for (size_t s = 0; s < 8 / BITS; s++) {
				sum += ((code[i] >> (s * BITS)) & ((1 << BITS) - 1)) * part[s * CODE_CHUNK_BYTES];
			}
		}
		sums[c] = sum;
	}
}

#else

#define LMD_HAS_AVX3 (HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL)
#define LMD_HAS_SSSE3 (LMD_HAS_AVX3 || HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_SSSE3)

//! sum + products of unsigned levels (at most 15, so that two products fit 16 bits) and signed bytes, added in fours.
template <class DU, class VU = hn::Vec<DU>, class VI = hn::Vec<hn::RebindToSigned<DU>>,
          class V32 = hn::Vec<hn::Repartition<int32_t, DU>>>
HWY_INLINE V32 AddProducts([[maybe_unused]] DU du, VU levels, VI query, V32 sum) {
#if LMD_HAS_SSSE3
#if LMD_HAS_AVX3
	if constexpr (sizeof(VU) == 64) {
#if HWY_TARGET == HWY_AVX3_DL
		// Highway's target has the instruction, but its name for the compiler does not.
		__asm__("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(levels.raw), "v"(query.raw));
		return sum;
#else
		const auto pairs = _mm512_maddubs_epi16(levels.raw, query.raw);
		return hn::Add(sum, V32 {_mm512_madd_epi16(pairs, _mm512_set1_epi16(1))});
#endif
	} else
#endif
#if LMD_HAS_AVX3 || HWY_TARGET == HWY_AVX2
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

//! The levels at bit SHIFT of each byte. Shifting 16-bit lanes is right for bytes too: what crosses a byte is masked.
template <size_t SHIFT, size_t BITS, class DU, class VU = hn::Vec<DU>>
HWY_INLINE VU LevelsAt(DU du, VU packed) {
	const hn::Repartition<uint16_t, DU> d16;
	return hn::And(hn::BitCast(du, hn::ShiftRight<SHIFT>(hn::BitCast(d16, packed))),
	               hn::Set(du, uint8_t((1U << BITS) - 1)));
}

//! Adds the products of one vector of each of COUNT codes; the query's parts lie CODE_CHUNK_BYTES apart.
template <size_t PART, size_t BITS, size_t COUNT, class DU, class VU = hn::Vec<DU>, class V32>
HWY_INLINE void AddVector(DU du, const VU *packed, const int8_t *query, V32 *sums) {
	if constexpr (PART < PartCount(BITS)) {
		const hn::RebindToSigned<DU> di;
		const auto part = hn::LoadU(di, query);
		for (size_t c = 0; c < COUNT; c++) {
			if constexpr (HasPlanes(BITS)) {
				const auto ones = hn::PopulationCount(hn::And(packed[c], hn::BitCast(du, part)));
				sums[c] = AddProducts(du, ones, hn::Set(di, PlaneWeight(PART)), sums[c]);
			} else {
				sums[c] = AddProducts(du, LevelsAt<PART * BITS, BITS>(du, packed[c]), part, sums[c]);
			}
		}
		AddVector<PART + 1, BITS, COUNT>(du, packed, query + CODE_CHUNK_BYTES, sums);
	}
}

//! The sums of all lanes of four vectors, in order.
template <class D32, class V32 = hn::Vec<D32>>
HWY_INLINE void StoreFourSums(D32 d32, const V32 *sums, int32_t *target) {
	const hn::Repartition<int64_t, D32> d64;
	const auto first = hn::Add(hn::InterleaveLower(d32, sums[0], sums[1]), hn::InterleaveUpper(d32, sums[0], sums[1]));
	const auto last = hn::Add(hn::InterleaveLower(d32, sums[2], sums[3]), hn::InterleaveUpper(d32, sums[2], sums[3]));
	const auto low = hn::InterleaveLower(d64, hn::BitCast(d64, first), hn::BitCast(d64, last));
	const auto high = hn::InterleaveUpper(d64, hn::BitCast(d64, first), hn::BitCast(d64, last));
	auto all = hn::Add(hn::BitCast(d32, low), hn::BitCast(d32, high));
	const hn::Full128<int32_t> block;
	if constexpr (hn::MaxLanes(D32()) == 16) {
		const hn::Half<D32> half;
		const auto folded = hn::Add(hn::LowerHalf(half, all), hn::UpperHalf(half, all));
		hn::StoreU(hn::Add(hn::LowerHalf(block, folded), hn::UpperHalf(block, folded)), block, target);
	} else if constexpr (hn::MaxLanes(D32()) == 8) {
		hn::StoreU(hn::Add(hn::LowerHalf(block, all), hn::UpperHalf(block, all)), block, target);
	} else {
		hn::StoreU(all, block, target);
	}
}

//! COUNT (1 or 4) codes. Whole vectors first; what is left of a code is loaded in blocks of 16 bytes, never past its
//! end.
template <size_t BITS, size_t COUNT>
HWY_INLINE void SomeDotProducts(const int8_t *query, const uint8_t *codes, size_t code_bytes, int32_t *sums) {
	const hn::CappedTag<uint8_t, CODE_CHUNK_BYTES> du;
	const hn::Full128<uint8_t> block_tag;
	const hn::Repartition<int32_t, decltype(du)> d32;
	const hn::Repartition<int32_t, decltype(block_tag)> block32;
	constexpr size_t LANES = hn::MaxLanes(du);
	constexpr size_t CHUNK_QUERY_BYTES = PartCount(BITS) * CODE_CHUNK_BYTES;
	hn::Vec<decltype(d32)> totals[4];
	hn::Vec<decltype(du)> packed[COUNT];
	for (auto &total : totals) {
		total = hn::Zero(d32);
	}
	size_t i = 0;
	for (; i + LANES <= code_bytes; i += LANES) {
		for (size_t c = 0; c < COUNT; c++) {
			packed[c] = hn::LoadU(du, codes + c * code_bytes + i);
		}
		AddVector<0, BITS, COUNT>(du, packed, query + i / CODE_CHUNK_BYTES * CHUNK_QUERY_BYTES + i % CODE_CHUNK_BYTES,
		                          totals);
	}
#if LMD_HAS_AVX3
	if (i < code_bytes) {
		const auto rest = hn::FirstN(du, code_bytes - i);
		for (size_t c = 0; c < COUNT; c++) {
			packed[c] = hn::MaskedLoad(rest, du, codes + c * code_bytes + i);
		}
		AddVector<0, BITS, COUNT>(du, packed, query + i / CODE_CHUNK_BYTES * CHUNK_QUERY_BYTES, totals);
		i = code_bytes;
	}
#endif
	if constexpr (COUNT == 4) {
		StoreFourSums(d32, totals, sums);
	} else {
		sums[0] = hn::GetLane(hn::SumOfLanes(d32, totals[0]));
	}
	for (; i < code_bytes; i += 16) {
		hn::Vec<decltype(block_tag)> blocks[COUNT];
		hn::Vec<decltype(block32)> rests[COUNT];
		for (size_t c = 0; c < COUNT; c++) {
			blocks[c] = hn::LoadU(block_tag, codes + c * code_bytes + i);
			rests[c] = hn::Zero(block32);
		}
		AddVector<0, BITS, COUNT>(block_tag, blocks,
		                          query + i / CODE_CHUNK_BYTES * CHUNK_QUERY_BYTES + i % CODE_CHUNK_BYTES, rests);
		for (size_t c = 0; c < COUNT; c++) {
			sums[c] += hn::GetLane(hn::SumOfLanes(block32, rests[c]));
		}
	}
}

template <size_t BITS>
void CodeDotProductsOf(const int8_t *query, const uint8_t *codes, size_t code_bytes, size_t count, int32_t *sums) {
	size_t c = 0;
	for (; c + 4 <= count; c += 4) {
		SomeDotProducts<BITS, 4>(query, codes + c * code_bytes, code_bytes, sums + c);
	}
	for (; c < count; c++) {
		SomeDotProducts<BITS, 1>(query, codes + c * code_bytes, code_bytes, sums + c);
	}
}

#undef LMD_HAS_SSSE3
#undef LMD_HAS_AVX3
#endif

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

namespace {

//! Bytes beside each other that are worked on as one number.
constexpr size_t EIGHT = sizeof(uint64_t);

uint64_t LoadEight(const void *source) {
	uint64_t eight;
	std::memcpy(&eight, source, EIGHT);
	return eight;
}

//! Eight bytes of a code: `bits` bits of each of their levels, which begin at `levels`, from `first_bit` on.
uint64_t PackEight(uint32_t bits, const void *levels, size_t first_bit) {
	const uint64_t mask = 0x0101010101010101 * ((1U << bits) - 1);
	uint64_t packed = 0;
	for (size_t s = 0; s < 8 / bits; s++) {
		packed |= ((LoadEight(static_cast<const uint8_t *>(levels) + s * 16 * bits) >> first_bit) & mask) << (s * bits);
	}
	return packed;
}

} // namespace

HWY_EXPORT(AllCodeDotProducts);
HWY_EXPORT(HasPlanes);

void CodeDotProducts(uint32_t bits, const int8_t *query, const uint8_t *codes, size_t code_bytes, size_t count,
                     int32_t *sums) {
	HWY_DYNAMIC_DISPATCH(AllCodeDotProducts)(bits, query, codes, code_bytes, count, sums);
}

//! Planes need fewer; so many on every machine.
size_t ArrangedQueryBytes(uint32_t bits, size_t level_count) {
	const size_t code_bytes = level_count / 8 * bits;
	return (code_bytes + CODE_CHUNK_BYTES - 1) / CODE_CHUNK_BYTES * CODE_CHUNK_BYTES * (8 / bits);
}

void ArrangeQuery(uint32_t bits, const int8_t *query, size_t level_count, int8_t *arranged) {
	const bool has_planes = HWY_DYNAMIC_DISPATCH(HasPlanes)(bits);
	const size_t part_count = has_planes ? QUERY_PLANES : 8 / bits;
	const size_t stride = 16 * size_t(bits);
	std::memset(arranged, 0, ArrangedQueryBytes(bits, level_count));
	for (size_t i = 0; i < level_count / 8 * bits; i += EIGHT) {
		const int8_t *elements = query + i / stride * CODE_GROUP_DIMS + i % stride;
		int8_t *target = arranged + i / CODE_CHUNK_BYTES * part_count * CODE_CHUNK_BYTES + i % CODE_CHUNK_BYTES;
		for (size_t part = 0; part < part_count; part++) {
			const uint64_t eight = has_planes ? PackEight(1, elements, part) : LoadEight(elements + part * stride);
			std::memcpy(target + part * CODE_CHUNK_BYTES, &eight, EIGHT);
		}
	}
}

void PackLevels(uint32_t bits, const uint8_t *levels, size_t level_count, uint8_t *code) {
	const size_t stride = 16 * size_t(bits);
	for (size_t i = 0; i < level_count / 8 * bits; i += EIGHT) {
		const uint64_t packed = PackEight(bits, levels + i / stride * CODE_GROUP_DIMS + i % stride, 0);
		std::memcpy(code + i, &packed, EIGHT);
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
