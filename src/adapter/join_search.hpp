// The searches of an index join, for one left row after the other.
//
// The index gives row ids, nearest first; what the transaction may see, which conditions hold and at what distance a
// row is, the table and DuckDB's expressions decide. When the index cannot tell, because it is damaged, runs dry, or
// so few rows pass the conditions that a scan is cheaper, the whole answer comes from a scan of the table, which all
// such left rows of a batch share.
#pragma once

#include "adapter/index_join.hpp"
#include "adapter/join_filter.hpp"
#include "adapter/join_queries.hpp"
#include "adapter/nearest_rows.hpp"
#include "adapter/row_matcher.hpp"
#include "adapter/table_rows.hpp"

#include "duckdb/common/atomic.hpp"

namespace duckdb {

//! What the threads of one execution share.
struct JoinProgress {
	atomic<idx_t> queries {0};
	atomic<idx_t> exact_queries {0};
	//! Rows that were tested against the conditions, and those that passed.
	atomic<idx_t> tested {0};
	atomic<idx_t> passed {0};

	void NoteFallback(const string &reason);
	string FallbackReason();
	void Add(const lm_diskann::SearchCounters &counters);
	lm_diskann::SearchCounters Counters();

private:
	mutex lock;
	string fallback_reason;
	lm_diskann::SearchCounters sums;
};

//! The matches of one left row, nearest first.
struct JoinMatches {
	JoinQueryGroup::Row left;
	std::vector<RankedRow> rows;
	//! All are in JoinSearch::Candidates(), at their positions. Else they are to be fetched by their ids.
	bool are_candidates = false;
};

//! Belongs to one thread.
class JoinSearch {
public:
	JoinSearch(ClientContext &context_p, const IndexJoinSpec &spec_p, const vector<unique_ptr<Expression>> &expressions,
	           const vector<LogicalType> &left_types, const TableRows &table_p, JoinFilter &filter_p,
	           std::shared_ptr<lm_diskann::AnnIndex> core_p, JoinProgress &progress_p);

	//! The matches of the next left row of the batch, or of batches from `queries`; false: there are no more.
	//! `Batch()` is the one it belongs to, until the next call.
	bool Next(JoinQueries &queries, JoinMatches &matches);
	const JoinQueryBatch &Batch() const {
		return batch;
	}
	//! Rows of the table, and their ids behind.
	DataChunk &Candidates() {
		return candidates;
	}

private:
	bool SearchIndex(const JoinQueryGroup::Row &left, JoinMatches &matches);
	bool Traverse();
	bool Guide(lm_diskann::SearchCursor &cursor);
	bool TakeFrom(lm_diskann::SearchCursor &cursor);
	bool IsWorthAnIndex() const;
	void SearchTable();
	void OfferToUnanswered(DataChunk &rows, std::vector<NearestRows> &answers);
	void SetLeftRow(const JoinQueryGroup::Row &left);

	ClientContext &context;
	const IndexJoinSpec &spec;
	const TableRows &table;
	JoinFilter &filter;
	const std::shared_ptr<lm_diskann::AnnIndex> core;
	JoinProgress &progress;

	RowMatcher matcher;
	NearestRows nearest;
	//! Visible rows that pass which the index must give.
	const idx_t target_count;
	//! Rows of the index that may be tested for one left row.
	const idx_t tested_max;
	DataChunk candidates;
	//! So many were fetched for the present left row, one after the other.
	idx_t candidate_chunks = 0;
	DataChunk scratch;
	std::vector<float> query;

	JoinQueryBatch batch;
	idx_t position = 0;
	//! Of the batch: left rows that need the table, and then their matches.
	std::vector<JoinQueryGroup::Row> unanswered;
	std::vector<JoinMatches> exact_matches;
};

} // namespace duckdb
