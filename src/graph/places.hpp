#pragma once

#include "base/types.hpp"
#include "storage/extent_set.hpp"

#include <vector>

namespace lm_diskann {

//! A place of a node among all places, counted without gaps.
using Place = uint32_t;
static constexpr Place NO_PLACE = UINT32_MAX;

//! The places of the nodes in some pages, in the order of the file.
class Places {
public:
	Places(const ExtentSet &pages, uint32_t nodes_per_page);

	uint64_t Count() const {
		return count;
	}
	//! NO_PLACE: not in these pages.
	Place Of(NodeId node) const;

private:
	//! `count` nodes from `first` on have places from `place` on.
	struct Run {
		uint64_t first;
		uint64_t count;
		uint64_t place;
	};

	uint64_t count = 0;
	std::vector<Run> runs;
};

} // namespace lm_diskann
