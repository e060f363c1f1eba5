// How a filter and a search come together, and what each way costs.
//
// exact: the distances of the rows that qualify. graph: a set of the rows that qualify guides the traversal. post: the
// traversal offers candidates, which are tested one by one. All return the same rows as far as they find them; the
// choice is made of the share of rows that qualifies, and corrected by what the traversal meets near the query.
//
// The constants of the costs are times of one thread on compressed columns in memory, measured on the data sets of
// bench/filters.mjs: only their ratios matter.
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

//! What the ways cost on one table, in nanoseconds of one thread.
struct FilterCosts {
	uint64_t row_count;
	uint32_t dims;

	//! Nodes visited; of a tested candidate, its test.
	double Visits(double count) const;
	double Tests(double count) const;
	//! Evaluating the conditions on every row.
	double Collect() const;
	//! Ranking `count` rows that a scan comes upon, with its filter or with the set of them.
	double Rank(double count, bool has_set) const;
	//! Ranking `count` rows that are known beforehand: read one by one.
	double Fetch(double count) const;

	//! The exact way, with the set of rows that qualify at hand or without.
	double Exact(double qualifying, bool has_set) const;
	//! A traversal that the set guides, and one of which so many candidates are tested.
	double Graph(double visits, bool has_set) const;
	double Post(double tests) const;

	static FilterStrategy Cheapest(double exact, double graph, double post);
	//! The cheapest for a query, if rows that qualify are everywhere as frequent as `selectivity` says.
	FilterStrategy Choose(double selectivity, bool has_set, idx_t count, uint32_t search_list_size) const;
	//! So many of the nearest candidates may be tested first, because that costs little beside the exact way; 0: none.
	idx_t TrialTests(double selectivity) const;
};

//! True when a query without a filter is cheaper without the index, which only k near the row count makes it.
bool IsExactScanCheaper(uint64_t row_count, uint32_t dims, idx_t count);

} // namespace duckdb
