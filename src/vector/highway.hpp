// The choice of Highway targets, the same in every file that uses it: Highway's dispatch tables must agree across files.
// Include before hwy/foreach_target.h. AVX3_DL brings VNNI dot products; the targets with vectors of unknown length are
// left out because the kernels keep vectors in arrays (NEON serves those machines).
#pragma once

#ifndef HWY_WANT_AVX3_DL
#define HWY_WANT_AVX3_DL
#endif
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#endif
