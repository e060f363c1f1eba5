// The one place that answers: is this join a search for the nearest rows of a table, for each row of its left side?
//
// DuckDB turns FROM q, LATERAL (SELECT ... FROM t ORDER BY distance LIMIT k) into a DELIM_JOIN before any rule runs.
// Its right side, from the top: projections, a filter on a row number, a window that numbers the rows of each left row
// by distance, projections and filters, and a cross product of the table and the distinct left values. Undone, that is
// a handful of expressions over the columns of the left side and of the table.
#pragma once

#include "duckdb/planner/expression.hpp"
#include "duckdb/planner/operator/logical_comparison_join.hpp"
#include "duckdb/planner/operator/logical_get.hpp"

#include <optional>

namespace duckdb {

//! All expressions are over columns of the join's left side and of `get` alone.
struct LateralTopK {
	//! The scan of the table. Part of the matched plan.
	LogicalGet *get = nullptr;
	//! What rows are ordered by: ascending, NULLs last.
	unique_ptr<Expression> distance;
	//! Conditions a row must meet, all of them.
	vector<unique_ptr<Expression>> filters;
	//! The columns of the join's right side.
	vector<unique_ptr<Expression>> outputs;
	idx_t limit = 0;
	idx_t offset = 0;
};

//! Joins of type INNER, LEFT, and SINGLE (a scalar subquery) with LIMIT 1.
std::optional<LateralTopK> MatchLateralTopK(LogicalComparisonJoin &join);

} // namespace duckdb
