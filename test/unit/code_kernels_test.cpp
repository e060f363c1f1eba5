// Property: whatever a SIMD target makes of a query, its products with codes are those of a plain loop, for each number
// of bits, codes that fill whole vectors and codes that do not, at the extremes, and without a byte read behind the
// last code (the address sanitizer sees it). So graphs and answers do not depend on the machine.
#include "vector/code_kernels.hpp"

#include "unit/simd_targets.hpp"

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

namespace lm_diskann {
namespace {

constexpr uint64_t SEED = 20240608;

//! The layout, dimension by dimension.
int32_t PlainCodeProduct(uint32_t bits, const std::vector<uint8_t> &levels, const std::vector<int8_t> &query,
                         size_t first) {
	int32_t sum = 0;
	for (size_t i = 0; i < query.size(); i++) {
		sum += (levels[first + i] & ((1 << bits) - 1)) * query[i];
	}
	return sum;
}

TEST(CodeKernels, EveryTargetSumsTheSameIntegers) {
	OnEveryTarget([] {
		std::mt19937_64 random(SEED);
		for (const uint32_t bits : {1, 2, 4}) {
			for (const size_t group_count : {1, 2, 3, 4, 5, 12, 128}) {
				for (const int32_t sign : {0, -1, 1}) {
					const bool is_extreme = sign != 0;
					const size_t dims = group_count * 128;
					const size_t code_bytes = dims / 8 * bits;
					constexpr size_t COUNT = 7;
					std::vector<int8_t> query(dims);
					std::vector<uint8_t> levels(COUNT * dims);
					const int32_t limit = QueryLimit(bits);
					std::generate(query.begin(), query.end(), [&] {
						const int32_t element = int32_t(random() % uint32_t(2 * limit + 1)) - limit;
						return static_cast<int8_t>(is_extreme ? sign * limit : element);
					});
					std::generate(levels.begin(), levels.end(), [&] {
						return static_cast<uint8_t>((is_extreme ? 15 : random()) & ((1u << bits) - 1));
					});
					// One byte off, and ending with the allocation.
					const std::unique_ptr<uint8_t[]> storage(new uint8_t[1 + COUNT * code_bytes]);
					for (size_t c = 0; c < COUNT; c++) {
						PackLevels(bits, levels.data() + c * dims, dims, storage.get() + 1 + c * code_bytes);
					}
					std::vector<int32_t> sums(COUNT);
					std::vector<int8_t> arranged(ArrangedQueryBytes(bits, dims));
					ArrangeQuery(bits, query.data(), dims, arranged.data());
					CodeDotProducts(bits, arranged.data(), storage.get() + 1, code_bytes, COUNT, sums.data());
					for (size_t c = 0; c < COUNT; c++) {
						ASSERT_EQ(sums[c], PlainCodeProduct(bits, levels, query, c * dims)) << bits << " " << dims;
					}
				}
			}
		}
	});
}

} // namespace
} // namespace lm_diskann
