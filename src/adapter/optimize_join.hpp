// The optimizer rule that turns a LATERAL search for nearest rows into LM_DISKANN_INDEX_JOIN.
#pragma once

#include "duckdb/planner/logical_operator.hpp"

namespace duckdb {

class ClientContext;

//! Rewrites every join that it can in the bound plan of a statement. `may_heal` as in FindReadyIndex.
void RewriteLateralJoins(ClientContext &context, unique_ptr<LogicalOperator> &plan, bool may_heal);

} // namespace duckdb
