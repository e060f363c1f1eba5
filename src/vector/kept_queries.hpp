// Many prepared queries, as small as estimates allow: without what preparing one needs.
#pragma once

#include "vector/quantizer.hpp"

#include <vector>

namespace lm_diskann {

//! All of one quantizer, at most as many as there is room for. Belongs to one thread.
class KeptQueries {
public:
	static uint64_t MemoryBytes(const Quantizer &quantizer, size_t count);

	KeptQueries(const Quantizer &quantizer, size_t count_max);

	void Add(const PreparedQuery &query);
	size_t Count() const {
		return steps.size();
	}
	//! Until this ends.
	QueryView At(size_t index) const;

private:
	size_t rotated_bytes;
	size_t term_count;
	std::vector<int8_t> rotated;
	std::vector<float> reference_terms;
	std::vector<float> steps;
	std::vector<int32_t> rotated_sums;
};

} // namespace lm_diskann
