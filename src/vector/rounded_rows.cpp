// Bounds of many rows at a time, compiled once for each Highway target; rounding is the rotation's.
#include "vector/rounded_rows.hpp"

#include "vector/byte_products.hpp"
#include "vector/distance.hpp"
#include "vector/rotation.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vector/rounded_rows.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef LMD_ROUNDED_GROUP
#define LMD_ROUNDED_GROUP
namespace lm_diskann {

//! Rows whose bounds are computed at a time: whole vectors of any target.
constexpr size_t ROUNDED_GROUP = 64;
//! What float32 may get wrong in a sum of products, in parts of the product of both lengths, with room to spare.
constexpr float SUM_ERROR = 4e-6F;

//! What the bounds of a group are made of.
struct BoundTerms {
	Metric metric;
	//! Of the query.
	float scale, square, rest, norm;
	int32_t product_offset;
	//! Of ROUNDED_GROUP rows each.
	const int32_t *products;
	const float *scales, *squares, *rests;
};

} // namespace lm_diskann
#endif

HWY_BEFORE_NAMESPACE();
namespace lm_diskann {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::CappedTag<float, 16>;
using Vector = hn::Vec<Tag>;

//! (|Q - X| - rests)^2, Q and X the rounded vectors; half of it for COSINE.
HWY_INLINE Vector TriangleBound(const BoundTerms &terms, Vector product, Vector square, Vector rest) {
	const Tag tag;
	const Vector zero = hn::Zero(tag);
	const Vector squares = hn::Add(hn::Set(tag, terms.square), square);
	const Vector between = hn::NegMulAdd(hn::Set(tag, 2.0F), product, hn::Mul(squares, hn::Set(tag, 1 - SUM_ERROR)));
	const Vector rests = hn::Add(hn::Set(tag, terms.rest), rest);
	const Vector nearest = hn::Max(hn::Sub(hn::Sqrt(hn::Max(between, zero)), rests), zero);
	const bool is_cosine = terms.metric == Metric::COSINE;
	const Vector distance = hn::Mul(hn::Mul(nearest, nearest), hn::Set(tag, is_cosine ? 0.5F : 1 - SUM_ERROR));
	return is_cosine ? hn::Sub(distance, hn::Set(tag, SUM_ERROR)) : distance;
}

//! -<Q, X> less what the rests can add to it.
HWY_INLINE Vector ProductBound(const BoundTerms &terms, Vector product, Vector square, Vector rest) {
	const Tag tag;
	const Vector norm = hn::Set(tag, terms.norm);
	const Vector length = hn::Sqrt(square);
	const Vector error = hn::Mul(hn::Set(tag, SUM_ERROR), hn::Mul(norm, hn::Add(length, rest)));
	const Vector rests = hn::MulAdd(hn::Set(tag, terms.rest), length, hn::MulAdd(norm, rest, error));
	return hn::Neg(hn::Add(product, rests));
}

void GroupBounds(const BoundTerms &terms, float *bounds) {
	const Tag tag;
	const hn::RebindToSigned<Tag> int_tag;
	for (size_t i = 0; i < ROUNDED_GROUP; i += hn::Lanes(tag)) {
		const auto whole = hn::Sub(hn::LoadU(int_tag, terms.products + i), hn::Set(int_tag, terms.product_offset));
		const Vector scale = hn::Mul(hn::LoadU(tag, terms.scales + i), hn::Set(tag, terms.scale));
		const Vector product = hn::Mul(hn::ConvertTo(tag, whole), scale);
		const Vector square = hn::LoadU(tag, terms.squares + i);
		const Vector rest = hn::LoadU(tag, terms.rests + i);
		const Vector bound = terms.metric == Metric::IP ? ProductBound(terms, product, square, rest)
		                                                : TriangleBound(terms, product, square, rest);
		const Vector nothing = hn::Set(tag, -std::numeric_limits<float>::infinity());
		hn::StoreU(hn::IfThenElse(hn::Eq(bound, bound), bound, nothing), tag, bounds + i);
	}
}

//! |vector - step * values|^2
float SquaredRest(const float *vector, const int8_t *values, float step, size_t dims) {
	const Tag tag;
	const hn::RebindToSigned<Tag> int_tag;
	const hn::Rebind<int8_t, Tag> byte_tag;
	const size_t lanes = hn::Lanes(tag);
	Vector sum = hn::Zero(tag);
	size_t i = 0;
	for (; i + lanes <= dims; i += lanes) {
		const Vector value = hn::ConvertTo(tag, hn::PromoteTo(int_tag, hn::LoadU(byte_tag, values + i)));
		const Vector rest = hn::NegMulAdd(value, hn::Set(tag, step), hn::LoadU(tag, vector + i));
		sum = hn::MulAdd(rest, rest, sum);
	}
	float total = hn::GetLane(hn::SumOfLanes(tag, sum));
	for (; i < dims; i++) {
		const float rest = vector[i] - step * float(values[i]);
		total += rest * rest;
	}
	return total;
}

} // namespace
} // namespace HWY_NAMESPACE
} // namespace lm_diskann
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lm_diskann {
namespace {

HWY_EXPORT(GroupBounds);
HWY_EXPORT(SquaredRest);

constexpr float INFINITE = std::numeric_limits<float>::infinity();
constexpr int32_t LARGEST_BYTE = 127;
constexpr int32_t BYTE_OFFSET = 128;
//! Eight bytes at a time: flipping the highest bit of a signed byte adds BYTE_OFFSET to it.
constexpr uint64_t HIGHEST_BITS = 0x8080808080808080;

struct Rounded {
	float scale = 0, square = 0, rest = INFINITE;
	int32_t sum = 0;
};

//! As of unit length for COSINE; nothing is known of a vector without a length then.
Rounded Round(Metric metric, const float *vector, float norm, size_t dims, int8_t *values) {
	Rounded rounded;
	const float largest = LargestMagnitude(vector, dims);
	rounded.sum =
	    RoundToInt8(vector, largest > 0 ? float(LARGEST_BYTE) / largest : 0, float(LARGEST_BYTE), values, dims);
	const float step = largest / float(LARGEST_BYTE);
	const float factor = metric == Metric::COSINE ? 1 / norm : 1;
	rounded.scale = step * factor;
	rounded.square = rounded.scale * rounded.scale * InnerProduct(values, values, dims);
	const float rest = std::sqrt(HWY_DYNAMIC_DISPATCH(SquaredRest)(vector, values, step, dims));
	rounded.rest = (rest * (1 + SUM_ERROR) + SUM_ERROR * norm) * factor;
	if (!(rounded.rest < INFINITE) || !(rounded.square < INFINITE)) {
		rounded.scale = rounded.square = 0;
		rounded.rest = INFINITE;
	}
	return rounded;
}

float Norm(const float *vector, size_t dims) {
	return std::sqrt(InnerProduct(vector, vector, dims));
}

void AddOffset(const int8_t *values, size_t dims, uint8_t *target) {
	size_t i = 0;
	for (uint64_t eight; i + sizeof(eight) <= dims; i += sizeof(eight)) {
		std::memcpy(&eight, values + i, sizeof(eight));
		eight ^= HIGHEST_BITS;
		std::memcpy(target + i, &eight, sizeof(eight));
	}
	for (; i < dims; i++) {
		target[i] = uint8_t(values[i] + BYTE_OFFSET);
	}
}

size_t InGroups(size_t count) {
	return (count + ROUNDED_GROUP - 1) / ROUNDED_GROUP * ROUNDED_GROUP;
}

} // namespace

RoundedQuery::RoundedQuery(Metric metric_p, const float *query, size_t dims) : metric(metric_p), values(dims) {
	norm = Norm(query, dims);
	const Rounded rounded = Round(metric, query, norm, dims, values.data());
	sum = rounded.sum;
	square = rounded.square;
	rest = rounded.rest;
	scale = rounded.scale;
}

RoundedRows::RoundedRows(Metric metric, const float *rows, size_t count_p, size_t dims_p)
    : count(count_p), dims(dims_p), values(count * dims), scales(InGroups(count)), squares(InGroups(count)),
      rests(InGroups(count)) {
	std::vector<int8_t> row_values(dims);
	for (size_t row = 0; row < count; row++) {
		const float *vector = rows + row * dims;
		const Rounded rounded = Round(metric, vector, Norm(vector, dims), dims, row_values.data());
		AddOffset(row_values.data(), dims, values.data() + row * dims);
		scales[row] = rounded.scale;
		squares[row] = rounded.square;
		rests[row] = rounded.rest;
	}
}

uint64_t RoundedRows::MemoryBytes(size_t dims, size_t count) {
	return count * dims + 3 * sizeof(float) * InGroups(count);
}

void RoundedRows::LowerBounds(const RoundedQuery &query, float *bounds) const {
	const uint8_t *vectors[ROUNDED_GROUP];
	int32_t products[ROUNDED_GROUP] = {};
	float group_bounds[ROUNDED_GROUP];
	for (size_t begin = 0; begin < count; begin += ROUNDED_GROUP) {
		const size_t size = std::min(ROUNDED_GROUP, count - begin);
		for (size_t i = 0; i < size; i++) {
			vectors[i] = values.data() + (begin + i) * dims;
		}
		ByteProducts(query.values.data(), vectors, size, dims, products);
		HWY_DYNAMIC_DISPATCH(GroupBounds)
		({query.metric, query.scale, query.square, query.rest, query.norm, BYTE_OFFSET * query.sum, products,
		  scales.data() + begin, squares.data() + begin, rests.data() + begin},
		 group_bounds);
		std::copy_n(group_bounds, size, bounds + begin);
	}
}

} // namespace lm_diskann
#endif // HWY_ONCE
