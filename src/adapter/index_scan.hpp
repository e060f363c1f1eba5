// The table function that stands in for seq_scan below ORDER BY distance LIMIT k.
//
// It promises a superset of the answer, as far as the index finds it: at least k visible rows of the table, or all of
// them when there are fewer. LIMIT and ORDER BY stay above it and compute exact distances, so order, OFFSET, ties and
// NULLs are DuckDB's own. Candidates are row ids only: what the transaction may see, the table decides.
#pragma once

#include "adapter/live_index.hpp"

#include "duckdb/function/table/table_scan.hpp"
#include "duckdb/planner/expression.hpp"

namespace duckdb {

//! Derives from seq_scan's bind data, because DuckDB's own code takes the bind data of a table scan for that.
struct IndexScanBindData : public TableScanBindData {
	explicit IndexScanBindData(TableCatalogEntry &table) : TableScanBindData(table) {
	}

	std::shared_ptr<LiveIndex> index;
	//! FLOAT[N] or DOUBLE[N] without column references.
	unique_ptr<Expression> query;
	//! LIMIT + OFFSET.
	idx_t row_count = 0;
	uint32_t search_list_size = 0;
	uint32_t beam_width = 0;

	bool Equals(const FunctionData &other_p) const override;
	unique_ptr<FunctionData> Copy() const override;
};

//! seq_scan with another source of rows: same columns, virtual columns and statistics; no filters, one thread.
TableFunction IndexScanFunction();

} // namespace duckdb
