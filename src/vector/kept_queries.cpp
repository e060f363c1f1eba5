#include "vector/kept_queries.hpp"

#include "base/error.hpp"

namespace lm_diskann {

uint64_t KeptQueries::MemoryBytes(const Quantizer &quantizer, size_t count) {
	return count * (quantizer.RotatedQueryBytes() + (quantizer.ReferenceCount() + 1) * sizeof(float) + sizeof(float) +
	                sizeof(int32_t));
}

KeptQueries::KeptQueries(const Quantizer &quantizer, size_t count_max)
    : rotated_bytes(quantizer.RotatedQueryBytes()), term_count(quantizer.ReferenceCount() + 1) {
	rotated.reserve(count_max * rotated_bytes);
	reference_terms.reserve(count_max * term_count);
	steps.reserve(count_max);
	rotated_sums.reserve(count_max);
}

void KeptQueries::Add(const PreparedQuery &query) {
	LMD_CHECK(steps.size() < steps.capacity(), "there is room for one more query");
	rotated.insert(rotated.end(), query.rotated.data(), query.rotated.data() + rotated_bytes);
	reference_terms.insert(reference_terms.end(), query.reference_terms.begin(), query.reference_terms.end());
	steps.push_back(query.step);
	rotated_sums.push_back(query.rotated_sum);
}

QueryView KeptQueries::At(size_t index) const {
	return {rotated.data() + index * rotated_bytes,
	        steps[index],
	        rotated_sums[index],
	        {reference_terms.data() + index * term_count, term_count}};
}

} // namespace lm_diskann
