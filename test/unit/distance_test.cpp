// Holds: on every SIMD target this machine has, the distances equal a plain double sum to float accuracy (exactly for
// int8), for every tail length, unaligned pointers and the extremes of int8; zero norms and clamping follow DuckDB's
// array_cosine_distance; halves round to nearest even. Inputs end at the end of an allocation, so that the address
// sanitizer sees a read past it.
#include "vector/convert.hpp"
#include "vector/distance.hpp"

#include "unit/simd_targets.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <vector>

namespace lm_diskann {
namespace {

constexpr uint64_t SEED = 20240607;

//! `dims` elements `offset` elements into an allocation that ends with the last of them.
template <class T>
class Elements {
public:
	Elements(size_t dims, size_t offset) : storage(new T[dims + offset]), first(storage.get() + offset) {
	}
	T *data() const {
		return first;
	}

private:
	std::unique_ptr<T[]> storage;
	T *first;
};

std::vector<size_t> TestedDims() {
	std::vector<size_t> dims;
	for (size_t i = 1; i <= 130; i++) {
		dims.push_back(i);
	}
	dims.insert(dims.end(), {255, 384, 767, 768, 1000, 1536, 4097, 16383, 16384});
	return dims;
}

struct Sums {
	double squared_l2 = 0;
	double product = 0;
	double norm_a = 0;
	double norm_b = 0;
	//! Sum of |a_i b_i|: what the rounding of a product is relative to.
	double magnitude = 0;

	double Cosine() const {
		return 1 - product / std::sqrt(norm_a * norm_b);
	}
};

template <class T>
Sums PlainSums(const T *a, const T *b, size_t dims) {
	Sums sums;
	for (size_t i = 0; i < dims; i++) {
		const double x = a[i];
		const double y = b[i];
		sums.squared_l2 += (x - y) * (x - y);
		sums.product += x * y;
		sums.norm_a += x * x;
		sums.norm_b += y * y;
		sums.magnitude += std::fabs(x * y);
	}
	return sums;
}

TEST(DistanceTest, FloatDistancesEqualPlainSumsOnEveryTarget) {
	OnEveryTarget([] {
		std::mt19937_64 random(SEED);
		std::normal_distribution<float> normal(0.3f, 1);
		for (const size_t dims : TestedDims()) {
			for (const size_t offset : {0, 1, 3}) {
				const Elements<float> a(dims, offset);
				const Elements<float> b(dims, offset + 1);
				std::generate_n(a.data(), dims, [&] { return normal(random); });
				std::generate_n(b.data(), dims, [&] { return normal(random); });
				const Sums sums = PlainSums(a.data(), b.data(), dims);
				ASSERT_NEAR(SquaredL2(a.data(), b.data(), dims), sums.squared_l2, 2e-6 * sums.squared_l2) << dims;
				ASSERT_NEAR(InnerProduct(a.data(), b.data(), dims), sums.product, 2e-6 * sums.magnitude) << dims;
				ASSERT_NEAR(CosineDistance(a.data(), b.data(), dims), sums.Cosine(), 4e-6) << dims;
			}
		}
	});
}

TEST(DistanceTest, Int8DistancesAreExactOnEveryTarget) {
	OnEveryTarget([] {
		std::mt19937_64 random(SEED);
		for (const size_t dims : TestedDims()) {
			for (const size_t offset : {0, 1, 7}) {
				const Elements<int8_t> a(dims, offset);
				const Elements<int8_t> b(dims, offset + 2);
				std::generate_n(a.data(), dims, [&] { return static_cast<int8_t>(random()); });
				std::generate_n(b.data(), dims, [&] { return static_cast<int8_t>(random()); });
				const Sums sums = PlainSums(a.data(), b.data(), dims);
				ASSERT_EQ(SquaredL2(a.data(), b.data(), dims), static_cast<float>(sums.squared_l2)) << dims;
				ASSERT_EQ(InnerProduct(a.data(), b.data(), dims), static_cast<float>(sums.product)) << dims;
				if (sums.norm_a > 0 && sums.norm_b > 0) {
					ASSERT_NEAR(CosineDistance(a.data(), b.data(), dims), sums.Cosine(), 2e-7) << dims;
				}
			}
		}
	});
}

TEST(DistanceTest, Int8ExtremesDoNotOverflow) {
	OnEveryTarget([] {
		for (const size_t dims : {1, 31, 128, 16384}) {
			const std::vector<int8_t> low(dims, -128);
			const std::vector<int8_t> high(dims, 127);
			const auto count = static_cast<double>(dims);
			EXPECT_EQ(SquaredL2(low.data(), high.data(), dims), static_cast<float>(count * 255 * 255));
			EXPECT_EQ(InnerProduct(low.data(), low.data(), dims), static_cast<float>(count * 128 * 128));
			EXPECT_EQ(InnerProduct(low.data(), high.data(), dims), static_cast<float>(-count * 128 * 127));
			EXPECT_EQ(CosineDistance(low.data(), high.data(), dims), 2.0f);
		}
	});
}

TEST(DistanceTest, CosineOfAZeroVectorIsTwoAsInDuckDB) {
	OnEveryTarget([] {
		for (const size_t dims : {1, 5, 64, 100}) {
			const std::vector<float> zeros(dims, 0.0f);
			const std::vector<float> ones(dims, 1.0f);
			EXPECT_EQ(CosineDistance(zeros.data(), ones.data(), dims), 2.0f);
			EXPECT_EQ(CosineDistance(zeros.data(), zeros.data(), dims), 2.0f);
			const std::vector<int8_t> zero_bytes(dims, 0);
			EXPECT_EQ(CosineDistance(zero_bytes.data(), zero_bytes.data(), dims), 2.0f);
		}
	});
}

TEST(DistanceTest, CosineStaysInsideZeroAndTwo) {
	OnEveryTarget([] {
		std::mt19937_64 random(SEED);
		std::normal_distribution<float> normal;
		for (size_t dims = 1; dims < 200; dims++) {
			std::vector<float> a(dims);
			std::generate(a.begin(), a.end(), [&] { return normal(random); });
			std::vector<float> opposite(dims);
			std::transform(a.begin(), a.end(), opposite.begin(), [](float value) { return -3 * value; });
			const float same = CosineDistance(a.data(), a.data(), dims);
			const float far = CosineDistance(a.data(), opposite.data(), dims);
			ASSERT_TRUE(same >= 0 && same < 1e-6f) << same;
			ASSERT_TRUE(far <= 2 && far > 2 - 1e-6f) << far;
		}
	});
}

TEST(DistanceTest, DistanceChoosesByMetric) {
	const std::vector<float> a {1, 2, 3};
	const std::vector<float> b {-1, 0, 5};
	EXPECT_EQ(Distance(Metric::L2SQ, a.data(), b.data(), 3), 12.0f);
	EXPECT_EQ(Distance(Metric::IP, a.data(), b.data(), 3), -14.0f);
	EXPECT_EQ(Distance(Metric::COSINE, a.data(), b.data(), 3), CosineDistance(a.data(), b.data(), 3));
	const std::vector<int8_t> c {1, 2, 3};
	const std::vector<int8_t> d {-1, 0, 5};
	EXPECT_EQ(Distance(Metric::L2SQ, c.data(), d.data(), 3), 12.0f);
	EXPECT_EQ(Distance(Metric::IP, c.data(), d.data(), 3), -14.0f);
	EXPECT_EQ(Distance(Metric::COSINE, c.data(), d.data(), 3), CosineDistance(c.data(), d.data(), 3));
}

TEST(DistanceTest, DistancesToRowsAreThoseOfEachRow) {
	std::mt19937_64 random(SEED);
	std::normal_distribution<float> normal;
	OnEveryTarget([&] {
		for (const size_t dims : {1, 15, 16, 17, 31, 33, 64, 100, 784}) {
			for (const size_t count : {1, 2, 3, 4, 5, 9, 64, 67}) {
				const Elements<float> query(dims, 1);
				const Elements<float> rows(count * dims, 1);
				std::generate_n(query.data(), dims, [&] { return normal(random); });
				std::generate_n(rows.data(), count * dims, [&] { return normal(random); });
				std::vector<float> distances(count);
				for (const Metric metric : {Metric::L2SQ, Metric::COSINE, Metric::IP}) {
					DistancesToRows(metric, query.data(), rows.data(), count, dims, distances.data());
					for (size_t row = 0; row < count; row++) {
						const float *vector = rows.data() + row * dims;
						const Sums sums = PlainSums(query.data(), vector, dims);
						const double magnitude = metric == Metric::COSINE ? 1 : sums.norm_a + sums.norm_b;
						ASSERT_NEAR(distances[row], Distance(metric, query.data(), vector, dims), 2e-6 * magnitude)
						    << dims << " dims, row " << row << " of " << count;
					}
				}
			}
		}
	});
}

TEST(DistanceTest, DistancesToRowsOfTheQueryAndOfAZeroVectorAreExact) {
	std::mt19937_64 random(SEED);
	std::normal_distribution<float> normal;
	OnEveryTarget([&] {
		for (size_t dims = 1; dims < 100; dims++) {
			std::vector<float> rows(2 * dims);
			std::generate_n(rows.data(), dims, [&] { return normal(random); });
			float distances[2];
			DistancesToRows(Metric::COSINE, rows.data(), rows.data(), 2, dims, distances);
			ASSERT_NEAR(distances[0], 0, 1e-7) << dims;
			ASSERT_EQ(distances[1], 2) << dims;
			DistancesToRows(Metric::L2SQ, rows.data(), rows.data(), 2, dims, distances);
			ASSERT_EQ(distances[0], 0) << dims;
		}
	});
}

TEST(DistanceTest, WidenInt8IsExact) {
	OnEveryTarget([] {
		for (const size_t dims : {1, 15, 16, 17, 255, 256}) {
			const Elements<int8_t> source(dims, 1);
			const Elements<float> target(dims, 1);
			for (size_t i = 0; i < dims; i++) {
				source.data()[i] = static_cast<int8_t>(i - 128);
			}
			WidenInt8(source.data(), target.data(), dims);
			for (size_t i = 0; i < dims; i++) {
				ASSERT_EQ(target.data()[i], static_cast<float>(source.data()[i]));
			}
		}
	});
}

//! A half from its definition.
double HalfValue(uint16_t half) {
	const int exponent = (half >> 10) & 31;
	const int mantissa = half & 1023;
	const double magnitude = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(mantissa + 1024, exponent - 25);
	return half & 0x8000 ? -magnitude : magnitude;
}

//! All finite halves.
std::vector<uint16_t> FiniteHalves() {
	std::vector<uint16_t> halves;
	for (uint32_t bits = 0; bits < 65536; bits++) {
		if (((bits >> 10) & 31) != 31) {
			halves.push_back(static_cast<uint16_t>(bits));
		}
	}
	return halves;
}

TEST(DistanceTest, EveryFiniteHalfSurvivesTheRoundTrip) {
	OnEveryTarget([] {
		const auto halves = FiniteHalves();
		std::vector<float> floats(halves.size());
		HalfToFloat(halves.data(), floats.data(), halves.size());
		for (size_t i = 0; i < halves.size(); i++) {
			ASSERT_EQ(static_cast<double>(floats[i]), HalfValue(halves[i]));
		}
		std::vector<uint16_t> back(halves.size());
		FloatToHalf(floats.data(), back.data(), halves.size());
		EXPECT_EQ(back, halves);
	});
}

TEST(DistanceTest, HalvesRoundToNearestEven) {
	OnEveryTarget([] {
		// Midpoints of neighbouring positive halves, and the floats just beside them.
		std::vector<float> sources;
		std::vector<uint16_t> expected;
		for (uint16_t half = 0; half < 0x7BFF; half++) {
			const auto middle = static_cast<float>((HalfValue(half) + HalfValue(half + 1)) / 2);
			const auto even = static_cast<uint16_t>(half & 1 ? half + 1 : half);
			sources.insert(sources.end(),
			               {std::nextafter(middle, 0.0f), middle, std::nextafter(middle, 1e9f), -middle});
			expected.insert(expected.end(),
			                {half, even, static_cast<uint16_t>(half + 1), static_cast<uint16_t>(even | 0x8000)});
		}
		std::vector<uint16_t> halves(sources.size());
		FloatToHalf(sources.data(), halves.data(), sources.size());
		EXPECT_EQ(halves, expected);
	});
}

TEST(DistanceTest, HalvesSaturate) {
	OnEveryTarget([] {
		const float infinity = std::numeric_limits<float>::infinity();
		for (const size_t dims : {4, 67}) {
			std::vector<float> source(dims);
			for (size_t i = 0; i < dims; i++) {
				source[i] = std::vector<float> {65505, -1e30f, infinity, -infinity}[i % 4];
			}
			std::vector<uint16_t> halves(dims);
			FloatToHalf(source.data(), halves.data(), dims);
			for (size_t i = 0; i < dims; i++) {
				ASSERT_EQ(halves[i], i % 2 ? 0xFBFF : 0x7BFF);
			}
		}
	});
}

} // namespace
} // namespace lm_diskann
