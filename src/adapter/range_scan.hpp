// The table function that stands in for seq_scan below WHERE distance < radius.
//
// It promises the rows within the radius, as far as the index finds them, and each row once; some beyond it may come
// along, for the condition stays above it and decides. Rows stream while the traversal goes on. When so much of the
// table is visited that a scan is cheaper, or the index fails, it goes on with a scan of the rows not returned yet.
#pragma once

#include "adapter/live_index.hpp"

#include "duckdb/function/table/table_scan.hpp"
#include "duckdb/planner/expression.hpp"

namespace duckdb {

//! Derives from seq_scan's bind data, because DuckDB's own code takes the bind data of a table scan for that.
struct RangeScanBindData : public TableScanBindData {
	explicit RangeScanBindData(TableCatalogEntry &table) : TableScanBindData(table) {
	}

	std::shared_ptr<LiveIndex> index;
	//! FLOAT[N], DOUBLE[N] or a list, without column references.
	unique_ptr<Expression> query;
	//! What DuckDB's distance function is compared with: a number without column references.
	unique_ptr<Expression> radius;
	//! LIMIT + OFFSET of an ORDER BY the same distance right above, so that the nearest suffice; 0: none.
	idx_t row_count = 0;
	uint32_t search_list_size = 0;
	uint32_t beam_width = 0;

	bool Equals(const FunctionData &other_p) const override;
	unique_ptr<FunctionData> Copy() const override;
};

//! seq_scan with another source of rows; no filters pushed into it, one thread.
TableFunction RangeScanFunction();

} // namespace duckdb
