// From DuckDB's ARRAY vectors to the core's batches.
#pragma once

#include "index/ann_index.hpp"

#include "duckdb/common/types/vector.hpp"

#include <vector>

namespace duckdb {

//! The array type an index accepts, FLOAT[N] or TINYINT[N], taken apart.
struct VectorColumnType {
	lm_diskann::ElementType element_type = lm_diskann::ElementType::FLOAT32;
	uint32_t dims = 0;
};
//! False for every other type, also for N out of range.
bool ReadVectorColumnType(const LogicalType &type, VectorColumnType &result);

//! The rows of one chunk, split into those with a vector and those without (NULL, or NULL among its elements, which no
//! distance function accepts). The batch points into the chunk's memory where it can, else into its own; it is valid
//! until the next Read, whatever becomes of the vectors. Reusable; belongs to one thread.
class VectorRows {
public:
	explicit VectorRows(VectorColumnType type_p);

	//! `vectors` and `row_ids` may be of any vector type; only their first `count` entries are read. Their contents do
	//! not change, but their representation may.
	void Read(Vector &vectors, Vector &row_ids, idx_t count);

	const lm_diskann::VectorBatch &Batch() const {
		return batch;
	}
	lm_diskann::Span<const lm_diskann::RowId> NullRowIds() const {
		return null_row_ids;
	}

private:
	template <class ELEMENT>
	const ELEMENT *Compact(Vector &elements, idx_t count, std::vector<ELEMENT> &copies);

	const VectorColumnType type;
	lm_diskann::VectorBatch batch;
	std::vector<lm_diskann::RowId> row_ids;
	std::vector<lm_diskann::RowId> null_row_ids;
	//! Positions in the chunk of the rows that have a vector.
	std::vector<idx_t> positions;
	std::vector<float> floats;
	std::vector<int8_t> bytes;
	//! What the batch may point into: flattening gives a vector memory that goes with it.
	buffer_ptr<VectorBuffer> elements_buffer;
};

} // namespace duckdb
