#include "vector/byte_products.hpp"

#include <algorithm>

// Its dot product of bytes (VNNI) does in one step what takes three without.
#define HWY_WANT_AVX3_DL
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vector/byte_products.cpp" // this file, once for each SIMD target
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lm_diskann {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

//! The sum of a group of vectors' products with one part of the query. A lane adds at most 16384 * 255 * 127 < 2^31.
#if HWY_TARGET == HWY_AVX3_DL
struct Products {
	static constexpr size_t LANES = 64;
	using Tag = hn::CappedTag<uint8_t, LANES>;
	using Sum = hn::Vec<hn::Repartition<int32_t, Tag>>;

	static HWY_INLINE void Add(hn::Vec<Tag> vector, hn::Vec<hn::RebindToSigned<Tag>> query, Sum &sum, Sum &) {
		// Highway's target has the instruction, but its name for the compiler does not.
		__asm__("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(vector.raw), "v"(query.raw));
	}
	static HWY_INLINE hn::Vec<Tag> Vector(const uint8_t *source) {
		return hn::LoadU(Tag(), source);
	}
	static HWY_INLINE hn::Vec<hn::RebindToSigned<Tag>> Query(const int8_t *source) {
		return hn::LoadU(hn::RebindToSigned<Tag>(), source);
	}
};
#elif HWY_TARGET != HWY_SCALAR
struct Products {
	using Wide = hn::ScalableTag<int16_t>;
	static constexpr size_t LANES = hn::MaxLanes(Wide());
	using Sum = hn::Vec<hn::Repartition<int32_t, Wide>>;

	static HWY_INLINE void Add(hn::Vec<Wide> vector, hn::Vec<Wide> query, Sum &sum, Sum &rest) {
		sum = hn::ReorderWidenMulAccumulate(hn::Repartition<int32_t, Wide>(), vector, query, sum, rest);
	}
	static HWY_INLINE hn::Vec<Wide> Vector(const uint8_t *source) {
		return hn::PromoteTo(Wide(), hn::LoadU(hn::Rebind<uint8_t, Wide>(), source));
	}
	static HWY_INLINE hn::Vec<Wide> Query(const int8_t *source) {
		return hn::PromoteTo(Wide(), hn::LoadU(hn::Rebind<int8_t, Wide>(), source));
	}
};
#endif

template <size_t COUNT>
HWY_INLINE void SomeProducts(const int8_t *query, const uint8_t *const *vectors, size_t dims, int32_t *products) {
	std::fill_n(products, COUNT, 0);
	size_t i = 0;
#if HWY_TARGET != HWY_SCALAR
	Products::Sum sums[COUNT];
	Products::Sum rests[COUNT];
	const hn::ScalableTag<int32_t> tag;
	for (size_t v = 0; v < COUNT; v++) {
		sums[v] = rests[v] = hn::Zero(tag);
	}
	for (; i + Products::LANES <= dims; i += Products::LANES) {
		const auto part = Products::Query(query + i);
		for (size_t v = 0; v < COUNT; v++) {
			Products::Add(Products::Vector(vectors[v] + i), part, sums[v], rests[v]);
		}
	}
	for (size_t v = 0; v < COUNT; v++) {
		products[v] = hn::GetLane(hn::SumOfLanes(tag, hn::Add(sums[v], rests[v])));
	}
#endif
	for (; i < dims; i++) {
		for (size_t v = 0; v < COUNT; v++) {
			products[v] += vectors[v][i] * query[i];
		}
	}
}

void AllByteProducts(const int8_t *query, const uint8_t *const *vectors, size_t count, size_t dims, int32_t *products) {
	constexpr size_t GROUP = 4;
	size_t v = 0;
	for (; v + GROUP <= count; v += GROUP) {
		SomeProducts<GROUP>(query, vectors + v, dims, products + v);
	}
	for (; v < count; v++) {
		SomeProducts<1>(query, vectors + v, dims, products + v);
	}
}

} // namespace
} // namespace HWY_NAMESPACE
} // namespace lm_diskann
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lm_diskann {

HWY_EXPORT(AllByteProducts);

void ByteProducts(const int8_t *query, const uint8_t *const *vectors, size_t count, size_t dims, int32_t *products) {
	HWY_DYNAMIC_DISPATCH(AllByteProducts)(query, vectors, count, dims, products);
}

} // namespace lm_diskann
#endif // HWY_ONCE
