// One source, compiled once for each Highway target. Each sum runs over four (cosine: two) vectors at a time, so that
// the latency of an addition is hidden; the last elements come through a zero-filled vector, never from past the end.
#include "vector/distance.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vector/distance.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lm_diskann {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using FloatVector = hn::Vec<FloatTag>;
constexpr size_t FLOAT_LANES = hn::MaxLanes(FloatTag());

//! True where masked loads of floats are instructions rather than emulations.
#define LMD_HAS_AVX2 (HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3)

//! The first `count` elements (fewer than a vector) from `source`, then zeros.
template <class TAG, class T>
HWY_INLINE hn::Vec<TAG> LoadTail(TAG tag, const T *source, size_t count) {
	alignas(64) T lanes[hn::MaxLanes(TAG())] = {};
	std::memcpy(lanes, source, count * sizeof(T));
	return hn::Load(tag, lanes);
}

#if LMD_HAS_AVX2
HWY_INLINE FloatVector LoadTail(FloatTag tag, const float *source, size_t count) {
	return hn::MaskedLoad(hn::FirstN(tag, count), tag, source);
}
#endif

struct SquaredL2Step {
	template <class VECTOR>
	static HWY_INLINE VECTOR Add(VECTOR sum, VECTOR a, VECTOR b) {
		const VECTOR difference = hn::Sub(a, b);
		return hn::MulAdd(difference, difference, sum);
	}
};

struct InnerProductStep {
	template <class VECTOR>
	static HWY_INLINE VECTOR Add(VECTOR sum, VECTOR a, VECTOR b) {
		return hn::MulAdd(a, b, sum);
	}
};

template <class STEP>
HWY_INLINE float SumFloats(const float *a, const float *b, size_t dims) {
	const FloatTag tag;
	FloatVector sum0 = hn::Zero(tag), sum1 = hn::Zero(tag), sum2 = hn::Zero(tag), sum3 = hn::Zero(tag);
	size_t i = 0;
	for (; i + 4 * FLOAT_LANES <= dims; i += 4 * FLOAT_LANES) {
		sum0 = STEP::Add(sum0, hn::LoadU(tag, a + i), hn::LoadU(tag, b + i));
		sum1 = STEP::Add(sum1, hn::LoadU(tag, a + i + FLOAT_LANES), hn::LoadU(tag, b + i + FLOAT_LANES));
		sum2 = STEP::Add(sum2, hn::LoadU(tag, a + i + 2 * FLOAT_LANES), hn::LoadU(tag, b + i + 2 * FLOAT_LANES));
		sum3 = STEP::Add(sum3, hn::LoadU(tag, a + i + 3 * FLOAT_LANES), hn::LoadU(tag, b + i + 3 * FLOAT_LANES));
	}
	for (; i + FLOAT_LANES <= dims; i += FLOAT_LANES) {
		sum0 = STEP::Add(sum0, hn::LoadU(tag, a + i), hn::LoadU(tag, b + i));
	}
	if (i < dims) {
		sum1 = STEP::Add(sum1, LoadTail(tag, a + i, dims - i), LoadTail(tag, b + i, dims - i));
	}
	return hn::GetLane(hn::SumOfLanes(tag, hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3))));
}

float SquaredL2Float(const float *a, const float *b, size_t dims) {
	return SumFloats<SquaredL2Step>(a, b, dims);
}

float InnerProductFloat(const float *a, const float *b, size_t dims) {
	return SumFloats<InnerProductStep>(a, b, dims);
}

//! a.b, a.a and b.b in one pass.
struct FloatProducts {
	FloatVector ab;
	FloatVector aa;
	FloatVector bb;

	// Written out because an implicit constructor is not compiled for the target.
	HWY_INLINE FloatProducts() : ab(hn::Zero(FloatTag())), aa(hn::Zero(FloatTag())), bb(hn::Zero(FloatTag())) {
	}
	HWY_INLINE void Add(FloatVector a, FloatVector b) {
		ab = hn::MulAdd(a, b, ab);
		aa = hn::MulAdd(a, a, aa);
		bb = hn::MulAdd(b, b, bb);
	}
};

void ProductsFloat(const float *a, const float *b, size_t dims, float *products) {
	const FloatTag tag;
	FloatProducts even;
	FloatProducts odd;
	size_t i = 0;
	for (; i + 2 * FLOAT_LANES <= dims; i += 2 * FLOAT_LANES) {
		even.Add(hn::LoadU(tag, a + i), hn::LoadU(tag, b + i));
		odd.Add(hn::LoadU(tag, a + i + FLOAT_LANES), hn::LoadU(tag, b + i + FLOAT_LANES));
	}
	if (i + FLOAT_LANES <= dims) {
		even.Add(hn::LoadU(tag, a + i), hn::LoadU(tag, b + i));
		i += FLOAT_LANES;
	}
	if (i < dims) {
		odd.Add(LoadTail(tag, a + i, dims - i), LoadTail(tag, b + i, dims - i));
	}
	products[0] = hn::GetLane(hn::SumOfLanes(tag, hn::Add(even.ab, odd.ab)));
	products[1] = hn::GetLane(hn::SumOfLanes(tag, hn::Add(even.aa, odd.aa)));
	products[2] = hn::GetLane(hn::SumOfLanes(tag, hn::Add(even.bb, odd.bb)));
}

//! The sum of a step over the query and one row.
template <class STEP>
struct StepSum {
	static constexpr size_t COUNT = 1;
	FloatVector even;
	FloatVector odd;

	HWY_INLINE StepSum() : even(hn::Zero(FloatTag())), odd(hn::Zero(FloatTag())) {
	}
	HWY_INLINE void AddEven(FloatVector query, FloatVector row) {
		even = STEP::Add(even, query, row);
	}
	HWY_INLINE void AddOdd(FloatVector query, FloatVector row) {
		odd = STEP::Add(odd, query, row);
	}
	HWY_INLINE void Store(float *sums) const {
		sums[0] = hn::GetLane(hn::SumOfLanes(FloatTag(), hn::Add(even, odd)));
	}
};

//! The products of one row with the query and with itself. Rows equal to the query get the same sum twice.
struct RowProducts {
	static constexpr size_t COUNT = 2;
	FloatVector with_query;
	FloatVector with_itself;

	HWY_INLINE RowProducts() : with_query(hn::Zero(FloatTag())), with_itself(hn::Zero(FloatTag())) {
	}
	HWY_INLINE void AddEven(FloatVector query, FloatVector row) {
		with_query = hn::MulAdd(query, row, with_query);
		with_itself = hn::MulAdd(row, row, with_itself);
	}
	HWY_INLINE void AddOdd(FloatVector query, FloatVector row) {
		AddEven(query, row);
	}
	HWY_INLINE void Store(float *sums) const {
		sums[0] = hn::GetLane(hn::SumOfLanes(FloatTag(), with_query));
		sums[1] = hn::GetLane(hn::SumOfLanes(FloatTag(), with_itself));
	}
};

//! SUMS::COUNT numbers for each row. Four rows at a time, so that each load of the query serves four and no row waits
//! for its own sums.
template <class SUMS>
HWY_INLINE void SumRows(const float *query, const float *rows, size_t count, size_t dims, float *sums) {
	constexpr size_t ROWS = 4;
	const FloatTag tag;
	for (size_t begin = 0; begin < count; begin += ROWS) {
		const float *row[ROWS];
		SUMS row_sums[ROWS];
		for (size_t r = 0; r < ROWS; r++) {
			row[r] = rows + std::min(begin + r, count - 1) * dims; // what is missing at the end is the last row again
		}
		size_t i = 0;
		for (; i + 2 * FLOAT_LANES <= dims; i += 2 * FLOAT_LANES) {
			const FloatVector first = hn::LoadU(tag, query + i);
			const FloatVector second = hn::LoadU(tag, query + i + FLOAT_LANES);
			for (size_t r = 0; r < ROWS; r++) {
				row_sums[r].AddEven(first, hn::LoadU(tag, row[r] + i));
				row_sums[r].AddOdd(second, hn::LoadU(tag, row[r] + i + FLOAT_LANES));
			}
		}
		for (; i < dims; i += FLOAT_LANES) {
			const size_t left = std::min(FLOAT_LANES, dims - i);
			const FloatVector part = LoadTail(tag, query + i, left);
			for (size_t r = 0; r < ROWS; r++) {
				row_sums[r].AddEven(part, LoadTail(tag, row[r] + i, left));
			}
		}
		for (size_t r = 0; r < std::min(ROWS, count - begin); r++) {
			row_sums[r].Store(sums + (begin + r) * SUMS::COUNT);
		}
	}
}

void SquaredL2Rows(const float *query, const float *rows, size_t count, size_t dims, float *sums) {
	SumRows<StepSum<SquaredL2Step>>(query, rows, count, dims, sums);
}

void InnerProductRows(const float *query, const float *rows, size_t count, size_t dims, float *sums) {
	SumRows<StepSum<InnerProductStep>>(query, rows, count, dims, sums);
}

void ProductsRows(const float *query, const float *rows, size_t count, size_t dims, float *sums) {
	SumRows<RowProducts>(query, rows, count, dims, sums);
}

using ShortTag = hn::ScalableTag<int16_t>;
using ShortVector = hn::Vec<ShortTag>;
using IntTag = hn::ScalableTag<int32_t>;
using IntVector = hn::Vec<IntTag>;
using ByteTag = hn::Rebind<int8_t, ShortTag>;
constexpr size_t SHORT_LANES = hn::MaxLanes(ShortTag());

//! An exact int32 sum of int16 products. Its bound is 16384 * 255^2 = 1.07e9 < 2^31.
struct IntSum {
	IntVector first;
	IntVector second;

	HWY_INLINE IntSum() : first(hn::Zero(IntTag())), second(hn::Zero(IntTag())) {
	}
	HWY_INLINE void Add(ShortVector a, ShortVector b) {
#if HWY_TARGET == HWY_SCALAR
		first = hn::Add(first, hn::Mul(hn::PromoteTo(IntTag(), a), hn::PromoteTo(IntTag(), b)));
#else
		first = hn::ReorderWidenMulAccumulate(IntTag(), a, b, first, second);
#endif
	}
	HWY_INLINE int32_t Total() const {
		return hn::GetLane(hn::SumOfLanes(IntTag(), hn::Add(first, second)));
	}
};

HWY_INLINE ShortVector LoadBytes(const int8_t *source) {
	return hn::PromoteTo(ShortTag(), hn::LoadU(ByteTag(), source));
}

HWY_INLINE ShortVector LoadBytesTail(const int8_t *source, size_t count) {
	return hn::PromoteTo(ShortTag(), LoadTail(ByteTag(), source, count));
}

float SquaredL2Byte(const int8_t *a, const int8_t *b, size_t dims) {
	IntSum even;
	IntSum odd;
	size_t i = 0;
	for (; i + 2 * SHORT_LANES <= dims; i += 2 * SHORT_LANES) {
		const ShortVector difference0 = hn::Sub(LoadBytes(a + i), LoadBytes(b + i));
		const ShortVector difference1 = hn::Sub(LoadBytes(a + i + SHORT_LANES), LoadBytes(b + i + SHORT_LANES));
		even.Add(difference0, difference0);
		odd.Add(difference1, difference1);
	}
	for (; i < dims; i += SHORT_LANES) {
		const size_t count = dims - i;
		const bool is_tail = count < SHORT_LANES;
		const ShortVector difference = is_tail ? hn::Sub(LoadBytesTail(a + i, count), LoadBytesTail(b + i, count))
		                                       : hn::Sub(LoadBytes(a + i), LoadBytes(b + i));
		even.Add(difference, difference);
	}
	return static_cast<float>(even.Total() + odd.Total());
}

//! sums[0] += a.b; WITH_NORMS: also sums[1] += a.a and sums[2] += b.b.
template <bool WITH_NORMS>
HWY_INLINE void AddByteProducts(ShortVector a, ShortVector b, IntSum *sums) {
	sums[0].Add(a, b);
	if (WITH_NORMS) {
		sums[1].Add(a, a);
		sums[2].Add(b, b);
	}
}

template <bool WITH_NORMS>
HWY_INLINE void SumByteProducts(const int8_t *a, const int8_t *b, size_t dims, int32_t *products) {
	constexpr size_t PRODUCTS = WITH_NORMS ? 3 : 1;
	IntSum even[PRODUCTS];
	IntSum odd[PRODUCTS];
	size_t i = 0;
	for (; i + 2 * SHORT_LANES <= dims; i += 2 * SHORT_LANES) {
		AddByteProducts<WITH_NORMS>(LoadBytes(a + i), LoadBytes(b + i), even);
		AddByteProducts<WITH_NORMS>(LoadBytes(a + i + SHORT_LANES), LoadBytes(b + i + SHORT_LANES), odd);
	}
	if (i + SHORT_LANES <= dims) {
		AddByteProducts<WITH_NORMS>(LoadBytes(a + i), LoadBytes(b + i), even);
		i += SHORT_LANES;
	}
	if (i < dims) {
		AddByteProducts<WITH_NORMS>(LoadBytesTail(a + i, dims - i), LoadBytesTail(b + i, dims - i), odd);
	}
	for (size_t p = 0; p < PRODUCTS; p++) {
		products[p] = even[p].Total() + odd[p].Total();
	}
}

float InnerProductByte(const int8_t *a, const int8_t *b, size_t dims) {
	int32_t product;
	SumByteProducts<false>(a, b, dims, &product);
	return static_cast<float>(product);
}

void ProductsByte(const int8_t *a, const int8_t *b, size_t dims, int32_t *products) {
	SumByteProducts<true>(a, b, dims, products);
}

#undef LMD_HAS_AVX2

} // namespace
} // namespace HWY_NAMESPACE
} // namespace lm_diskann
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lm_diskann {
namespace {

HWY_EXPORT(SquaredL2Float);
HWY_EXPORT(SquaredL2Byte);
HWY_EXPORT(InnerProductFloat);
HWY_EXPORT(InnerProductByte);
HWY_EXPORT(ProductsFloat);
HWY_EXPORT(ProductsByte);
HWY_EXPORT(SquaredL2Rows);
HWY_EXPORT(InnerProductRows);
HWY_EXPORT(ProductsRows);

//! The order of the two comparisons is DuckDB's: 0/0 falls through std::min and ends at -1, so the distance is 2.
//! Source: DuckDB 1.4.4, core_functions/array_kernels.hpp, CosineSimilarityOp.
float ClampedDistance(float similarity) {
	return 1.0f - std::max(-1.0f, std::min(similarity, 1.0f));
}

template <class T>
float MetricDistance(Metric metric, const T *a, const T *b, size_t dims) {
	switch (metric) {
	case Metric::L2SQ:
		return SquaredL2(a, b, dims);
	case Metric::COSINE:
		return CosineDistance(a, b, dims);
	case Metric::IP:
		return -InnerProduct(a, b, dims);
	}
	return 0;
}

void CosineDistancesToRows(const float *query, const float *rows, size_t count, size_t dims, float *distances) {
	constexpr size_t ROWS_MAX = 64;
	float sums[2 * ROWS_MAX];
	HWY_DYNAMIC_DISPATCH(ProductsRows)(query, query, 1, dims, sums);
	const float query_square = sums[1];
	for (size_t begin = 0; begin < count; begin += ROWS_MAX) {
		const size_t rows_now = std::min(ROWS_MAX, count - begin);
		HWY_DYNAMIC_DISPATCH(ProductsRows)(query, rows + begin * dims, rows_now, dims, sums);
		for (size_t row = 0; row < rows_now; row++) {
			distances[begin + row] = ClampedDistance(sums[2 * row] / std::sqrt(query_square * sums[2 * row + 1]));
		}
	}
}

} // namespace

float SquaredL2(const float *a, const float *b, size_t dims) {
	return HWY_DYNAMIC_DISPATCH(SquaredL2Float)(a, b, dims);
}

float SquaredL2(const int8_t *a, const int8_t *b, size_t dims) {
	return HWY_DYNAMIC_DISPATCH(SquaredL2Byte)(a, b, dims);
}

float InnerProduct(const float *a, const float *b, size_t dims) {
	return HWY_DYNAMIC_DISPATCH(InnerProductFloat)(a, b, dims);
}

float InnerProduct(const int8_t *a, const int8_t *b, size_t dims) {
	return HWY_DYNAMIC_DISPATCH(InnerProductByte)(a, b, dims);
}

float CosineDistance(const float *a, const float *b, size_t dims) {
	float products[3];
	HWY_DYNAMIC_DISPATCH(ProductsFloat)(a, b, dims, products);
	return ClampedDistance(products[0] / std::sqrt(products[1] * products[2]));
}

float CosineDistance(const int8_t *a, const int8_t *b, size_t dims) {
	int32_t products[3];
	HWY_DYNAMIC_DISPATCH(ProductsByte)(a, b, dims, products);
	const double norms = std::sqrt(static_cast<double>(products[1]) * products[2]);
	return ClampedDistance(static_cast<float>(products[0] / norms));
}

float Distance(Metric metric, const float *a, const float *b, size_t dims) {
	return MetricDistance(metric, a, b, dims);
}

float Distance(Metric metric, const int8_t *a, const int8_t *b, size_t dims) {
	return MetricDistance(metric, a, b, dims);
}

void DistancesToRows(Metric metric, const float *query, const float *rows, size_t count, size_t dims,
                     float *distances) {
	switch (metric) {
	case Metric::L2SQ:
		HWY_DYNAMIC_DISPATCH(SquaredL2Rows)(query, rows, count, dims, distances);
		break;
	case Metric::COSINE:
		CosineDistancesToRows(query, rows, count, dims, distances);
		break;
	case Metric::IP:
		HWY_DYNAMIC_DISPATCH(InnerProductRows)(query, rows, count, dims, distances);
		std::transform(distances, distances + count, distances, std::negate<float>());
		break;
	}
}

} // namespace lm_diskann
#endif
