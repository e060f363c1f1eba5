// Holds: the rotation is orthogonal; estimates are unbiased and as exact as 2 c_b |q-c| |x-c| / sqrt(d) says, for all
// families and metrics, and rounding the query adds little; training is deterministic; hostile bytes give
// CorruptionError and nothing else. Expected values come from double arithmetic on the vectors themselves.
#include "unit/simd_targets.hpp"

#include "base/error.hpp"
#include "vector/code_kernels.hpp"
#include "vector/code_levels.hpp"
#include "vector/quantizer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

namespace lm_diskann {
namespace {

constexpr uint64_t SEED = 20240608;
constexpr CodeFamily FAMILIES[] = {CodeFamily::TERNARY, CodeFamily::ONE_BIT, CodeFamily::TWO_BIT, CodeFamily::FOUR_BIT};
constexpr Metric METRICS[] = {Metric::L2SQ, Metric::COSINE, Metric::IP};

//! c_b of the error formula: sqrt(1 - rho^2) / rho for the best cosine rho of Gaussian coordinates and levels.
double ErrorConstant(CodeFamily family) {
	switch (family) {
	case CodeFamily::TERNARY:
		return 0.485;
	case CodeFamily::ONE_BIT:
		return 0.755;
	case CodeFamily::TWO_BIT:
		return 0.365;
	case CodeFamily::FOUR_BIT:
		break;
	}
	return 0.108; // 16 uniform levels leave 1.154 % of the variance (Max, 1960)
}

std::vector<float> GaussianRows(size_t count, size_t dims, float offset, uint64_t seed) {
	std::mt19937_64 random(seed);
	std::normal_distribution<float> normal(offset, 1);
	std::vector<float> rows(count * dims);
	std::generate(rows.begin(), rows.end(), [&] { return normal(random); });
	return rows;
}

Span<const float> View(const std::vector<float> &rows) {
	return Span<const float>(rows.data(), rows.size());
}

double PlainProduct(const float *a, const float *b, size_t dims) {
	return std::inner_product(a, a + dims, b, 0.0, std::plus<>(), [](float x, float y) { return double(x) * y; });
}

double PlainDistance(Metric metric, const float *a, const float *b, size_t dims) {
	const double product = PlainProduct(a, b, dims);
	const double norm_a = PlainProduct(a, a, dims);
	const double norm_b = PlainProduct(b, b, dims);
	switch (metric) {
	case Metric::L2SQ:
		return norm_a + norm_b - 2 * product;
	case Metric::COSINE:
		return 1 - product / std::sqrt(norm_a * norm_b);
	case Metric::IP:
		break;
	}
	return -product;
}

//! A node: codes of all `rows` and what is stored beside them.
struct EncodedRows {
	std::vector<uint8_t> codes;
	std::vector<float> factors;
	std::vector<float> biases;
	std::vector<uint16_t> references;

	EncodedRows(const Quantizer &quantizer, const std::vector<float> &rows) {
		const size_t count = rows.size() / quantizer.Dims();
		codes.resize(count * quantizer.CodeBytes());
		std::vector<float> scratch;
		for (size_t i = 0; i < count; i++) {
			const CodeScalars scalars =
			    quantizer.Encode(rows.data() + i * quantizer.Dims(), codes.data() + i * quantizer.CodeBytes(), scratch);
			factors.push_back(scalars.factor);
			biases.push_back(scalars.bias);
			references.push_back(scalars.reference);
		}
	}

	std::vector<float> Estimate(const Quantizer &quantizer, const float *query) const {
		PreparedQuery prepared;
		quantizer.Prepare(query, prepared);
		std::vector<float> distances(factors.size());
		quantizer.Estimate(prepared.View(), codes.data(), factors.data(), biases.data(), references.data(),
		                   factors.size(), distances.data());
		return distances;
	}
};

TEST(QuantizerTest, RotationKeepsLengthsAndProducts) {
	OnEveryTarget([] {
		for (const size_t dims : {1, 2, 3, 5, 16, 31, 100, 128, 255, 384, 960, 1000, 16384}) {
			const auto rows = GaussianRows(2, dims, 0.5f, SEED + dims);
			const auto quantizer = Quantizer::Train(Metric::L2SQ, CodeFamily::TERNARY, dims, View(rows), 2, SEED);
			std::vector<float> a(dims);
			std::vector<float> b(dims);
			quantizer.Rotate(rows.data(), a.data());
			quantizer.Rotate(rows.data() + dims, b.data());
			const double norm_a = PlainProduct(rows.data(), rows.data(), dims);
			const double norm_b = PlainProduct(rows.data() + dims, rows.data() + dims, dims);
			EXPECT_NEAR(PlainProduct(a.data(), a.data(), dims), norm_a, 1e-5 * norm_a) << dims;
			EXPECT_NEAR(PlainProduct(a.data(), b.data(), dims), PlainProduct(rows.data(), rows.data() + dims, dims),
			            1e-5 * std::sqrt(norm_a * norm_b))
			    << dims;
		}
	});
}

//! Also just below a power of two, where the two windows hardly overlap.
TEST(QuantizerTest, RotationSpreadsASingleCoordinate) {
	for (const size_t dims : {96, 127, 128, 200, 255, 384, 768, 784, 960, 1023, 1536}) {
		const std::vector<float> row(dims);
		const auto quantizer = Quantizer::Train(Metric::L2SQ, CodeFamily::TERNARY, dims, View(row), 1, SEED);
		for (const size_t coordinate : {size_t(0), dims / 2, dims - 1}) {
			std::vector<float> unit(dims);
			unit[coordinate] = 1;
			std::vector<float> rotated(dims);
			quantizer.Rotate(unit.data(), rotated.data());
			// Half of the dimensions hold about half of the length, wherever it came from.
			const double first_half = PlainProduct(rotated.data(), rotated.data(), dims / 2);
			EXPECT_GT(first_half, 0.25) << dims << " " << coordinate;
			EXPECT_LT(first_half, 0.75) << dims << " " << coordinate;
		}
	}
}

//! Mean and deviation of errors, each in units of the deviation the formula predicts.
struct ErrorSummary {
	double mean = 0;
	double deviation = 0;
	size_t count = 0;
};

//! Errors of estimates over many vectors, queries and rotations. One reference serves all, the mean or zero.
ErrorSummary MeasureErrors(Metric metric, CodeFamily family, size_t dims) {
	constexpr size_t ROTATIONS = 12;
	constexpr size_t ROWS = 60;
	constexpr size_t QUERIES = 6;
	double sum = 0;
	double squares = 0;
	for (size_t rotation = 0; rotation < ROTATIONS; rotation++) {
		const auto rows = GaussianRows(ROWS, dims, 0.2f, SEED + 2 * rotation);
		const auto queries = GaussianRows(QUERIES, dims, 0.2f, SEED + 2 * rotation + 1);
		const auto quantizer = Quantizer::Train(metric, family, dims, View(rows), 200, SEED + rotation);
		const EncodedRows encoded(quantizer, rows);
		const float *reference = quantizer.Reference(0);
		for (size_t q = 0; q < QUERIES; q++) {
			const float *query = queries.data() + q * dims;
			const auto distances = encoded.Estimate(quantizer, query);
			for (size_t i = 0; i < ROWS; i++) {
				const float *row = rows.data() + i * dims;
				// For COSINE and IP the reference is zero; estimates of a product have half the error of |q-x|^2.
				const double lengths = metric == Metric::COSINE
				                           ? 1
				                           : std::sqrt(PlainDistance(Metric::L2SQ, query, reference, dims) *
				                                       PlainDistance(Metric::L2SQ, row, reference, dims));
				const double predicted = (metric == Metric::L2SQ ? 2 : 1) * ErrorConstant(family) * lengths /
				                         std::sqrt(static_cast<double>(dims));
				const double error = (distances[i] - PlainDistance(metric, query, row, dims)) / predicted;
				sum += error;
				squares += error * error;
			}
		}
	}
	ErrorSummary summary;
	summary.count = ROTATIONS * ROWS * QUERIES;
	summary.mean = sum / static_cast<double>(summary.count);
	summary.deviation = std::sqrt(squares / static_cast<double>(summary.count) - summary.mean * summary.mean);
	return summary;
}

TEST(QuantizerTest, EstimatesAreUnbiasedAndAsExactAsTheFormula) {
	for (const size_t dims : {128, 384, 960}) {
		for (const CodeFamily family : FAMILIES) {
			for (const Metric metric : METRICS) {
				SCOPED_TRACE(testing::Message() << "dims " << dims << ", family " << static_cast<int>(family)
				                                << ", metric " << static_cast<int>(metric));
				const ErrorSummary errors = MeasureErrors(metric, family, dims);
				// Errors of one query share its residual and those of one row its code: at least 72 independent ones.
				EXPECT_LT(std::fabs(errors.mean), 4 * errors.deviation / std::sqrt(72.0));
				EXPECT_GT(errors.deviation, 0.85);
				EXPECT_LT(errors.deviation, 1.15);
			}
		}
	}
}

TEST(QuantizerTest, EstimatesStayNearWithManyReferences) {
	constexpr size_t DIMS = 100;
	for (const Metric metric : METRICS) {
		const auto rows = GaussianRows(1500, DIMS, 0.5f, SEED);
		const auto quantizer = Quantizer::Train(metric, CodeFamily::FOUR_BIT, DIMS, View(rows), 1500, SEED);
		ASSERT_EQ(quantizer.ReferenceCount(), 39U);
		const EncodedRows encoded(quantizer, rows);
		const auto distances = encoded.Estimate(quantizer, rows.data());
		const double scale = metric == Metric::COSINE ? 1 : PlainProduct(rows.data(), rows.data(), DIMS);
		for (size_t i = 0; i < distances.size(); i++) {
			const double exact = PlainDistance(metric, rows.data(), rows.data() + i * DIMS, DIMS);
			ASSERT_NEAR(distances[i], exact, 0.15 * scale) << i;
		}
	}
}

//! Share of the true 10 nearest among the 10 best estimates.
double RecallOfRanking(CodeFamily family, size_t dims) {
	const auto rows = GaussianRows(1000, dims, 0.5f, SEED);
	const auto queries = GaussianRows(20, dims, 0.5f, SEED + 1);
	const auto quantizer = Quantizer::Train(Metric::L2SQ, family, dims, View(rows), 1000, SEED);
	const EncodedRows encoded(quantizer, rows);
	size_t found = 0;
	for (size_t first = 0; first < queries.size(); first += dims) {
		const auto estimates = encoded.Estimate(quantizer, queries.data() + first);
		std::vector<double> exact(estimates.size());
		for (size_t i = 0; i < exact.size(); i++) {
			exact[i] = PlainDistance(Metric::L2SQ, queries.data() + first, rows.data() + i * dims, dims);
		}
		std::vector<double> sorted_exact(exact);
		std::vector<float> sorted_estimates(estimates);
		std::nth_element(sorted_exact.begin(), sorted_exact.begin() + 9, sorted_exact.end());
		std::nth_element(sorted_estimates.begin(), sorted_estimates.begin() + 9, sorted_estimates.end());
		for (size_t i = 0; i < exact.size(); i++) {
			found += exact[i] <= sorted_exact[9] && estimates[i] <= sorted_estimates[9];
		}
	}
	return static_cast<double>(found) / 200;
}

TEST(QuantizerTest, MoreLevelsRankBetter) {
	const double one_bit = RecallOfRanking(CodeFamily::ONE_BIT, 128);
	const double ternary = RecallOfRanking(CodeFamily::TERNARY, 128);
	const double two_bit = RecallOfRanking(CodeFamily::TWO_BIT, 128);
	const double four_bit = RecallOfRanking(CodeFamily::FOUR_BIT, 128);
	EXPECT_GT(ternary, one_bit + 0.05);
	EXPECT_GT(two_bit, ternary);
	EXPECT_GT(four_bit, two_bit + 0.05);
}

//! Against the estimate with the query as it is, in units of the error that the code itself makes.
TEST(QuantizerTest, RoundingTheQueryAddsLittleError) {
	for (const size_t dims : {128, 1536}) {
		for (const CodeFamily family : FAMILIES) {
			SCOPED_TRACE(testing::Message() << "dims " << dims << ", family " << static_cast<int>(family));
			const auto rows = GaussianRows(100, dims, 0.2f, SEED);
			const auto queries = GaussianRows(40, dims, 0.2f, SEED + 1);
			const auto quantizer = Quantizer::Train(Metric::L2SQ, family, dims, View(rows), 200, SEED);
			const EncodedRows encoded(quantizer, rows);
			const LevelForm form = FormOf(family);
			std::vector<float> rotated(dims);
			std::vector<uint8_t> levels(dims);
			double sum = 0;
			double squares = 0;
			for (size_t q = 0; q < 40; q++) {
				const float *query = queries.data() + q * dims;
				const double reference_distance = PlainDistance(Metric::L2SQ, query, quantizer.Reference(0), dims);
				const auto estimates = encoded.Estimate(quantizer, query);
				quantizer.Rotate(query, rotated.data());
				for (size_t i = 0; i < estimates.size(); i++) {
					UnpackLevels(form.bits, encoded.codes.data() + i * quantizer.CodeBytes(), dims, levels.data());
					double product = 0;
					for (size_t j = 0; j < dims; j++) {
						product += double(rotated[j]) * (double(form.step) * levels[j] - double(form.offset));
					}
					const double unrounded =
					    reference_distance + double(encoded.biases[i]) + double(encoded.factors[i]) * product;
					const double row_distance =
					    PlainDistance(Metric::L2SQ, rows.data() + i * dims, quantizer.Reference(0), dims);
					const double code_error =
					    2 * ErrorConstant(family) * std::sqrt(reference_distance * row_distance / double(dims));
					const double error = (double(estimates[i]) - unrounded) / code_error;
					sum += error;
					squares += error * error;
				}
			}
			// Errors of one query share its rounding: at least 40 independent ones.
			EXPECT_LT(std::fabs(sum) / 4000, 4 * std::sqrt(squares / 4000) / std::sqrt(40.0));
			// Of the variance: 1.4 % for 1bit codes, far less for others.
			EXPECT_LT(squares / 4000, 0.02);
		}
	}
}

TEST(QuantizerTest, AVectorOnItsReferenceHasNoFactorAndExactDistance) {
	constexpr size_t DIMS = 50;
	const auto row = GaussianRows(1, DIMS, 0, SEED);
	const auto query = GaussianRows(1, DIMS, 0, SEED + 1);
	for (const CodeFamily family : FAMILIES) {
		const auto quantizer = Quantizer::Train(Metric::L2SQ, family, DIMS, View(row), 1, SEED);
		const EncodedRows encoded(quantizer, row);
		EXPECT_EQ(encoded.factors[0], 0.0f);
		const double exact = PlainDistance(Metric::L2SQ, query.data(), row.data(), DIMS);
		EXPECT_NEAR(encoded.Estimate(quantizer, query.data())[0], exact, 1e-4 * exact);
	}
}

TEST(QuantizerTest, ZeroQueriesAndTinyVectorsGiveFiniteEstimates) {
	for (const Metric metric : METRICS) {
		for (const CodeFamily family : FAMILIES) {
			for (const float scale : {1e-30f, 1e-18f, 1e-6f, 1e15f}) {
				auto rows = GaussianRows(3, 20, 0, SEED);
				std::for_each(rows.begin(), rows.end(), [&](float &value) { value *= scale; });
				const auto quantizer = Quantizer::Train(metric, family, 20, View(rows), 3, SEED);
				const EncodedRows encoded(quantizer, rows);
				std::vector<float> zero(20);
				for (const float *query : {rows.data(), zero.data()}) {
					for (const float distance : encoded.Estimate(quantizer, query)) {
						EXPECT_TRUE(std::isfinite(distance)) << scale;
					}
				}
			}
		}
	}
}

TEST(QuantizerTest, AnUnknownReferenceIsInfinitelyFar) {
	const auto rows = GaussianRows(2, 16, 0, SEED);
	const auto quantizer = Quantizer::Train(Metric::L2SQ, CodeFamily::TWO_BIT, 16, View(rows), 2, SEED);
	EncodedRows encoded(quantizer, rows);
	encoded.references[1] = 1;
	const auto distances = encoded.Estimate(quantizer, rows.data());
	EXPECT_TRUE(std::isfinite(distances[0]));
	EXPECT_TRUE(std::isinf(distances[1]));
}

TEST(QuantizerTest, PrepareOrdersTheNearestReferences) {
	const auto rows = GaussianRows(4000, 24, 0, SEED);
	for (const Metric metric : METRICS) {
		const auto quantizer = Quantizer::Train(metric, CodeFamily::TERNARY, 24, View(rows), 4000, SEED);
		PreparedQuery query;
		quantizer.Prepare(rows.data(), query);
		const size_t count = quantizer.ReferenceCount();
		ASSERT_EQ(query.reference_terms.size(), count + 1);
		EXPECT_TRUE(std::isinf(query.reference_terms[count]));
		std::vector<float> sorted_terms(query.reference_terms);
		std::sort(sorted_terms.begin(), sorted_terms.end());
		for (size_t i = 0; i < PreparedQuery::NEAREST_COUNT; i++) {
			EXPECT_EQ(query.reference_terms[query.nearest_references[i]], sorted_terms[i]);
		}
		EXPECT_EQ(query.nearest_references.size(), PreparedQuery::NEAREST_COUNT);
		if (metric != Metric::IP) {
			std::vector<float> scratch;
			EXPECT_EQ(query.nearest_references[0], quantizer.NearestReference(rows.data(), scratch));
		}
	}
}

TEST(QuantizerTest, TrainingIsDeterministicAndRespectsTheSeed) {
	const auto rows = GaussianRows(2000, 33, 0, SEED);
	const auto first = Quantizer::Train(Metric::COSINE, CodeFamily::TERNARY, 33, View(rows), 2000, 1);
	const auto second = Quantizer::Train(Metric::COSINE, CodeFamily::TERNARY, 33, View(rows), 2000, 1);
	const auto other = Quantizer::Train(Metric::COSINE, CodeFamily::TERNARY, 33, View(rows), 2000, 2);
	EXPECT_EQ(first.Serialize(), second.Serialize());
	EXPECT_NE(first.Serialize(), other.Serialize());
	EXPECT_EQ(EncodedRows(first, rows).codes, EncodedRows(second, rows).codes);
}

TEST(QuantizerTest, FewRowsShareOneReference) {
	const auto rows = GaussianRows(200, 8, 3, SEED);
	const auto l2 = Quantizer::Train(Metric::L2SQ, CodeFamily::TERNARY, 8, View(rows), 255, SEED);
	ASSERT_EQ(l2.ReferenceCount(), 1U);
	EXPECT_NEAR(l2.Reference(0)[0], 3, 0.5);
	for (const Metric metric : {Metric::COSINE, Metric::IP}) {
		const auto quantizer = Quantizer::Train(metric, CodeFamily::TERNARY, 8, View(rows), 255, SEED);
		ASSERT_EQ(quantizer.ReferenceCount(), 1U);
		EXPECT_EQ(quantizer.Reference(0)[0], 0.0f);
	}
	const auto empty = Quantizer::Train(Metric::L2SQ, CodeFamily::TERNARY, 8, Span<const float>(), 0, SEED);
	EXPECT_EQ(empty.ReferenceCount(), 1U);
}

TEST(QuantizerTest, EqualRowsTrainWithoutHarm) {
	const std::vector<float> rows(1000 * 4, 2.5f);
	const auto quantizer = Quantizer::Train(Metric::L2SQ, CodeFamily::TERNARY, 4, View(rows), 1000, SEED);
	const EncodedRows encoded(quantizer, rows);
	EXPECT_EQ(encoded.Estimate(quantizer, rows.data())[999], 0.0f);
}

TEST(QuantizerTest, SerializedBytesGiveTheSameQuantizer) {
	const auto rows = GaussianRows(600, 40, 0.5f, SEED);
	for (const Metric metric : METRICS) {
		for (const CodeFamily family : FAMILIES) {
			const auto quantizer = Quantizer::Train(metric, family, 40, View(rows), 600, SEED);
			const auto bytes = quantizer.Serialize();
			const auto copy = Quantizer::Deserialize(ConstByteSpan(bytes.data(), bytes.size()));
			EXPECT_EQ(copy.Serialize(), bytes);
			EXPECT_EQ(copy.GetMetric(), metric);
			EXPECT_EQ(copy.Family(), family);
			EXPECT_EQ(EncodedRows(copy, rows).codes, EncodedRows(quantizer, rows).codes);
			EXPECT_EQ(EncodedRows(copy, rows).Estimate(copy, rows.data()),
			          EncodedRows(quantizer, rows).Estimate(quantizer, rows.data()));
		}
	}
}

TEST(QuantizerTest, TruncatedOrExtendedBytesAreCorrupt) {
	const auto rows = GaussianRows(300, 5, 0, SEED);
	const auto bytes = Quantizer::Train(Metric::L2SQ, CodeFamily::TERNARY, 5, View(rows), 300, SEED).Serialize();
	for (size_t size = 0; size <= bytes.size() + 1; size++) {
		if (size == bytes.size()) {
			continue;
		}
		// An allocation of exactly `size` bytes, so that the sanitizer sees a read past it.
		const std::unique_ptr<uint8_t[]> part(new uint8_t[size]());
		std::copy_n(bytes.begin(), std::min(size, bytes.size()), part.get());
		EXPECT_THROW(Quantizer::Deserialize(ConstByteSpan(part.get(), size)), CorruptionError) << size;
	}
}

TEST(QuantizerTest, FlippedBytesAreRefusedOrHarmless) {
	const auto rows = GaussianRows(300, 5, 0, SEED);
	const auto bytes = Quantizer::Train(Metric::L2SQ, CodeFamily::FOUR_BIT, 5, View(rows), 300, SEED).Serialize();
	std::vector<float> scratch;
	for (size_t i = 0; i < bytes.size(); i++) {
		for (const uint8_t mask : {0x01, 0x80, 0xFF}) {
			auto flipped = bytes;
			flipped[i] ^= mask;
			try {
				const auto quantizer = Quantizer::Deserialize(ConstByteSpan(flipped.data(), flipped.size()));
				ASSERT_EQ(quantizer.Dims(), 5U);
				std::vector<uint8_t> code(quantizer.CodeBytes());
				quantizer.Encode(rows.data(), code.data(), scratch);
				PreparedQuery query;
				quantizer.Prepare(rows.data(), query);
			} catch (const CorruptionError &) {
			}
		}
	}
}

TEST(QuantizerTest, ReferencesThatAreNotFiniteAreCorrupt) {
	const auto rows = GaussianRows(300, 5, 0, SEED);
	auto bytes = Quantizer::Train(Metric::L2SQ, CodeFamily::FOUR_BIT, 5, View(rows), 300, SEED).Serialize();
	bytes[bytes.size() - 1] = 0x7F; // the sign and most of the exponent of the last float
	bytes[bytes.size() - 2] = 0xC0;
	EXPECT_THROW(Quantizer::Deserialize(ConstByteSpan(bytes.data(), bytes.size())), CorruptionError);
}

} // namespace
} // namespace lm_diskann
