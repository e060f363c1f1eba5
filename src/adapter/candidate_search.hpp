// Which rows an index scan fetches: the search of one query through the index, with its filter.
//
// Without a filter it is the traversal. With one it begins in the way the planner chose, watches what qualifies near
// the query, and changes to another way when the estimate was wrong: from testing candidates to a set of the rows that
// qualify, which goes on with the same traversal, and from there to computing all distances.
#pragma once

#include "adapter/exact_search.hpp"
#include "adapter/index_scan.hpp"

#include <optional>

namespace duckdb {

//! What one execution looks for.
struct SearchRequest {
	std::vector<float> query;
	//! Visible rows to find.
	idx_t row_count = 0;
	//! Unset: no filter, and no `rows`.
	optional_ptr<RowFilter> filter;
	//! Rows that another operator let pass; null: all.
	const lm_diskann::RowSet *rows = nullptr;
};

class CandidateSearch {
public:
	//! `core` outlives the search, as do `bind_data` and what `request` points to.
	CandidateSearch(ClientContext &context_p, const IndexScanBindData &bind_data_p,
	                std::shared_ptr<lm_diskann::AnnIndex> core_p, SearchRequest request_p);

	//! Ids of further rows, none twice, when `missing` visible rows are still to be found; they satisfy the filter, but
	//! the table decides about their visibility. Empty: no more can be found. Throws CorruptionError, FileError.
	std::vector<row_t> Next(idx_t missing);
	//! Rows as near as the farthest one that was returned: what a further ORDER BY key chooses among.
	std::vector<row_t> NextTies();
	//! After Next returned nothing: every row of the table that satisfies the filter was returned.
	bool IsComplete() const {
		return is_complete;
	}

	lm_diskann::SearchCounters Counters() const;
	//! What the filter did, for EXPLAIN ANALYZE.
	void Describe(InsertionOrderPreservingMap<string> &result) const;

private:
	std::vector<row_t> NextUnfiltered(idx_t missing);
	std::vector<row_t> NextTested(idx_t missing);
	std::vector<row_t> NextGuided(idx_t missing);
	std::vector<row_t> FindExactly();

	//! The share of the nodes near the query that qualify, by what is known of all rows and what the tests say; unset:
	//! rows that qualify keep away from the query.
	std::optional<double> ShareNearby() const;
	//! The share of rows that qualify where `passed` of `seen` do.
	double SmoothedShare(double passed, double seen) const;
	//! Half a list was tested without finding enough, `open` rows are missing: false when another strategy costs less,
	//! by what passed so far.
	bool MayGoOnTesting(idx_t open);
	void EndTrial(FilterStrategy next);
	std::vector<row_t> NextAfterTests(std::vector<row_t> passed, idx_t missing);
	std::vector<row_t> SwitchToExact(const string &reason);
	void ChooseStrategy();
	void Switch(FilterStrategy next, const string &reason);
	void CollectAccepted();
	//! True: the list is settled. False: computing all distances costs less, and the reason is in `doubt`.
	bool Settle(string &doubt);
	//! Those of the candidates that are visible and satisfy the filter.
	std::vector<row_t> Test(const std::vector<lm_diskann::Neighbor> &candidates);
	std::vector<row_t> Take(const std::vector<lm_diskann::Neighbor> &found);
	//! `k`: rows that will be asked for; 0: nobody knows.
	void StartTraversal(uint32_t list_size, idx_t k);
	double Selectivity() const;
	//! The user leaves the choice to us.
	bool MaySwitch() const {
		return bind_data.filter_strategy == FilterStrategy::AUTO;
	}

	ClientContext &context;
	const IndexScanBindData &bind_data;
	DataTable &storage;
	std::shared_ptr<lm_diskann::AnnIndex> core;
	SearchRequest request;
	const FilterCosts costs;

	//! AUTO: no filter.
	FilterStrategy strategy = FilterStrategy::AUTO;
	bool is_started = false;
	bool is_exhausted = false;
	bool is_complete = false;
	bool has_all_ties = false;
	std::optional<double> estimate;
	//! The rows that qualify, once they were collected.
	std::optional<AccountedRowSet> accepted;
	std::optional<lm_diskann::SearchCursor> cursor;
	uint32_t list_size = 0;
	//! The strategy is not yet that: the nearest candidates are tried first.
	bool is_trial = false;
	//! Of a trial; it is over when none of them passes.
	idx_t trial_tests = 0;
	//! The traversal is guided by `accepted`.
	bool is_guided = false;
	uint64_t returned_count = 0;
	//! Of the strategy post.
	unique_ptr<RowSelector> selector;
	DataChunk tested_rows;
	vector<StorageIndex> tested_columns;
	idx_t tested_count = 0;
	idx_t passed_count = 0;
	//! Of the strategy exact.
	uint64_t exact_count = 0;
	float farthest = -std::numeric_limits<float>::infinity();
	string switches;
};

} // namespace duckdb
