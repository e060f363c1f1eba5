// Property: on every SIMD target the distances to all references equal their definition but for the rounding that the
// header promises, wherever the vectors lie; what overflows becomes infinity, never "not a number".
#include "vector/reference_table.hpp"

#include "unit/simd_targets.hpp"
#include "unit/test_vectors.hpp"

#include <cmath>

namespace lm_diskann {
namespace {

double Definition(Metric metric, const float *query, const float *reference, size_t dims) {
	double squared = 0;
	double product = 0;
	for (size_t i = 0; i < dims; i++) {
		squared += (double(query[i]) - reference[i]) * (double(query[i]) - reference[i]);
		product += double(query[i]) * reference[i];
	}
	return metric == Metric::IP ? -product : metric == Metric::COSINE ? squared / 2 : squared;
}

double DistanceToMean(const float *vector, const std::vector<double> &mean) {
	double squared = 0;
	for (size_t i = 0; i < mean.size(); i++) {
		squared += (vector[i] - mean[i]) * (vector[i] - mean[i]);
	}
	return std::sqrt(squared);
}

class ReferenceTables : public testing::TestWithParam<Metric> {};

TEST_P(ReferenceTables, EqualTheDefinition) {
	for (const size_t dims : {1, 3, 24, 31, 32, 33, 128, 784, 3000}) {
		for (const size_t count : {1, 2, 3, 4, 5, 30}) {
			for (const float offset : {0.0F, 100.0F}) {
				SCOPED_TRACE(testing::Message() << dims << " dims, " << count << " references, offset " << offset);
				std::vector<float> vectors = MakeClusteredVectors(count + 1, dims, dims);
				for (float &value : vectors) {
					value += offset;
				}
				const float *query = vectors.data() + count * dims;
				std::vector<double> mean(dims);
				for (size_t i = 0; i < count * dims; i++) {
					mean[i % dims] += double(vectors[i]) / double(count);
				}
				const ReferenceTable table(GetParam(), vectors.data(), count, dims);
				OnEveryTarget([&] {
					std::vector<float> terms(count);
					std::vector<int16_t> scratch;
					table.Distances(query, terms.data(), scratch);
					for (size_t k = 0; k < count; k++) {
						const float *reference = vectors.data() + k * dims;
						const double expected = Definition(GetParam(), query, reference, dims);
						const double spread = DistanceToMean(query, mean) * DistanceToMean(reference, mean);
						// Float sums add their own part, relative to what they add up.
						const double rounding = std::sqrt(double(dims) / 2147483648.0) + 1.0 / 32768;
						EXPECT_NEAR(terms[k], expected, 2 * rounding * spread + 1e-5 * std::fabs(expected) + 1e-6);
					}
				});
			}
		}
	}
}

TEST_P(ReferenceTables, OverflowIsInfinitelyFar) {
	constexpr size_t DIMS = 40;
	std::vector<float> vectors(3 * DIMS, 1e30F);
	std::fill(vectors.begin(), vectors.begin() + DIMS, -1e30F);
	const ReferenceTable table(GetParam(), vectors.data(), 2, DIMS);
	OnEveryTarget([&] {
		std::vector<float> terms(2);
		std::vector<int16_t> scratch;
		table.Distances(vectors.data() + 2 * DIMS, terms.data(), scratch);
		for (const float term : terms) {
			EXPECT_FALSE(std::isnan(term));
		}
	});
}

INSTANTIATE_TEST_SUITE_P(Vector, ReferenceTables, testing::Values(Metric::L2SQ, Metric::COSINE, Metric::IP));

} // namespace
} // namespace lm_diskann
