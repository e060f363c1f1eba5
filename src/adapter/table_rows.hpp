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
class RowFilter;
class TableCatalogEntry;
class TableFilterSet;
class TableScanState;

//! Thread-safe, but for the construction and KeepLocalRows. A chunk of it has the columns of the filter, those asked
//! for, and the row id at the end.
class TableRows {
public:
	//! `filter` null: none. It only adds its columns; nobody applies it here.
	TableRows(ClientContext &context_p, TableCatalogEntry &table, const RowFilter *filter,
	          const vector<ColumnIndex> &column_ids);

	const vector<LogicalType> &Types() const {
		return types;
	}
	DataTable &Storage() const {
		return storage;
	}

	//! Resets `chunk` and fills it with those of the `count` rows that the transaction sees, at most
	//! STANDARD_VECTOR_SIZE, in their order. For rows of the main table.
	void Fetch(const row_t *row_ids, idx_t count, DataChunk &chunk) const;
	//! Begins a scan of all rows that the transaction sees, its own ones included. `pushed`: rows of which the storage
	//! may leave out what does not pass; outlives the scan.
	unique_ptr<TableScanState> StartScan(optional_ptr<TableFilterSet> pushed = nullptr) const;
	//! Begins a scan of the rows that the transaction appended and did not commit yet.
	unique_ptr<TableScanState> StartLocalScan() const;
	//! Resets `chunk` and fills it with the next rows; false: there are none. Throws InterruptException.
	bool NextOfScan(TableScanState &scan, DataChunk &chunk) const;

	//! Reads the transaction's own rows, for all threads, any number of times.
	void KeepLocalRows();
	idx_t LocalCount() const {
		return local_ids.size();
	}
	idx_t LocalChunkCount() const;
	void FetchLocal(idx_t position, DataChunk &chunk) const;
	//! Appends one of the transaction's own rows to `target`, without its id.
	void CopyLocal(row_t row_id, DataChunk &scratch, DataChunk &target) const;

private:
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
