#include "adapter/table_rows.hpp"

#include "duckdb/catalog/catalog_entry/duck_table_entry.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/storage/data_table.hpp"
#include "duckdb/storage/table/scan_state.hpp"
#include "duckdb/transaction/duck_transaction.hpp"
#include "duckdb/transaction/local_storage.hpp"

#include <algorithm>

namespace duckdb {

namespace {

StorageIndex ToStorageIndex(const ColumnIndex &column) {
	vector<StorageIndex> children;
	for (const auto &child : column.GetChildIndexes()) {
		children.push_back(ToStorageIndex(child));
	}
	return StorageIndex(column.GetPrimaryIndex(), std::move(children));
}

} // namespace

TableRows::TableRows(ClientContext &context_p, TableCatalogEntry &table, const vector<ColumnIndex> &column_ids)
    : context(context_p), storage(table.GetStorage()), transaction(DuckTransaction::Get(context, storage.db)) {
	for (const auto &column : column_ids) {
		if (column.IsRowIdColumn()) {
			columns.emplace_back();
			types.push_back(LogicalType::ROW_TYPE);
			continue;
		}
		const auto &definition = table.GetColumn(column.ToLogical());
		auto storage_index = ToStorageIndex(column);
		storage_index.SetIndex(definition.StorageOid());
		columns.push_back(std::move(storage_index));
		types.push_back(definition.Type());
	}
	columns.emplace_back();
	types.push_back(LogicalType::ROW_TYPE);
	ReadLocal();
}

void TableRows::ReadLocal() {
	local_rows = make_uniq<ColumnDataCollection>(context, types);
	auto &local_storage = LocalStorage::Get(transaction);
	TableScanState scan;
	scan.Initialize(columns, context);
	local_storage.InitializeScan(storage, scan.local_state, nullptr);
	DataChunk chunk;
	chunk.Initialize(context, types);
	while (true) {
		chunk.Reset();
		local_storage.Scan(scan.local_state, columns, chunk);
		if (chunk.size() == 0) {
			return;
		}
		auto &row_ids = chunk.data.back();
		row_ids.Flatten(chunk.size());
		const auto ids = FlatVector::GetData<row_t>(row_ids);
		local_ids.insert(local_ids.end(), ids, ids + chunk.size());
		local_rows->Append(chunk);
	}
}

void TableRows::Fetch(const std::vector<row_t> &row_ids, DataChunk &chunk) const {
	chunk.Reset();
	if (row_ids.empty()) {
		return;
	}
	auto ids = const_cast<row_t *>(row_ids.data()); // NOLINT: a Vector takes mutable data, Fetch only reads
	Vector id_vector(LogicalType::ROW_TYPE, data_ptr_cast(ids));
	ColumnFetchState fetch;
	storage.Fetch(transaction, chunk, columns, id_vector, row_ids.size(), fetch);
}

void TableRows::VisitLocal(DataChunk &scratch, const std::function<void(DataChunk &chunk)> &visit) const {
	const auto chunk_count = local_rows->Count() == 0 ? 0 : local_rows->ChunkCount();
	for (idx_t i = 0; i < chunk_count; i++) {
		scratch.Reset();
		local_rows->FetchChunk(i, scratch);
		visit(scratch);
	}
}

void TableRows::VisitAll(DataChunk &scratch, const std::function<void(DataChunk &chunk)> &visit) const {
	TableScanState scan;
	storage.InitializeScan(context, transaction, scan, columns);
	while (true) {
		if (context.interrupted) {
			throw InterruptException();
		}
		scratch.Reset();
		storage.Scan(transaction, scratch, scan);
		if (scratch.size() == 0) {
			return;
		}
		visit(scratch);
	}
}

void TableRows::CopyLocal(row_t row_id, DataChunk &scratch, DataChunk &target) const {
	const auto place = std::lower_bound(local_ids.begin(), local_ids.end(), row_id) - local_ids.begin();
	idx_t begin = 0;
	for (idx_t i = 0; i < local_rows->ChunkCount(); i++) {
		scratch.Reset();
		local_rows->FetchChunk(i, scratch);
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
