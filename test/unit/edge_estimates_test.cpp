// Holds: estimates of the distances from a vector to a list of codes are those that a build has between the vectors, as
// far as codes tell, for all metrics; kept queries estimate exactly as prepared ones; codes of copies are known and as
// far as each other. Expected values come from double arithmetic on the vectors.
#include "graph/edge_estimates.hpp"

#include "unit/test_vectors.hpp"
#include "vector/kept_queries.hpp"

#include <gtest/gtest.h>

namespace lm_diskann {
namespace {

constexpr uint64_t SEED = 7114;
constexpr size_t ROWS = 60, DIMS = 96;

//! With 4 bits the error of a squared distance is of some per cent.
constexpr CodeFamily FAMILY = CodeFamily::FOUR_BIT;

class EdgeEstimatesTest : public testing::TestWithParam<Metric> {
protected:
	EdgeEstimatesTest()
	    : rows(MakeClusteredVectors(ROWS, DIMS, SEED)),
	      quantizer(Quantizer::Train(GetParam(), FAMILY, DIMS, {rows.data(), rows.size()}, ROWS, SEED)),
	      queries(quantizer, ROWS) {
		for (size_t i = 0; i < ROWS; i++) {
			squared_norm_max = std::max(squared_norm_max, SquaredNorm(i));
			PreparedQuery prepared;
			quantizer.Prepare(Row(i), prepared);
			queries.Add(prepared);
		}
	}

	const float *Row(size_t i) const {
		return rows.data() + i * DIMS;
	}
	double SquaredNorm(size_t i) const {
		return -ReferenceDistance(Metric::IP, Row(i), Row(i), DIMS);
	}
	EdgeQuery Query(size_t i) const {
		return {queries.At(i), float(std::sqrt(SquaredNorm(i)))};
	}
	double Expected(size_t a, size_t b) const {
		const double distance = ReferenceDistance(GetParam(), Row(a), Row(b), DIMS);
		switch (GetParam()) {
		case Metric::L2SQ:
			return distance;
		case Metric::COSINE:
			return 2 * distance;
		case Metric::IP:
			break;
		}
		const auto extra = [&](size_t i) { return std::sqrt(std::max(0.0, squared_norm_max - SquaredNorm(i))); };
		return 2 * (squared_norm_max + distance - extra(a) * extra(b));
	}
	CodeScalars Encode(size_t i, std::vector<uint8_t> &code) {
		code.resize(quantizer.CodeBytes());
		return quantizer.Encode(Row(i), code.data(), scratch);
	}
	void Add(EdgeEstimates &estimates, size_t i) {
		const CodeScalars scalars = Encode(i, code);
		estimates.Add(code.data(), scalars);
	}

	std::vector<float> rows;
	Quantizer quantizer;
	KeptQueries queries;
	double squared_norm_max = 0;
	std::vector<uint8_t> code;
	std::vector<float> scratch;
};

TEST_P(EdgeEstimatesTest, AreTheDistancesOfABuild) {
	EdgeEstimates estimates(quantizer, float(std::sqrt(squared_norm_max)));
	for (size_t i = 0; i < ROWS; i++) {
		Add(estimates, i);
	}
	double error = 0;
	double sum = 0;
	for (size_t a = 0; a < ROWS; a++) {
		const std::vector<float> distances = estimates.DistancesFrom(Query(a));
		ASSERT_EQ(distances.size(), ROWS);
		for (size_t b = 0; b < ROWS; b++) {
			error += std::abs(distances[b] - Expected(a, b));
			sum += Expected(a, b);
		}
	}
	EXPECT_LT(error, 0.05 * sum);
}

TEST_P(EdgeEstimatesTest, OfKeptQueriesAreThoseOfPreparedOnes) {
	EdgeEstimates estimates(quantizer, float(std::sqrt(squared_norm_max)));
	for (size_t i = 0; i < ROWS; i++) {
		Add(estimates, i);
	}
	for (const size_t i : {size_t(0), ROWS / 2, ROWS - 1}) {
		PreparedQuery prepared;
		quantizer.Prepare(Row(i), prepared);
		const std::vector<float> expected = estimates.DistancesFrom({prepared.View(), Query(i).norm});
		EXPECT_EQ(estimates.DistancesFrom(Query(i)), expected);
	}
}

TEST_P(EdgeEstimatesTest, KnowCopies) {
	EdgeEstimates estimates(quantizer, float(std::sqrt(squared_norm_max)));
	for (const size_t i : {3, 4, 3, 5}) {
		Add(estimates, i);
	}
	const CodeScalars scalars = Encode(3, code);
	EXPECT_TRUE(estimates.IsCopy(0, code.data(), scalars));
	EXPECT_FALSE(estimates.IsCopy(1, code.data(), scalars));
	EXPECT_TRUE(estimates.IsCopy(2, code.data(), scalars));
	const std::vector<float> &distances = estimates.DistancesFrom(Query(7));
	EXPECT_EQ(distances[0], distances[2]);
	EXPECT_GT(estimates.DistancesFrom(Query(3))[0], 0) << "zero is said of copies alone";
	estimates.Clear();
	EXPECT_EQ(estimates.Count(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Graph, EdgeEstimatesTest, testing::Values(Metric::L2SQ, Metric::COSINE, Metric::IP));

} // namespace
} // namespace lm_diskann
