// Rows drawn for training, in memory that goes back to the system: they are a few per cent of a build's rows, and later
// phases need their room.
#pragma once

#include "base/aligned_buffer.hpp"

#include <vector>

namespace lm_diskann {

class RowSample {
public:
	explicit RowSample(uint32_t dims_p);

	//! `vector`: `dims` floats.
	void Add(RowId row_id, const float *vector);
	//! All vectors, row-major by ascending row id, which leave the sample.
	AlignedBuffer<float> TakeSorted();

private:
	const size_t dims;
	const size_t chunk_rows;
	std::vector<AlignedBuffer<float>> chunks;
	//! In the order they came.
	std::vector<RowId> row_ids;
};

} // namespace lm_diskann
