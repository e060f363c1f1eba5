// An index on clustered vectors, most of them in the graph and the last ones in the delta.
#pragma once

#include "index/ann_index.hpp"
#include "storage/memory_file.hpp"
#include "unit/test_vectors.hpp"

namespace lm_diskann {

//! 4000 rows of 16 dimensions; row ids are positions.
struct PartlyMergedIndex {
	static constexpr uint32_t DIMS = 16;
	static constexpr size_t ROWS = 4000;
	static constexpr size_t IN_GRAPH = 3600;

	PartlyMergedIndex(const IndexOptions &options, uint64_t seed, size_t query_count)
	    : vectors(MakeClusteredVectors(ROWS, DIMS, seed)), queries(MakeClusteredVectors(query_count, DIMS, seed + 1)) {
		IndexBuilder builder(Configure(options, ElementType::FLOAT32, DIMS));
		builder.Add(Batch(0, IN_GRAPH));
		builder.Start(std::make_unique<MemoryFile>(), Uuid {3});
		while (builder.Work() != WorkState::FINISHED) {
		}
		index = builder.Finish(std::make_shared<PageCache>(uint64_t(32) << 20));
		index->Append(Batch(IN_GRAPH, ROWS - IN_GRAPH));
	}

	VectorBatch Batch(size_t first, size_t count) {
		row_ids.clear();
		for (size_t i = 0; i < count; i++) {
			row_ids.push_back(RowId(int64_t(first + i)));
		}
		VectorBatch batch;
		batch.row_ids = row_ids.data();
		batch.floats = vectors.data() + first * DIMS;
		batch.count = count;
		return batch;
	}
	const float *Query(size_t i) const {
		return queries.data() + i * DIMS;
	}

	std::vector<float> vectors;
	std::vector<float> queries;
	std::vector<RowId> row_ids;
	std::shared_ptr<AnnIndex> index;
};

} // namespace lm_diskann
