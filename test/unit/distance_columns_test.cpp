// Holds on every SIMD target: distances of rows and columns are to the bit what their definition says, for every number
// of dimensions, rows and columns, and at the extremes; and FindWithin finds what a loop finds.
#include "vector/distance_columns.hpp"

#include "unit/simd_targets.hpp"

#include "base/random.hpp"

#include <cmath>
#include <limits>

namespace lm_diskann {
namespace {

float FloatOf(Random &random) {
	return float(random.Next() % 1000) / 100;
}

ByteVectorTerms MakeTerms(Random &random) {
	return {FloatOf(random), FloatOf(random), FloatOf(random)};
}

float Expected(const int8_t *row, const ByteVectorTerms &a, const int8_t *column, const ByteVectorTerms &b,
               size_t dims) {
	int32_t product = 0;
	for (size_t i = 0; i < dims; i++) {
		product += row[i] * column[i];
	}
	const float extra = a.extra - b.extra;
	return std::max(0.0F, a.norm + b.norm - 2 * a.scale * b.scale * float(product) + extra * extra);
}

//! `value` makes the elements of all vectors.
template <class VALUE>
void ExpectDistances(size_t dims, size_t row_count, size_t column_count, Random &random, VALUE value) {
	const size_t row_bytes = DistanceColumns::RowBytes(dims);
	std::vector<int8_t> rows(row_count * row_bytes), columns(column_count * dims);
	std::vector<ByteVectorTerms> row_terms, column_terms;
	DistanceColumns compared(dims, column_count);
	// What was there before must not be seen.
	for (size_t c = 0; c < column_count; c++) {
		compared.Add(std::vector<uint8_t>(dims, 77).data(), MakeTerms(random));
	}
	compared.Clear();
	for (size_t r = 0; r < row_count; r++) {
		std::generate_n(rows.begin() + ptrdiff_t(r * row_bytes), dims, value);
		row_terms.push_back(MakeTerms(random));
	}
	for (size_t c = 0; c < column_count; c++) {
		std::generate_n(columns.begin() + ptrdiff_t(c * dims), dims, value);
		column_terms.push_back(MakeTerms(random));
		std::vector<uint8_t> bytes;
		for (size_t i = 0; i < dims; i++) {
			bytes.push_back(uint8_t(columns[c * dims + i] + 128));
		}
		compared.Add(bytes.data(), column_terms.back());
	}
	ASSERT_EQ(compared.Count(), column_count);
	std::vector<float> distances(row_count * compared.Stride());
	compared.Distances(rows.data(), row_terms.data(), row_count, distances.data());
	for (size_t r = 0; r < row_count; r++) {
		for (size_t c = 0; c < column_count; c++) {
			EXPECT_EQ(distances[r * compared.Stride() + c], Expected(rows.data() + r * row_bytes, row_terms[r],
			                                                         columns.data() + c * dims, column_terms[c], dims))
			    << dims << " dims, row " << r << " of " << row_count << ", column " << c << " of " << column_count;
		}
	}
}

TEST(DistanceColumns, HaveTheDistancesOfTheirDefinition) {
	OnEveryTarget([] {
		Random random(1);
		for (size_t dims = 1; dims <= 140; dims++) {
			ExpectDistances(dims, 1 + dims % DistanceColumns::ROWS_MAX, 1 + dims * 7 % 50, random,
			                [&] { return int8_t(int64_t(random.Next() % 255) - 127); });
		}
	});
}

TEST(DistanceColumns, HoldTheLargestSums) {
	OnEveryTarget([] {
		Random random(2);
		for (const int value : {-127, 127}) {
			ExpectDistances(16384, 3, 17, random, [&] { return int8_t(value); });
		}
	});
}

//! Vectors as large as floats get have terms that are not finite; a distance must still be one that orders.
TEST(DistanceColumns, WhatIsNotANumberIsZero) {
	OnEveryTarget([] {
		constexpr float INFINITE = std::numeric_limits<float>::infinity();
		DistanceColumns columns(4, 1);
		columns.Add(std::vector<uint8_t>(4, 129).data(), {INFINITE, INFINITE, 0});
		const std::vector<int8_t> row(4, 1);
		const ByteVectorTerms terms = {1, 1, 0};
		std::vector<float> distances(columns.Stride());
		columns.Distances(row.data(), &terms, 1, distances.data());
		EXPECT_EQ(distances[0], 0);
	});
}

TEST(DistanceColumns, FindWithinFindsAllPositions) {
	OnEveryTarget([] {
		Random random(3);
		for (size_t count = 0; count < 70; count++) {
			std::vector<float> distances;
			std::vector<uint32_t> expected;
			for (uint32_t i = 0; i < count; i++) {
				distances.push_back(float(random.Next() % 10));
				if (distances.back() <= 4) {
					expected.push_back(i);
				}
			}
			std::vector<uint32_t> positions(count + 16);
			positions.resize(FindWithin(distances.data(), count, 4, positions.data()));
			EXPECT_EQ(positions, expected);
		}
	});
}

} // namespace
} // namespace lm_diskann
