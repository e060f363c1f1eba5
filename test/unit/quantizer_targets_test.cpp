// Property: a code is the same on every SIMD target, bit by bit, so that a file that one machine wrote verifies as
// sound on another.
#include "vector/quantizer.hpp"

#include "unit/simd_targets.hpp"
#include "unit/test_vectors.hpp"

#include <cstring>

namespace lm_diskann {
namespace {

constexpr size_t DIMS = 100;

struct Code {
	CodeScalars scalars;
	std::vector<uint8_t> bytes;

	bool operator==(const Code &other) const {
		return scalars.reference == other.scalars.reference &&
		       std::memcmp(&scalars.factor, &other.scalars.factor, sizeof(float)) == 0 &&
		       std::memcmp(&scalars.bias, &other.scalars.bias, sizeof(float)) == 0 && bytes == other.bytes;
	}
};

class QuantizerTargets : public testing::TestWithParam<std::tuple<Metric, CodeFamily>> {};

TEST_P(QuantizerTargets, EncodeTheSame) {
	const std::vector<float> sample = MakeClusteredVectors(500, DIMS, 1);
	const Quantizer quantizer =
	    Quantizer::Train(std::get<0>(GetParam()), std::get<1>(GetParam()), DIMS, sample, 500, 42);
	ASSERT_GT(quantizer.ReferenceCount(), 1U);
	std::vector<float> vectors = MakeClusteredVectors(500, DIMS, 2);
	// Halfway between two references, where the last bit decides which one is nearer.
	for (size_t k = 0; k + 1 < quantizer.ReferenceCount(); k++) {
		for (size_t i = 0; i < DIMS; i++) {
			vectors.push_back((quantizer.Reference(k)[i] + quantizer.Reference(k + 1)[i]) / 2);
		}
	}
	for (const float scale : {1.0F, 1e-20F, 1e25F}) {
		std::vector<Code> first;
		OnEveryTarget([&] {
			std::vector<Code> codes(vectors.size() / DIMS);
			std::vector<float> scaled(DIMS);
			std::vector<float> scratch;
			for (size_t i = 0; i < codes.size(); i++) {
				std::transform(vectors.begin() + ptrdiff_t(i * DIMS), vectors.begin() + ptrdiff_t((i + 1) * DIMS),
				               scaled.begin(), [&](float value) { return value * scale; });
				codes[i].bytes.resize(quantizer.CodeBytes());
				codes[i].scalars = quantizer.Encode(scaled.data(), codes[i].bytes.data(), scratch);
			}
			first = first.empty() ? codes : first;
			size_t different_count = 0;
			for (size_t i = 0; i < codes.size(); i++) {
				different_count += codes[i] == first[i] ? 0 : 1;
			}
			EXPECT_EQ(different_count, 0U) << "scale " << scale;
		});
	}
}

INSTANTIATE_TEST_SUITE_P(Vector, QuantizerTargets,
                         testing::Combine(testing::Values(Metric::L2SQ, Metric::COSINE, Metric::IP),
                                          testing::Values(CodeFamily::TERNARY, CodeFamily::ONE_BIT, CodeFamily::TWO_BIT,
                                                          CodeFamily::FOUR_BIT)));

} // namespace
} // namespace lm_diskann
