// Which rows of a table match a left row of an index join, and at what distance: DuckDB's own expressions decide.
#pragma once

#include "adapter/nearest_rows.hpp"

#include "duckdb/execution/expression_executor.hpp"

namespace duckdb {

//! Belongs to one thread.
class RowMatcher {
public:
	//! The expressions are over the columns of the left side and, behind them, those of the table; they outlive it.
	RowMatcher(ClientContext &context, const vector<LogicalType> &left_types, const vector<LogicalType> &table_types,
	           const Expression &distance, const vector<const_reference<Expression>> &filters);

	//! The left row to match with from here on. `left` stays as it is meanwhile.
	void SetLeftRow(DataChunk &left, idx_t row);
	//! Offers the rows that match. `rows` are columns of the table, then the row id. Returns how many match.
	idx_t Offer(DataChunk &rows, NearestRows &nearest);

private:
	idx_t Filter(DataChunk &rows);

	const idx_t left_count;
	const idx_t table_count;
	//! Constants of the left row, then columns of the table.
	DataChunk joined;
	//! Those rows of it that pass the filters.
	DataChunk passing;
	SelectionVector selection;
	ExpressionExecutor distance_executor;
	unique_ptr<ExpressionExecutor> filter_executor;
	unique_ptr<Expression> filter;
};

} // namespace duckdb
