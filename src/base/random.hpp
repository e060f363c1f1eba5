#pragma once

#include "base/types.hpp"

#include <numeric>
#include <utility>
#include <vector>

namespace lm_diskann {

//! SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): the same numbers from the same seed on every machine.
class Random {
public:
	explicit Random(uint64_t seed) : state(seed) {
	}

	uint64_t Next() {
		state += 0x9E3779B97F4A7C15ULL;
		uint64_t value = state;
		value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL;
		value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL;
		return value ^ (value >> 31);
	}

	//! 0 .. count-1 in random order (Fisher and Yates).
	template <class INTEGER>
	std::vector<INTEGER> Permutation(size_t count) {
		std::vector<INTEGER> order(count);
		std::iota(order.begin(), order.end(), INTEGER(0));
		for (size_t i = count; i > 1; i--) {
			std::swap(order[i - 1], order[Next() % i]);
		}
		return order;
	}

private:
	uint64_t state;
};

} // namespace lm_diskann
