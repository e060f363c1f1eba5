// Rows of a test as the index takes them.
#pragma once

#include "index/ann_index.hpp"

#include <vector>

namespace lm_diskann {

//! Calls `function(batch)` with rows first .. first + count - 1 of `vectors` (row-major), whose row ids are their
//! positions.
template <class FUNCTION>
void WithRows(const std::vector<float> &vectors, size_t dims, size_t first, size_t count, const FUNCTION &function) {
	std::vector<RowId> row_ids;
	for (size_t i = 0; i < count; i++) {
		row_ids.push_back(RowId(int64_t(first + i)));
	}
	VectorBatch batch;
	batch.row_ids = row_ids.data();
	batch.floats = vectors.data() + first * dims;
	batch.count = count;
	function(batch);
}

} // namespace lm_diskann
