// Property: on every SIMD target the bound of a row is at most its distance, whatever the vectors are, and so near it
// that few rows are left to compute.
#include "vector/rounded_rows.hpp"

#include "unit/simd_targets.hpp"
#include "unit/test_vectors.hpp"
#include "vector/distance.hpp"

#include <gtest/gtest.h>

namespace lm_diskann {
namespace {

constexpr Metric METRICS[] = {Metric::L2SQ, Metric::COSINE, Metric::IP};

std::vector<float> BoundsOf(Metric metric, const std::vector<float> &rows, const float *query, size_t dims) {
	const RoundedRows rounded(metric, rows.data(), rows.size() / dims, dims);
	std::vector<float> bounds(rounded.Count());
	rounded.LowerBounds(RoundedQuery(metric, query, dims), bounds.data());
	return bounds;
}

//! `rows` and `query` times `factor`, plus `offset`.
void ExpectBounds(const std::vector<float> &rows, const std::vector<float> &query, float factor, float offset) {
	const size_t dims = query.size();
	const auto moved = [&](std::vector<float> vector) {
		std::transform(vector.begin(), vector.end(), vector.begin(),
		               [&](float value) { return value * factor + offset; });
		return vector;
	};
	const std::vector<float> all = moved(rows), one = moved(query);
	for (const Metric metric : METRICS) {
		const std::vector<float> bounds = BoundsOf(metric, all, one.data(), dims);
		for (size_t row = 0; row < bounds.size(); row++) {
			const float *vector = all.data() + row * dims;
			const double product = std::fabs(ReferenceDistance(Metric::IP, vector, vector, dims)) +
			                       std::fabs(ReferenceDistance(Metric::IP, one.data(), one.data(), dims));
			const double noise = 1e-7 * (metric == Metric::COSINE ? 1 : product);
			ASSERT_LE(bounds[row], ReferenceDistance(metric, one.data(), vector, dims) + noise)
			    << int(metric) << ", " << dims << " dims, row " << row << " of " << bounds.size() << ", factor "
			    << factor << ", offset " << offset;
		}
	}
}

TEST(RoundedRowsTest, BoundsAreAtMostTheDistances) {
	OnEveryTarget([] {
		for (const size_t dims : {1, 3, 16, 31, 64, 100, 384}) {
			for (const size_t count : {1, 63, 64, 65, 256}) {
				std::vector<float> rows = MakeClusteredVectors(count, dims, dims * 1000 + count);
				const std::vector<float> query = MakeClusteredVectors(1, dims, dims);
				std::copy(query.begin(), query.end(), rows.begin());
				for (const float factor : {1e-15F, 1.0F, 1e15F}) {
					ExpectBounds(rows, query, factor, 0);
				}
				ExpectBounds(rows, query, 1, 1000);
				ExpectBounds(rows, query, -1, -3);
			}
		}
	});
}

TEST(RoundedRowsTest, BoundsOfUnlikeRowsAreNearTheirDistances) {
	constexpr size_t DIMS = 128, ROWS = 256;
	const std::vector<float> rows = MakeClusteredVectors(ROWS, DIMS, 3);
	const std::vector<float> query = MakeClusteredVectors(1, DIMS, 4);
	OnEveryTarget([&] {
		for (const Metric metric : METRICS) {
			const std::vector<float> bounds = BoundsOf(metric, rows, query.data(), DIMS);
			std::vector<double> distances;
			for (size_t row = 0; row < ROWS; row++) {
				distances.push_back(ReferenceDistance(metric, query.data(), rows.data() + row * DIMS, DIMS));
			}
			const auto [least, most] = std::minmax_element(distances.begin(), distances.end());
			for (size_t row = 0; row < ROWS; row++) {
				EXPECT_GE(bounds[row], distances[row] - 0.08 * (*most - *least)) << int(metric) << ", row " << row;
			}
		}
	});
}

TEST(RoundedRowsTest, NothingIsClaimedOfVectorsWithoutAFiniteLength) {
	constexpr size_t DIMS = 20;
	constexpr float INFINITE = std::numeric_limits<float>::infinity();
	const std::vector<float> query(DIMS, 1);
	OnEveryTarget([&] {
		for (const float odd : {INFINITE, -INFINITE, std::numeric_limits<float>::quiet_NaN(), 3e38F}) {
			std::vector<float> rows(3 * DIMS, 0.5F);
			rows[DIMS + 7] = odd;
			const std::vector<float> odd_query(rows.begin() + DIMS, rows.begin() + 2 * DIMS);
			for (const Metric metric : METRICS) {
				const float least = metric == Metric::IP ? -INFINITE : 0;
				EXPECT_LE(BoundsOf(metric, rows, query.data(), DIMS)[1], least) << int(metric) << " of " << odd;
				for (const float bound : BoundsOf(metric, rows, odd_query.data(), DIMS)) {
					EXPECT_LE(bound, least) << int(metric) << " from " << odd;
				}
			}
		}
		const std::vector<float> zeros(DIMS, 0);
		EXPECT_LE(BoundsOf(Metric::COSINE, zeros, query.data(), DIMS)[0], 0);
		EXPECT_LE(BoundsOf(Metric::COSINE, query, zeros.data(), DIMS)[0], 0);
		EXPECT_NEAR(BoundsOf(Metric::L2SQ, zeros, query.data(), DIMS)[0], float(DIMS), 0.01);
	});
}

} // namespace
} // namespace lm_diskann
