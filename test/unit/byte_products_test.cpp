// Holds on every SIMD target: products of bytes are exact, for every tail length and number of vectors, at the
// extremes, and read nothing behind a vector's end (the address sanitizer sees it).
#include "vector/byte_products.hpp"

#include "unit/simd_targets.hpp"

#include "base/random.hpp"

#include <memory>
#include <vector>

namespace lm_diskann {
namespace {

void ExpectExact(size_t dims, size_t count, const std::vector<int8_t> &query, const std::vector<uint8_t> &bytes) {
	std::vector<std::unique_ptr<uint8_t[]>> vectors;
	std::vector<const uint8_t *> pointers;
	for (size_t v = 0; v < count; v++) {
		vectors.emplace_back(new uint8_t[dims]);
		std::copy_n(bytes.begin() + ptrdiff_t(v * dims), dims, vectors.back().get());
		pointers.push_back(vectors.back().get());
	}
	std::vector<int32_t> products(count);
	ByteProducts(query.data(), pointers.data(), count, dims, products.data());
	for (size_t v = 0; v < count; v++) {
		int32_t expected = 0;
		for (size_t i = 0; i < dims; i++) {
			expected += bytes[v * dims + i] * query[i];
		}
		EXPECT_EQ(products[v], expected) << dims << " dims, vector " << v << " of " << count;
	}
}

TEST(ByteProducts, AreExact) {
	OnEveryTarget([] {
		Random random(1);
		for (size_t dims = 1; dims <= 200; dims++) {
			const size_t count = dims % 10;
			std::vector<int8_t> query(dims);
			std::vector<uint8_t> bytes(count * dims);
			for (int8_t &value : query) {
				value = int8_t(int64_t(random.Next() % 255) - 127);
			}
			for (uint8_t &value : bytes) {
				value = uint8_t(random.Next());
			}
			ExpectExact(dims, count, query, bytes);
		}
	});
}

TEST(ByteProducts, HoldTheLargestSums) {
	OnEveryTarget([] {
		constexpr size_t DIMS = 16384;
		for (const int value : {-127, 127}) {
			ExpectExact(DIMS, 5, std::vector<int8_t>(DIMS, int8_t(value)), std::vector<uint8_t>(5 * DIMS, 255));
		}
	});
}

} // namespace
} // namespace lm_diskann
