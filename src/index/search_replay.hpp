// Recorded searches, to tell what they find and cost with other limits. Blocks are expanded nearest first whatever ends
// a search, so a search with a nearer limit is the beginning of one with a farther limit: one traversal is enough.
#pragma once

#include "graph/search_limit.hpp"
#include "index/calibration.hpp"

#include <vector>

namespace lm_diskann {

//! One search with a plain limit of `list_size`.
struct RecordedSearch {
	struct Step {
		float estimate = 0;
		float distance = 0;
		//! It is one of the rows that were looked for.
		bool is_answer = false;
	};
	uint32_t list_size = 0;
	size_t answer_count = 0;
	//! By expanded node.
	std::vector<Step> steps;
};

//! Searches for CALIBRATION_K rows.
class SearchReplay {
public:
	void Add(RecordedSearch search) {
		searches.push_back(std::move(search));
	}
	//! Recall and cost of lists of `list_size` with limits of this dimension (0: plain ones). Beyond its record a
	//! search finds nothing more, and each further place in the list costs it one more block.
	CalibrationPoint Measure(uint32_t list_size, float dimension) const;
	//! The dimension for adaptive limits, with which a list costs about as much as with a plain one; 0 where they do
	//! not save blocks at the same recall.
	float FitDimension() const;

private:
	//! Over lists of moderate length.
	std::vector<CalibrationPoint> Curve(float dimension) const;

	std::vector<RecordedSearch> searches;
};

} // namespace lm_diskann
