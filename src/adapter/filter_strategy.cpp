#include "adapter/filter_strategy.hpp"

#include "duckdb/common/exception.hpp"
#include "duckdb/common/string_util.hpp"
#include "duckdb/common/vector_size.hpp"

#include <algorithm>
#include <cmath>

namespace duckdb {

namespace {

//! A node: pinning, estimates for its neighbors, and its exact distance.
constexpr double VISIT_NANOSECONDS = 1800;
constexpr double VISIT_NANOSECONDS_PER_DIMENSION = 7;
//! A candidate fetched and tested; a row tested by a scan.
constexpr double TEST_NANOSECONDS = 5000;
constexpr double SCANNED_TEST_NANOSECONDS = 20;
//! DuckDB decompresses this many values at once.
constexpr double VALUES_PER_BLOCK = 1024;
constexpr double READ_NANOSECONDS_PER_VALUE = 2;
//! A row beside the values of its vector: ranked in a scan, or fetched.
constexpr double RANK_NANOSECONDS = 50;
constexpr double FETCH_NANOSECONDS = 3000;
//! A trial may cost this part of the exact way.
constexpr double TRIAL_SHARE = 0.04;
//! Fewer tests say nothing; more say nothing new.
constexpr double TRIAL_TESTS_MIN = 4;
constexpr double TRIAL_TESTS_MAX = 25;
//! Rows of a table that is sorted faster than anything can be decided about it.
constexpr uint64_t SMALL_TABLE_ROWS = 2048;
//! Beyond the length of the list a row costs so much through the index, and so much in DuckDB's sort of the whole
//! table: fitted to bench/crossing.mjs on tables on disk, where both take as long at 1 row of 45 with 32 dimensions, of
//! 18 with 128, and of 8 with 384.
constexpr double INDEX_ROW_NANOSECONDS = 5500;
constexpr double INDEX_ROW_NANOSECONDS_PER_DIMENSION = 10;
constexpr double SORT_NANOSECONDS = 500000;
constexpr double SORTED_ROW_NANOSECONDS = 30;
constexpr double SORTED_ROW_NANOSECONDS_PER_DIMENSION = 2.2;

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

double FilterCosts::Visits(double count) const {
	return count * (VISIT_NANOSECONDS + VISIT_NANOSECONDS_PER_DIMENSION * dims);
}

double FilterCosts::Tests(double count) const {
	return count * TEST_NANOSECONDS;
}

double FilterCosts::Collect() const {
	return double(row_count) * SCANNED_TEST_NANOSECONDS;
}

double FilterCosts::Rank(double count, bool has_set) const {
	// DuckDB skips to the rows it needs where a vector of rows has few ranges of them, else reads all (its
	// ArrayColumnData::Select). Those it needs lie in blocks of values.
	const auto ranges = count / double(std::max<uint64_t>(row_count, 1)) * STANDARD_VECTOR_SIZE;
	const auto has_few = !has_set && ranges < dims / 2.0;
	const auto read_rows = has_few ? count * std::max(1.0, VALUES_PER_BLOCK / dims) : double(row_count);
	return read_rows * dims * READ_NANOSECONDS_PER_VALUE +
	       count * (RANK_NANOSECONDS + dims * READ_NANOSECONDS_PER_VALUE);
}

double FilterCosts::Fetch(double count) const {
	return count * (FETCH_NANOSECONDS + std::max<double>(VALUES_PER_BLOCK, dims) * READ_NANOSECONDS_PER_VALUE);
}

double FilterCosts::Exact(double qualifying, bool has_set) const {
	// Without the set the scan that ranks tests, too.
	return (has_set ? 0 : Collect()) + std::min(Fetch(qualifying), Rank(qualifying, has_set));
}

double FilterCosts::Graph(double visits, bool has_set) const {
	return Visits(MinValue(visits, double(row_count))) + (has_set ? 0 : Collect());
}

double FilterCosts::Post(double tests) const {
	// Half of a list is tested.
	const auto tested = MinValue(tests, double(row_count));
	return Visits(2 * tested) + Tests(tested);
}

FilterStrategy FilterCosts::Cheapest(double exact, double graph, double post) {
	if (exact <= std::min(graph, post)) {
		return FilterStrategy::EXACT;
	}
	return graph <= post ? FilterStrategy::GRAPH : FilterStrategy::POST;
}

FilterStrategy FilterCosts::Choose(double selectivity, bool has_set, idx_t count, uint32_t search_list_size) const {
	const auto visits = double(FilteredListSize(count, search_list_size, selectivity)) / selectivity;
	return Cheapest(Exact(selectivity * double(row_count), has_set), Graph(visits, has_set), Post(visits / 2));
}

idx_t FilterCosts::TrialTests(double selectivity) const {
	const auto tests = TRIAL_SHARE * Exact(selectivity * double(row_count), false) / Post(1);
	return tests < TRIAL_TESTS_MIN ? 0 : idx_t(std::min(tests, TRIAL_TESTS_MAX));
}

bool IsExactScanCheaper(uint64_t row_count, uint32_t dims, idx_t count) {
	const auto index = double(count) * (INDEX_ROW_NANOSECONDS + INDEX_ROW_NANOSECONDS_PER_DIMENSION * dims);
	const auto scan =
	    SORT_NANOSECONDS + double(row_count) * (SORTED_ROW_NANOSECONDS + SORTED_ROW_NANOSECONDS_PER_DIMENSION * dims);
	return row_count > SMALL_TABLE_ROWS && index > scan;
}

} // namespace duckdb
