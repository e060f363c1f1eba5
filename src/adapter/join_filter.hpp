// What the conditions of an index join leave of the table, as far as they are the same for every left row.
//
// They are evaluated once for the whole join: into a set of row ids that guides its searches, or, when few rows qualify
// for so many left rows, into these rows themselves, which every left row ranks. Where most rows qualify neither is
// worth it: candidates are tested one by one. Conditions that read the left row always are.
#pragma once

#include "adapter/filter_strategy.hpp"
#include "adapter/index_join.hpp"
#include "adapter/row_filter.hpp"
#include "adapter/table_rows.hpp"

#include <optional>

namespace duckdb {

//! Thread-safe, but for the construction.
class JoinFilter {
public:
	//! `expressions` are those of an index join, resolved; `query_count` left rows are going to ask. Throws what
	//! evaluating the conditions throws, and OutOfMemoryException.
	JoinFilter(ClientContext &context_p, const IndexJoinSpec &spec_p, const vector<unique_ptr<Expression>> &expressions,
	           idx_t left_count, idx_t query_count, const TableRows &table_p);

	//! AUTO: every condition reads the left row, or there is none.
	FilterStrategy Strategy() const {
		return strategy;
	}
	//! Of the strategy GRAPH: the rows of the main table that qualify, the list of a search among them, and the visits
	//! beyond which ranking them all costs less.
	const lm_diskann::RowSet &Accepted() const {
		return accepted->Rows();
	}
	uint32_t ListSize() const {
		return list_size;
	}
	idx_t VisitMax() const {
		return visit_max;
	}
	//! The rows of the main table that qualify, as chunks of the table's rows; they are read when they are asked for
	//! first. Null: they are too many to keep. Throws InterruptException.
	const ColumnDataCollection *QualifyingRows();

	//! For EXPLAIN ANALYZE.
	void Describe(InsertionOrderPreservingMap<string> &result) const;

private:
	void ChooseStrategy(idx_t query_count);
	bool MayKeepRows() const;
	double RankCost() const;
	void ReadQualifyingRows();

	ClientContext &context;
	const IndexJoinSpec &spec;
	const TableRows &table;
	//! Unset: no condition is the same for all left rows.
	std::optional<RowFilter> filter;
	FilterStrategy strategy = FilterStrategy::AUTO;
	FilterCosts costs {0, 0};
	double selectivity = 1;
	std::optional<AccountedRowSet> accepted;
	uint32_t list_size = 0;
	idx_t visit_max = 0;

	mutex lock;
	//! Guarded by `lock`; never changed once they are there.
	unique_ptr<ColumnDataCollection> qualifying_rows;
};

} // namespace duckdb
