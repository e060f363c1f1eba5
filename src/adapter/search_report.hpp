// What EXPLAIN ANALYZE says of searches.
#pragma once

#include "index/ann_index.hpp"

#include "duckdb/common/insertion_order_preserving_map.hpp"
#include "duckdb/common/string.hpp"

namespace duckdb {

//! Adds the counters, and why the index did not answer (empty: it did).
void ReportSearch(const lm_diskann::SearchCounters &counters, const string &fallback_reason,
                  InsertionOrderPreservingMap<string> &result);

} // namespace duckdb
