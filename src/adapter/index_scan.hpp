// The table function that stands in for seq_scan below ORDER BY distance LIMIT k.
//
// It promises a superset of the answer, as far as the index finds it: at least k visible rows of the table that satisfy
// the filter, or all of them when there are fewer. LIMIT and ORDER BY stay above it and compute exact distances, so
// order, OFFSET, ties and NULLs are DuckDB's own. Candidates are row ids only: what the transaction may see, the table
// decides.
#pragma once

#include "adapter/filter_strategy.hpp"
#include "adapter/live_index.hpp"
#include "adapter/row_filter.hpp"
#include "adapter/row_scan.hpp"
#include "adapter/scan_input.hpp"

#include "duckdb/function/table/table_scan.hpp"
#include "duckdb/planner/expression.hpp"

namespace duckdb {

//! Derives from seq_scan's bind data, because DuckDB's own code takes the bind data of a table scan for that.
struct IndexScanBindData : public TableScanBindData {
	explicit IndexScanBindData(TableCatalogEntry &table) : TableScanBindData(table) {
	}

	std::shared_ptr<LiveIndex> index;
	IndexedColumn column;
	//! FLOAT[N], DOUBLE[N] or a list, without column references; BoundReference i is value i of `inputs`.
	unique_ptr<Expression> query;
	//! LIMIT + OFFSET: a constant, or (0) the sum of these, of which the second may be null.
	idx_t row_count = 0;
	unique_ptr<Expression> limit;
	unique_ptr<Expression> offset;
	//! ORDER BY has further keys: rows as near as the last one are wanted, too.
	bool has_tie_keys = false;
	//! The key is a similarity, in descending order: rows without a distance come first.
	bool is_descending = false;
	uint32_t search_list_size = 0;
	//! What search_list_size was chosen for; unset: a number that the user gave.
	std::optional<double> target_recall;
	uint32_t beam_width = 0;

	RowConditions filter;
	//! The setting.
	FilterStrategy filter_strategy = FilterStrategy::AUTO;
	//! Of the filter, estimated when the statement was planned.
	std::optional<double> selectivity;
	//! What other operators compute before the scan begins; null: nothing.
	shared_ptr<ScanInputs> inputs;

	//! The scan does not return all rows.
	bool HasFilter() const {
		return !filter.IsEmpty() || (inputs && inputs->has_rows);
	}
	bool Equals(const FunctionData &other_p) const override;
	unique_ptr<FunctionData> Copy() const override;
};

//! seq_scan with another source of rows: same columns, virtual columns and statistics; no filters pushed into it, one
//! thread.
TableFunction IndexScanFunction();

//! LIMIT + OFFSET from which sorting the whole table is the better plan: a search list longer than L_search may be.
constexpr idx_t INDEX_SCAN_ROWS_MAX = lm_diskann::L_SEARCH_MAX;

} // namespace duckdb
