// The levels of each code family: what a stored number stands for.
#pragma once

#include "base/error.hpp"
#include "vector/vector_types.hpp"

namespace lm_diskann {

//! Levels of a family: stored u = 0 .. count-1 stands for t = u * step - offset.
struct LevelForm {
	uint32_t bits;
	float step;
	float offset;
};

inline LevelForm FormOf(CodeFamily family) {
	switch (family) {
	case CodeFamily::TERNARY:
		return {2, 1, 1};
	case CodeFamily::ONE_BIT:
		return {1, 2, 1};
	case CodeFamily::TWO_BIT:
		return {2, 1, 1.5F};
	case CodeFamily::FOUR_BIT:
		return {4, 1, 7.5F};
	}
	throw InternalError("unknown code family");
}

} // namespace lm_diskann
