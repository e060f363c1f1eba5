#pragma once

#include <gtest/gtest.h>

// One more than Highway compiles by itself; some sources have it (vector/code_kernels.cpp).
#define HWY_WANT_AVX3_DL
#include <hwy/highway.h>

namespace lm_diskann {

//! Runs `check` once on each SIMD target that is compiled in and supported, then lifts the restriction.
template <class CHECK>
void OnEveryTarget(CHECK check) {
	for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
		SCOPED_TRACE(hwy::TargetName(target));
		hwy::SetSupportedTargetsForTest(target);
		hwy::GetChosenTarget().Update(hwy::SupportedTargets());
		check();
	}
	hwy::SetSupportedTargetsForTest(0);
	hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

} // namespace lm_diskann
