// An index on clustered vectors, most of them in the graph and the last ones in the delta.
#pragma once

#include "unit/index_rows.hpp"
#include "unit/test_vectors.hpp"

namespace lm_diskann {

//! 4000 rows of 16 dimensions; row ids are positions.
struct PartlyMergedIndex {
	static constexpr uint32_t DIMS = 16;
	static constexpr size_t ROWS = 4000;
	static constexpr size_t IN_GRAPH = 3600;

	PartlyMergedIndex(const IndexOptions &options, uint64_t seed, size_t query_count)
	    : vectors(MakeClusteredVectors(ROWS, DIMS, seed)), queries(MakeClusteredVectors(query_count, DIMS, seed + 1)) {
		WithRows(vectors, DIMS, 0, IN_GRAPH, [&](const VectorBatch &rows) {
			index = BuildIndex(Configure(options, ElementType::FLOAT32, DIMS), rows);
		});
		WithRows(vectors, DIMS, IN_GRAPH, ROWS - IN_GRAPH, [&](const VectorBatch &rows) { index->Append(rows); });
	}

	const float *Query(size_t i) const {
		return queries.data() + i * DIMS;
	}

	std::vector<float> vectors;
	std::vector<float> queries;
	std::shared_ptr<AnnIndex> index;
};

} // namespace lm_diskann
