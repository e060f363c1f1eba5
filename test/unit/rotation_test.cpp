// Holds on every SIMD target: a rotation keeps lengths and gives the same bits; rounding is to the nearest, to even
// between two, and bounded whatever the input.
#include "vector/rotation.hpp"

#include "unit/simd_targets.hpp"
#include "unit/test_vectors.hpp"

#include <cmath>
#include <cstring>

namespace lm_diskann {
namespace {

std::vector<size_t> TestedDims() {
	std::vector<size_t> dims;
	for (size_t i = 1; i <= 70; i++) {
		dims.push_back(i);
	}
	dims.insert(dims.end(), {100, 128, 384, 784, 1024, 1536, 16384});
	return dims;
}

TEST(Rotation, KeepsLengthsAndIsTheSameBitsEverywhere) {
	for (const size_t dims : TestedDims()) {
		SCOPED_TRACE(dims);
		const std::vector<float> source = MakeClusteredVectors(1, dims, dims);
		std::vector<float> signs(ROTATION_ROUNDS * dims);
		for (size_t i = 0; i < signs.size(); i++) {
			signs[i] = i * 2654435761U % 7 < 3 ? -1.0F : 1.0F;
		}
		std::vector<float> first;
		OnEveryTarget([&] {
			std::vector<float> rotated(dims);
			RotateVector(signs.data(), source.data(), rotated.data(), dims);
			first = first.empty() ? rotated : first;
			EXPECT_EQ(std::memcmp(first.data(), rotated.data(), dims * sizeof(float)), 0);
		});
		double before = 0;
		double after = 0;
		for (size_t i = 0; i < dims; i++) {
			before += double(source[i]) * source[i];
			after += double(first[i]) * first[i];
		}
		EXPECT_NEAR(after, before, 1e-5 * before);
	}
}

TEST(Rotation, FindsTheLargestMagnitude) {
	OnEveryTarget([] {
		for (size_t count = 1; count <= 70; count++) {
			std::vector<float> values(count, 0.5F);
			for (size_t place = 0; place < count; place++) {
				values[place] = -3;
				EXPECT_EQ(LargestMagnitude(values.data(), count), 3);
				values[place] = std::nanf("");
				EXPECT_EQ(LargestMagnitude(values.data(), count), count == 1 ? 0 : 0.5F);
				values[place] = 0.5F;
			}
		}
	});
}

TEST(Rotation, RoundsToTheNearestWithinBounds) {
	OnEveryTarget([] {
		const std::vector<float> values = {0,        0.5F,      1.5F,          2.5F,   -0.5F, -1.5F,
		                                   0.49F,    -126.6F,   126.4F,        127.6F, 1e30F, -1e30F,
		                                   INFINITY, -INFINITY, std::nanf(""), 3.2F,   -3.7F, 9};
		const std::vector<int> bytes = {0, 0, 2, 2, 0, -2, 0, -127, 126, 127, 127, -127, 127, -127, 127, 3, -4, 9};
		std::vector<int8_t> rounded(values.size());
		int32_t sum = 0;
		for (const int byte : bytes) {
			sum += byte;
		}
		EXPECT_EQ(RoundToInt8(values.data(), 1, 127, rounded.data(), values.size()), sum);
		EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), rounded.begin()));
		std::vector<int8_t> bounded(values.size());
		RoundToInt8(values.data(), 1, 15, bounded.data(), values.size());
		for (size_t i = 0; i < values.size(); i++) {
			EXPECT_EQ(bounded[i], std::clamp(bytes[i], -15, 15)) << values[i];
		}
		std::vector<int16_t> shorts(values.size());
		RoundToInt16(values.data(), 10, 300, shorts.data(), values.size());
		const std::vector<int> expected = {0,   5,   15,   25,  -5,   -15, 5,  -300, 300,
		                                   300, 300, -300, 300, -300, 300, 32, -37,  90};
		EXPECT_TRUE(std::equal(expected.begin(), expected.end(), shorts.begin()));
	});
}

} // namespace
} // namespace lm_diskann
