#include "adapter/filter_strategy.hpp"

#include "duckdb/common/exception.hpp"
#include "duckdb/common/string_util.hpp"

#include <algorithm>
#include <cmath>

namespace duckdb {

namespace {

//! Rows whose vector is read and compared in a scan, in the time of one block visited.
constexpr double EXACT_ROWS_PER_VISIT = 25;
//! Rows tested by a scan of the filter's columns.
constexpr double TESTED_ROWS_PER_VISIT = 2500;
//! Rows read one by one.
constexpr double FETCHED_ROWS_PER_VISIT = 5;
//! From this share on testing the few candidates beats testing all rows.
constexpr double POST_SELECTIVITY_MIN = 0.15;
//! Rows of a table that is sorted faster than anything can be decided about it.
constexpr uint64_t SMALL_TABLE_ROWS = 2048;
//! The index is left alone when it should return more than one row of so many.
constexpr uint64_t EXACT_SCAN_SHARE = 16;

constexpr const char *NAMES[] = {"auto", "exact", "graph", "post"};

} // namespace

const char *FilterStrategyName(FilterStrategy strategy) {
	return NAMES[idx_t(strategy)];
}

FilterStrategy ParseFilterStrategy(const string &name) {
	for (idx_t i = 0; i < 4; i++) {
		if (StringUtil::CIEquals(name, NAMES[i])) {
			return FilterStrategy(i);
		}
	}
	throw InvalidInputException("setting \"lm_diskann_filter_strategy\" must be 'auto', 'exact', 'graph' or 'post', "
	                            "found \"%s\"",
	                            name);
}

uint32_t FilteredListSize(idx_t count, uint32_t search_list_size, double selectivity) {
	const auto size = std::ceil(double(std::max<idx_t>(search_list_size, count)) * std::sqrt(selectivity));
	return uint32_t(std::max<double>(size, double(count + std::min<idx_t>(count, 100))));
}

double ExactCost(uint64_t row_count, double qualifying) {
	return double(row_count) / TESTED_ROWS_PER_VISIT + qualifying / EXACT_ROWS_PER_VISIT;
}

FilterStrategy ChooseFilterStrategy(uint64_t row_count, double selectivity, idx_t count, uint32_t search_list_size) {
	const auto visits = double(FilteredListSize(count, search_list_size, selectivity)) / selectivity;
	const auto tested = double(row_count) / TESTED_ROWS_PER_VISIT;
	const auto is_post = selectivity >= POST_SELECTIVITY_MIN;
	if (ExactCost(row_count, selectivity * double(row_count)) <= visits + (is_post ? 0 : tested)) {
		return FilterStrategy::EXACT;
	}
	return is_post ? FilterStrategy::POST : FilterStrategy::GRAPH;
}

bool IsFetchCheaper(uint64_t row_count, uint64_t count) {
	return double(count) / FETCHED_ROWS_PER_VISIT < double(row_count) / EXACT_ROWS_PER_VISIT;
}

bool IsExactScanCheaper(uint64_t row_count, idx_t count) {
	return row_count > SMALL_TABLE_ROWS && count > row_count / EXACT_SCAN_SHARE;
}

} // namespace duckdb
