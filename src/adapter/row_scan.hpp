// Reading the indexed column of a table beside running transactions: the scans behind CREATE INDEX, rebuild, catch-up
// and verify.
#pragma once

#include "adapter/vector_rows.hpp"

#include <functional>

namespace duckdb {

class ClientContext;
class DataTable;

//! A set of row ids below some bound, one bit each.
class RowBitmap {
public:
	void Add(row_t row_id);
	void Add(const VectorRows &rows);
	bool Contains(row_t row_id) const;
	void Merge(const RowBitmap &other);

private:
	std::vector<uint64_t> words;
};

//! The column of an index.
struct IndexedColumn {
	VectorColumnType type;
	LogicalType logical_type;
	//! Position in the table's storage.
	column_t storage_column = 0;
};

//! `rows` is valid during the call only.
using RowVisitor = std::function<void(const VectorRows &rows)>;

//! Which rows of the table a scan of a range of row ids meets.
enum class RowScanKind : uint8_t {
	//! All but those that no transaction, present or future, sees; without those that another transaction deletes.
	COMMITTED,
	//! Every row there is, whatever its state.
	PHYSICAL,
	//! Those the transaction of the context sees, without its own appends.
	VISIBLE
};

//! Visits the rows of the main table with ids in [begin, end). Throws InterruptException.
void ScanRows(ClientContext &context, DataTable &table, const IndexedColumn &column, RowScanKind kind, idx_t begin,
              idx_t end, const RowVisitor &visit);

//! Fetches and visits those of `row_ids` that the transaction of the context sees.
void FetchRows(ClientContext &context, DataTable &table, const IndexedColumn &column, const std::vector<row_t> &row_ids,
               const RowVisitor &visit);

//! Row ids in [begin, end) that the transaction sees and that are not in `seen_rows`: another transaction had deleted
//! them when they were scanned as COMMITTED, and may yet roll back (lifecycle trap 9).
std::vector<row_t> FindMissedRows(ClientContext &context, DataTable &table, idx_t begin, idx_t end,
                                  const RowBitmap &seen_rows);

} // namespace duckdb
