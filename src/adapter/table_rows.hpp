// Chosen columns of a table as one statement sees them: rows by their ids, the transaction's own rows, all rows.
#pragma once

#include "duckdb/common/column_index.hpp"
#include "duckdb/common/types/column/column_data_collection.hpp"
#include "duckdb/storage/storage_index.hpp"

#include <unordered_set>

namespace duckdb {

class ClientContext;
class DataTable;
class DuckTransaction;
class TableCatalogEntry;
class TableScanState;

//! Thread-safe, but for the construction. A chunk of it has the columns asked for, and the row id at the end.
class TableRows {
public:
	TableRows(ClientContext &context_p, TableCatalogEntry &table, const vector<ColumnIndex> &column_ids);

	const vector<LogicalType> &Types() const {
		return types;
	}
	DataTable &Storage() const {
		return storage;
	}
	//! Rows that the transaction appended and did not commit yet.
	idx_t LocalCount() const {
		return local_ids.size();
	}

	//! Resets `chunk` and fills it with those of the rows that the transaction sees, at most STANDARD_VECTOR_SIZE, in
	//! their order. For rows of the main table.
	void Fetch(const std::vector<row_t> &row_ids, DataChunk &chunk) const;
	//! The rows that the transaction appended and did not commit yet, by chunks. They were read once, and stay.
	idx_t LocalChunkCount() const;
	void FetchLocal(idx_t position, DataChunk &chunk) const;

	//! Begins a scan of all rows that the transaction sees, its own ones included.
	unique_ptr<TableScanState> StartScan() const;
	//! Resets `chunk` and fills it with the next rows; false: there are none. Throws InterruptException.
	bool NextOfScan(TableScanState &scan, DataChunk &chunk) const;
	//! Leaves the rows of `chunk` that are not in `row_ids`, and returns how many.
	static idx_t DropRows(DataChunk &chunk, const std::unordered_set<row_t> &row_ids);
	//! Appends one of the transaction's own rows to `target`, without its id.
	void CopyLocal(row_t row_id, DataChunk &scratch, DataChunk &target) const;

private:
	void ReadLocal();

	ClientContext &context;
	DataTable &storage;
	DuckTransaction &transaction;
	vector<StorageIndex> columns;
	vector<LogicalType> types;
	unique_ptr<ColumnDataCollection> local_rows;
	//! Ascending; the n-th is that of the n-th local row.
	std::vector<row_t> local_ids;
};

} // namespace duckdb
