// The optimizer rule for WHERE distance < radius.
#pragma once

#include "duckdb/planner/logical_operator.hpp"

namespace duckdb {

class ClientContext;

//! Puts a range scan in the place of every scan whose rows must be within a radius, in the bound plan of a statement.
//! Not in DELETE, UPDATE and MERGE: what they change shall not depend on recall. `may_heal` as in FindReadyIndex.
void RewriteRanges(ClientContext &context, LogicalOperator &plan, bool may_heal);

} // namespace duckdb
