// Property: whatever is written, freed, published and confirmed, whatever fails, and wherever the power goes, opening
// the file with a marker that the host had named gives exactly that generation, and Verify finds nothing, not even a
// lost slot. Faults and losses of power come at random operations, or at every change of one script.
#include "sim/page_file_sim.hpp"

#include <gtest/gtest.h>

namespace lm_diskann {

TEST(PageFileSimTest, ReopeningAfterACrashGivesExactlyTheNamedGeneration) {
	for (uint64_t seed = 0; seed < 200; seed++) {
		SCOPED_TRACE("seed " + std::to_string(seed));
		ASSERT_NO_THROW(PageFileSim(seed).RunLives());
	}
}

TEST(PageFileSimTest, EveryChangeOfOneScriptMayFail) {
	constexpr uint64_t SEED = 4;
	constexpr int STEP_COUNT = 100;
	PageFileSim sound(SEED);
	ASSERT_TRUE(sound.RunSteps(STEP_COUNT));
	const uint64_t change_count = sound.Disk().ChangeCount();
	ASSERT_GT(change_count, 50U);
	for (uint64_t failing = 2; failing < change_count; failing++) { // The first two make the head.
		SCOPED_TRACE("seed " + std::to_string(SEED) + ", change " + std::to_string(failing));
		ASSERT_NO_THROW({
			PageFileSim script(SEED);
			script.Disk().FailChange(failing - script.Disk().ChangeCount());
			EXPECT_FALSE(script.RunSteps(STEP_COUNT));
			if (script.CrashAndReopen()) {
				EXPECT_TRUE(script.RunSteps(20));
				script.CrashAndReopen();
			}
		});
	}
}

} // namespace lm_diskann
