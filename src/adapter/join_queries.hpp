// The left rows of an index join, in the order in which their searches share blocks.
//
// Rows are taken in groups that fit some memory; within a group they are ordered so that near ones lie together,
// and given out in batches of neighbours. So a block that a search has read is still in the cache for the next ones.
#pragma once

#include "index/ann_index.hpp"

#include "duckdb/common/types/column/column_data_collection.hpp"
#include "duckdb/execution/expression_executor.hpp"

#include <memory>

namespace duckdb {

class MemoryShare;

//! Rows that are in memory together.
struct JoinQueryGroup {
	explicit JoinQueryGroup(ClientContext &context);
	~JoinQueryGroup();

	//! Chunks of the left side, and beside each its query vectors, flat, as FLOAT[N] or DOUBLE[N].
	vector<unique_ptr<DataChunk>> chunks;
	vector<unique_ptr<Vector>> query_vectors;
	struct Row {
		uint32_t chunk;
		uint32_t row;
		//! False: no index can search for it.
		bool is_searchable;
	};
	//! Near ones lie together.
	std::vector<Row> rows;
	//! Of what DuckDB does not count itself.
	std::unique_ptr<MemoryShare> memory;
};

//! Neighbours of a group.
struct JoinQueryBatch {
	std::shared_ptr<const JoinQueryGroup> group;
	idx_t begin = 0;
	idx_t end = 0;
};

//! Thread-safe.
class JoinQueries {
public:
	//! `rows_p` and `expression` outlive it. `core_p` may be null: no order then.
	JoinQueries(ClientContext &context_p, ColumnDataCollection &rows_p, const Expression &expression,
	            lm_diskann::Metric metric_p, std::shared_ptr<lm_diskann::AnnIndex> core_p);

	//! The next batch; false: there is none.
	bool Next(JoinQueryBatch &batch);
	idx_t Count() const {
		return rows.Count();
	}
	idx_t BatchCount() const {
		return (rows.Count() + batch_size - 1) / batch_size;
	}

private:
	void LoadGroup();
	void AddChunk(JoinQueryGroup &group);
	void OrderGroup();

	ClientContext &context;
	ColumnDataCollection &rows;
	const lm_diskann::Metric metric;
	const std::shared_ptr<lm_diskann::AnnIndex> core;
	const idx_t dims;
	//! Searches that run one after the other on one thread.
	const idx_t batch_size;

	mutex lock;
	//! Guarded by `lock`, as all below.
	ExpressionExecutor executor;
	ColumnDataScanState scan;
	std::shared_ptr<JoinQueryGroup> group;
	idx_t next_row = 0;
	//! Of the group that is loaded: rows to order by their vectors, and the rest.
	std::vector<JoinQueryGroup::Row> searchable;
	std::vector<float> vectors;
	std::vector<JoinQueryGroup::Row> others;
	std::vector<float> query;
};

} // namespace duckdb
