// The rows that a scan through an index emits, each of them once: first those whose ids a search names, then those that
// the transaction appended; or, when the index cannot answer or ran dry, every row of the table not emitted yet.
//
// The index gives row ids only. What the transaction sees, and which values the rows have, the table decides.
#pragma once

#include "adapter/live_index.hpp"
#include "adapter/row_filter.hpp"
#include "adapter/table_rows.hpp"

#include <functional>
#include <unordered_set>

namespace duckdb {

//! Belongs to one thread.
class IndexedRows {
public:
	//! `filter`: what rows must satisfy, null: nothing. `rows_within`: rows that may be emitted, null: all. All outlive
	//! it.
	IndexedRows(ClientContext &context_p, LiveIndex &index_p, TableCatalogEntry &table_p,
	            const vector<ColumnIndex> &columns, RowFilter *filter_p, const lm_diskann::RowSet *rows_within_p);
	~IndexedRows();

	//! The index as it is: a rebuild may replace it later. Null: it cannot answer, and the table will.
	const std::shared_ptr<lm_diskann::AnnIndex> &OpenIndex();
	//! From here on all rows of the table, and why.
	void FallBack(const string &reason);
	const string &FallbackReason() const {
		return fallback_reason;
	}
	DataTable &Storage() const {
		return table.Storage();
	}
	//! Rows that the search named and that were emitted.
	idx_t EmittedCount() const {
		return emitted.size();
	}

	//! Ids of further rows that satisfy the filter, none twice; empty: the search is over, or has fallen back. May
	//! throw CorruptionError and FileError, which end in a fallback.
	using Search = std::function<std::vector<row_t>()>;
	//! Fills `output`; there are no more rows when it stays empty.
	void Next(const Search &search, DataChunk &output);

private:
	//! NAMED: rows that the search names. LOCAL: rows this transaction appended. TABLE: all that is left.
	enum class Phase : uint8_t { NAMED, LOCAL, TABLE, DONE };

	bool NextNamed(const Search &search);
	bool FetchQueued();
	bool NextOfScan();
	void KeepWanted();

	LiveIndex &index;
	RowFilter *const filter;
	const lm_diskann::RowSet *const rows_within;
	const TableRows table;
	unique_ptr<RowSelector> selector;
	DataChunk rows;

	Phase phase = Phase::NAMED;
	std::shared_ptr<lm_diskann::AnnIndex> core;
	string fallback_reason;
	//! Named and not emitted yet.
	std::vector<row_t> queue;
	idx_t queue_position = 0;
	std::unordered_set<row_t> emitted;
	//! Of the phases LOCAL and TABLE.
	unique_ptr<TableScanState> scan;
};

} // namespace duckdb
