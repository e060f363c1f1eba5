// The distances from a query to all references of a quantizer: a scan that every search begins with.
//
// References are kept a second time, rotated, relative to their mean and rounded to integers of up to 16 bits, so that
// one integer dot product a reference does, at half the memory traffic of floats. The relative error of a product is
// below 1 / sqrt(2^31 / dims), far less than that of the codes it is added to.
#pragma once

#include "base/types.hpp"
#include "vector/vector_types.hpp"

#include <vector>

namespace lm_diskann {

//! Immutable after construction.
class ReferenceTable {
public:
	ReferenceTable() = default;
	//! `rotated`: `count` x `dims` floats.
	ReferenceTable(Metric metric_p, const float *rotated, size_t count, size_t dims_p);

	//! terms[k] = |q - c_k|^2 (L2SQ), half of it (COSINE), or -<q, c_k> (IP), for the `rotated` query of `dims` floats;
	//! infinity where overflow made no number. `scratch` is grown once to what is needed.
	void Distances(const float *rotated, float *terms, std::vector<int16_t> &scratch) const;
	//! Heap bytes held.
	size_t MemoryBytes() const;

private:
	struct Row {
		//! Value of one integer.
		float step;
		//! |c - m|^2, where m is the mean; IP: <m, c>.
		float offset;
	};

	Metric metric = Metric::L2SQ;
	size_t dims = 0;
	//! Integers per reference: `dims` rounded up, the rest zeros.
	size_t stride = 0;
	std::vector<float> mean;
	std::vector<Row> rows;
	std::vector<int16_t> integers;
};

} // namespace lm_diskann
