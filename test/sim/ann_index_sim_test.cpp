// Property: whatever the host asks for, whatever fails and wherever the power goes, an index that opens is exactly the
// generation that the host named, after the replay exactly what the host asked for, and before that every call is right
// or throws FileError or CorruptionError. Random scripts by seed, and fixed ones of which each operation fails once.
#include "sim/ann_index_sim.hpp"

#include <gtest/gtest.h>

namespace lm_diskann {
namespace {

class AnnIndexSimSeeds : public testing::TestWithParam<uint64_t> {};

TEST_P(AnnIndexSimSeeds, EveryAnswerIsRight) {
	constexpr uint64_t SEEDS_EACH = 25;
	for (uint64_t seed = GetParam() * SEEDS_EACH; seed < (GetParam() + 1) * SEEDS_EACH; seed++) {
		SCOPED_TRACE("seed " + std::to_string(seed));
		ASSERT_NO_THROW(AnnIndexSim(seed).Run(120));
	}
}

INSTANTIATE_TEST_SUITE_P(Sim, AnnIndexSimSeeds, testing::Range<uint64_t>(0, 8));

} // namespace
} // namespace lm_diskann
