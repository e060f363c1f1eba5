#include "adapter/table_rows.hpp"

#include "adapter/row_filter.hpp"

#include "duckdb/catalog/catalog_entry/duck_table_entry.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/storage/data_table.hpp"
#include "duckdb/storage/table/scan_state.hpp"
#include "duckdb/transaction/duck_transaction.hpp"
#include "duckdb/transaction/local_storage.hpp"

#include <algorithm>

namespace duckdb {

TableRows::TableRows(ClientContext &context_p, TableCatalogEntry &table, const RowFilter *filter,
                     const vector<ColumnIndex> &column_ids)
    : context(context_p), storage(table.GetStorage()), transaction(DuckTransaction::Get(context, storage.db)) {
	if (filter) {
		columns = filter->Columns();
		types = filter->Types();
	}
	for (const auto &column : column_ids) {
		columns.push_back(ToStorageIndex(table, column));
		types.push_back(ColumnTypeOf(table, column));
	}
	columns.emplace_back();
	types.push_back(LogicalType::ROW_TYPE);
}

void TableRows::Fetch(const row_t *row_ids, idx_t count, DataChunk &chunk) const {
	chunk.Reset();
	if (count == 0) {
		return;
	}
	auto ids = const_cast<row_t *>(row_ids); // NOLINT: a Vector takes mutable data, Fetch only reads
	Vector id_vector(LogicalType::ROW_TYPE, data_ptr_cast(ids));
	ColumnFetchState fetch;
	storage.Fetch(transaction, chunk, columns, id_vector, count, fetch);
}

unique_ptr<TableScanState> TableRows::StartScan(optional_ptr<TableFilterSet> pushed) const {
	auto scan = make_uniq<TableScanState>();
	storage.InitializeScan(context, transaction, *scan, columns, pushed);
	return scan;
}

unique_ptr<TableScanState> TableRows::StartLocalScan() const {
	// Without a state of the main table it is the other one that DataTable::Scan goes on with.
	auto scan = make_uniq<TableScanState>();
	scan->Initialize(columns, context);
	LocalStorage::Get(transaction).InitializeScan(storage, scan->local_state, nullptr);
	return scan;
}

bool TableRows::NextOfScan(TableScanState &scan, DataChunk &chunk) const {
	if (context.interrupted) {
		throw InterruptException();
	}
	chunk.Reset();
	storage.Scan(transaction, chunk, scan);
	return chunk.size() > 0;
}

void TableRows::KeepLocalRows() {
	local_rows = make_uniq<ColumnDataCollection>(context, types);
	const auto scan = StartLocalScan();
	DataChunk chunk;
	chunk.Initialize(context, types);
	while (NextOfScan(*scan, chunk)) {
		auto &row_ids = chunk.data.back();
		row_ids.Flatten(chunk.size());
		const auto ids = FlatVector::GetData<row_t>(row_ids);
		local_ids.insert(local_ids.end(), ids, ids + chunk.size());
		local_rows->Append(chunk);
	}
}

idx_t TableRows::LocalChunkCount() const {
	return local_ids.empty() ? 0 : local_rows->ChunkCount();
}

void TableRows::FetchLocal(idx_t position, DataChunk &chunk) const {
	chunk.Reset();
	local_rows->FetchChunk(position, chunk);
}

void TableRows::CopyLocal(row_t row_id, DataChunk &scratch, DataChunk &target) const {
	const auto place = std::lower_bound(local_ids.begin(), local_ids.end(), row_id) - local_ids.begin();
	idx_t begin = 0;
	for (idx_t i = 0; i < LocalChunkCount(); i++) {
		FetchLocal(i, scratch);
		if (idx_t(place) < begin + scratch.size()) {
			const auto row = idx_t(place) - begin;
			const auto end = target.size();
			for (idx_t column = 0; column < target.ColumnCount(); column++) {
				VectorOperations::Copy(scratch.data[column], target.data[column], row + 1, row, end);
			}
			target.SetCardinality(end + 1);
			return;
		}
		begin += scratch.size();
	}
}

} // namespace duckdb
