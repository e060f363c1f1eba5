// How a filter and a search come together, and what each way costs.
//
// exact: the distances of the rows that qualify. graph: a set of the rows that qualify guides the traversal. post: the
// traversal offers candidates, which are tested one by one. All return the same rows as far as they find them; the
// choice is made of the share of rows that qualifies, and corrected by what the traversal meets near the query.
//
// Costs are in blocks visited. The constants are ratios measured by bench/filter_bench.mjs on SIFT (128 dimensions) and
// IMDb (384), all in memory; a slow disk makes both a block and a row dearer.
#pragma once

#include "duckdb/common/common.hpp"

namespace duckdb {

enum class FilterStrategy : uint8_t { AUTO, EXACT, GRAPH, POST };
const char *FilterStrategyName(FilterStrategy strategy);
//! Throws InvalidInputException for any other name.
FilterStrategy ParseFilterStrategy(const string &name);

//! Size of the search list in rows that qualify, for `count` of them. It falls with the root of the selectivity: a list
//! of few rows that qualify is a long list of nodes.
uint32_t FilteredListSize(idx_t count, uint32_t search_list_size, double selectivity);

//! The cost of the exact way over a table of which `qualifying` rows do.
double ExactCost(uint64_t row_count, double qualifying);
//! Neither EXACT nor another way is forced: the cheapest for filters that do not depend on the vectors.
FilterStrategy ChooseFilterStrategy(uint64_t row_count, double selectivity, idx_t count, uint32_t search_list_size);

//! True when reading `count` of the rows one by one costs less than a scan of the column.
bool IsFetchCheaper(uint64_t row_count, uint64_t count);

//! True when a query without a filter is cheaper without the index, which only k near the row count makes it.
bool IsExactScanCheaper(uint64_t row_count, idx_t count);

} // namespace duckdb
