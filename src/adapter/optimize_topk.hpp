// The rule that turns ORDER BY distance LIMIT k over a table into the same over an index scan.
#pragma once

namespace duckdb {

class DatabaseInstance;

//! Runs on the bound plan, before DuckDB's passes: late materialization would otherwise split the plan into a join
//! with a second scan of the whole table (lifecycle section 6).
void RegisterTopKRule(DatabaseInstance &instance);

} // namespace duckdb
