// The nearest of the rows that qualify, by computing every distance: what a filter that leaves few rows is served by.
#pragma once

#include "adapter/row_filter.hpp"
#include "adapter/row_scan.hpp"

namespace duckdb {

struct ExactAnswer {
	//! Every row that can be among the `count` nearest, whatever its last digits in DuckDB's own arithmetic, ties
	//! included; no order.
	std::vector<row_t> row_ids;
	//! Rows that qualify and have a distance, and those that do not: NULL, or not finite.
	uint64_t ranked_count = 0;
	uint64_t unranked_count = 0;
};

//! The distance of a row that may rank before one of `distance` when DuckDB computes both.
float WidenDistance(float distance);

//! Rows that the transaction sees, without its own appends, that `filter` keeps, or, when it is given, those in `rows`
//! alone, read one by one where they are few. All threads scan. Throws InterruptException.
ExactAnswer FindNearestExactly(ClientContext &context, DataTable &table, const IndexedColumn &column,
                               lm_diskann::Metric metric, const std::vector<float> &query, RowFilter &filter,
                               const lm_diskann::RowSet *rows, idx_t count);

} // namespace duckdb
