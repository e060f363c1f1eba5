// Rows of a test as the index takes them, an index over them, and the rows that an index holds.
#pragma once

#include "index/ann_index.hpp"
#include "storage/memory_file.hpp"

#include <string>
#include <vector>

namespace lm_diskann {

//! For what can be stopped.
inline bool Never() {
	return false;
}

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

//! Built on this thread; nothing is published yet.
inline std::shared_ptr<AnnIndex> BuildIndex(const IndexConfiguration &configuration, const VectorBatch &rows,
                                            std::unique_ptr<File> file = std::make_unique<MemoryFile>(),
                                            std::shared_ptr<PageCache> cache = std::make_shared<PageCache>(uint64_t(64)
                                                                                                           << 20)) {
	IndexBuilder builder(configuration);
	builder.Add(rows);
	builder.Start(std::move(file), Uuid {1});
	while (builder.Work() != WorkState::FINISHED) {
	}
	return builder.Finish(std::move(cache));
}

//! Over all rows of `vectors`.
inline std::shared_ptr<AnnIndex> BuildIndex(const IndexConfiguration &configuration,
                                            const std::vector<float> &vectors) {
	std::shared_ptr<AnnIndex> index;
	WithRows(vectors, configuration.dims, 0, vectors.size() / configuration.dims,
	         [&](const VectorBatch &rows) { index = BuildIndex(configuration, rows); });
	return index;
}

//! Ascending.
inline std::vector<RowId> RowIdsOf(AnnIndex &index) {
	std::vector<RowId> row_ids;
	for (const StoredRow &row : index.CollectRows()) {
		row_ids.push_back(row.row_id);
	}
	return row_ids;
}

//! What Verify and FindReach have against the index.
inline std::vector<std::string> FindProblems(AnnIndex &index) {
	std::vector<std::string> problems = index.Verify();
	if (!problems.empty()) {
		return problems;
	}
	const Reach reach = index.FindReach();
	reach.unreached.ForEach(
	    [&](RowId row_id) { problems.push_back("row " + std::to_string(row_id.value) + " is unreached"); });
	reach.unanchored.ForEach(
	    [&](RowId row_id) { problems.push_back("row " + std::to_string(row_id.value) + " is unanchored"); });
	return problems;
}

} // namespace lm_diskann
