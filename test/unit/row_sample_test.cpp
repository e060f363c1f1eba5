// A sample is the same whatever order its rows came in, and its vectors are theirs.
#include "base/random.hpp"
#include "index/row_sample.hpp"

#include <gtest/gtest.h>
#include <numeric>

namespace lm_diskann {
namespace {

TEST(RowSample, IsSortedByRowIdWhateverOrderRowsCameIn) {
	for (const uint32_t dims : {1U, 7U, 768U}) {
		const size_t count = dims == 1 ? 200000 : 500;
		for (uint64_t seed = 1; seed <= 3; seed++) {
			std::vector<int64_t> ids(count);
			std::iota(ids.begin(), ids.end(), 1000);
			Random random(seed);
			for (size_t i = count; i > 1; i--) {
				std::swap(ids[i - 1], ids[random.Next() % i]);
			}
			RowSample sample(dims);
			for (const int64_t id : ids) {
				sample.Add(RowId(id), std::vector<float>(dims, float(id)).data());
			}
			const AlignedBuffer<float> sorted = sample.TakeSorted();
			ASSERT_EQ(sorted.size(), count * dims);
			for (size_t i = 0; i < sorted.size(); i++) {
				ASSERT_EQ(sorted[i], float(1000 + i / dims)) << dims << " dims, seed " << seed;
			}
		}
	}
}

} // namespace
} // namespace lm_diskann
