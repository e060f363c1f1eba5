// What the optimizer rules share: reading a bound plan, before DuckDB's passes, down to the scan of an indexed column.
#pragma once

#include "adapter/distance_match.hpp"
#include "adapter/live_index.hpp"

#include "duckdb/planner/logical_operator.hpp"

namespace duckdb {

class BoundLimitNode;
class ClientContext;
class LogicalGet;
class LogicalLimit;
class LogicalProjection;

//! Replaces references to the columns of a table index by copies of what they stand for.
void ReplaceColumns(unique_ptr<Expression> &expression, idx_t table_index,
                    const vector<unique_ptr<Expression>> &replacements);

//! The same for the columns of a projection.
void SubstituteColumns(unique_ptr<Expression> &expression, const LogicalProjection &projection);

//! Walks down from `op` through projections to a scan, rewriting `key` into an expression over the scan's columns. Null
//! for any other operator in between.
LogicalGet *FindScan(LogicalOperator &op, unique_ptr<Expression> &key);

//! A scan of a DuckDB table without filters, samples or a snapshot of its own.
bool IsPlainTableScan(const LogicalGet &get);

//! The ready index on the matched column of the scanned table with the matched metric, or null. `may_heal`: a degraded
//! index is healed first, where it may be.
std::shared_ptr<LiveIndex> FindReadyIndex(ClientContext &context, const LogicalGet &get, const DistanceMatch &match,
                                          bool may_heal);

//! LIMIT + OFFSET, or 0 when they are not constants, or too large for a search.
idx_t ConstantRowCount(const LogicalLimit &limit);

//! True when `op` or anything below it is of the type.
bool ContainsOperator(const LogicalOperator &op, LogicalOperatorType type);

//! EXPLAIN without ANALYZE only looks: it shall not take the time of a rebuild.
bool IsOnlyExplained(const LogicalOperator &plan);

} // namespace duckdb
