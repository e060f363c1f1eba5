#include "vector/reference_table.hpp"

#include "vector/distance.hpp"
#include "vector/rotation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vector/reference_table.cpp" // this file, once for each SIMD target
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lm_diskann {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

//! sums[i] = <query, row i>, exactly; `stride` integers each, a multiple of 32. Four rows at a time, so that each load
//! of the query serves four and no row waits for its own sum.
void AllIntegerProducts(const int16_t *query, const int16_t *rows, size_t count, size_t stride, int32_t *sums) {
	constexpr size_t ROWS = 4;
	for (size_t begin = 0; begin < count; begin += ROWS) {
		const int16_t *row[ROWS];
		for (size_t r = 0; r < ROWS; r++) {
			row[r] = rows + std::min(begin + r, count - 1) * stride; // what is missing at the end is the last row again
		}
		int32_t totals[ROWS] = {};
#if HWY_TARGET == HWY_SCALAR
		for (size_t i = 0; i < stride; i++) {
			for (size_t r = 0; r < ROWS; r++) {
				totals[r] += query[i] * row[r][i];
			}
		}
#else
		const hn::CappedTag<int16_t, 32> tag;
		const hn::Repartition<int32_t, decltype(tag)> wide;
		hn::Vec<decltype(wide)> even[ROWS];
		hn::Vec<decltype(wide)> odd[ROWS];
		for (size_t r = 0; r < ROWS; r++) {
			even[r] = odd[r] = hn::Zero(wide);
		}
		for (size_t i = 0; i < stride; i += hn::MaxLanes(tag)) {
			const auto part = hn::LoadU(tag, query + i);
			for (size_t r = 0; r < ROWS; r++) {
				even[r] = hn::ReorderWidenMulAccumulate(wide, part, hn::LoadU(tag, row[r] + i), even[r], odd[r]);
			}
		}
		for (size_t r = 0; r < ROWS; r++) {
			totals[r] = hn::GetLane(hn::SumOfLanes(wide, hn::Add(even[r], odd[r])));
		}
#endif
		std::copy_n(totals, std::min(ROWS, count - begin), sums + begin);
	}
}

} // namespace
} // namespace HWY_NAMESPACE
} // namespace lm_diskann
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lm_diskann {

HWY_EXPORT(AllIntegerProducts);

namespace {

constexpr size_t STRIDE_MULTIPLE = 32;

//! The largest integer whose square, `dims` times, still fits int32.
float LargestInteger(size_t dims) {
	return std::min(32767.0F, std::floor(std::sqrt(2147483647.0F / float(dims))));
}

//! Rounds to integers; returns the value of one.
float RoundAll(const float *values, size_t dims, int16_t *target) {
	const float largest = LargestMagnitude(values, dims);
	const float step = largest > 0 && std::isfinite(largest) ? largest / LargestInteger(dims) : 1.0F;
	RoundToInt16(values, 1.0F / step, LargestInteger(dims), target, dims);
	return step;
}

} // namespace

ReferenceTable::ReferenceTable(Metric metric_p, const float *rotated, size_t count, size_t dims_p)
    : metric(metric_p), dims(dims_p), stride((dims_p + STRIDE_MULTIPLE - 1) / STRIDE_MULTIPLE * STRIDE_MULTIPLE),
      mean(dims_p), rows(count), integers(count * stride) {
	for (size_t i = 0; i < dims; i++) {
		double sum = 0;
		for (size_t k = 0; k < count; k++) {
			sum += double(rotated[k * dims + i]);
		}
		mean[i] = float(sum / double(count));
	}
	std::vector<float> centred(dims);
	for (size_t k = 0; k < count; k++) {
		const float *reference = rotated + k * dims;
		for (size_t i = 0; i < dims; i++) {
			centred[i] = reference[i] - mean[i];
		}
		rows[k].step = RoundAll(centred.data(), dims, integers.data() + k * stride);
		rows[k].offset = metric == Metric::IP ? InnerProduct(mean.data(), reference, dims)
		                                      : InnerProduct(centred.data(), centred.data(), dims);
	}
}

void ReferenceTable::Distances(const float *rotated, float *terms, std::vector<int16_t> &scratch) const {
	// [query as integers, padded | query as floats, relative to the mean | sums]
	scratch.resize(std::max(scratch.size(), stride + 2 * dims + 2 * rows.size()));
	int16_t *query = scratch.data();
	auto *centred = reinterpret_cast<float *>(query + stride);
	auto *sums = reinterpret_cast<int32_t *>(centred + dims);
	for (size_t i = 0; i < dims; i++) {
		centred[i] = rotated[i] - mean[i];
	}
	std::fill(query + dims, query + stride, int16_t(0));
	const float step = RoundAll(centred, dims, query);
	HWY_DYNAMIC_DISPATCH(AllIntegerProducts)(query, integers.data(), rows.size(), stride, sums);
	// <q, c> = <q - m, c - m> + <q - m, m> + <m, c>
	const bool is_product = metric == Metric::IP;
	const float query_part =
	    is_product ? -InnerProduct(centred, mean.data(), dims) : InnerProduct(centred, centred, dims);
	const float factor = is_product ? -step : -2 * step;
	const float sign = is_product ? -1.0F : 1.0F;
	const float scale = metric == Metric::COSINE ? 0.5F : 1.0F;
	const float floor = is_product ? std::numeric_limits<float>::lowest() : 0.0F;
	for (size_t k = 0; k < rows.size(); k++) {
		const float sum = query_part + sign * rows[k].offset + factor * rows[k].step * float(sums[k]);
		const float bounded = scale * std::max(sum, floor);
		terms[k] = sum == sum ? bounded : std::numeric_limits<float>::infinity();
	}
}

size_t ReferenceTable::MemoryBytes() const {
	return mean.size() * sizeof(float) + rows.size() * sizeof(Row) + integers.size() * sizeof(int16_t);
}

} // namespace lm_diskann
#endif // HWY_ONCE
