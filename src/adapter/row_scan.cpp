#include "adapter/row_scan.hpp"

#include "adapter/compat.hpp"

#include "duckdb/main/client_context.hpp"
#include "duckdb/storage/data_table.hpp"
#include "duckdb/storage/table/row_group.hpp"
#include "duckdb/storage/table/scan_state.hpp"
#include "duckdb/transaction/duck_transaction.hpp"

namespace duckdb {

void RowBitmap::Add(row_t row_id) {
	const auto word = idx_t(row_id) / 64;
	if (word >= words.size()) {
		words.resize(MaxValue<idx_t>(word + 1, words.size() * 2));
	}
	words[word] |= uint64_t(1) << (idx_t(row_id) % 64);
}

void RowBitmap::Add(const VectorRows &rows) {
	for (const auto row_id : lm_diskann::Span<const lm_diskann::RowId>(rows.Batch().row_ids, rows.Batch().count)) {
		Add(row_id.value);
	}
	for (const auto row_id : rows.NullRowIds()) {
		Add(row_id.value);
	}
}

bool RowBitmap::Contains(row_t row_id) const {
	const auto word = idx_t(row_id) / 64;
	return word < words.size() && (words[word] >> (idx_t(row_id) % 64) & 1) != 0;
}

void RowBitmap::Merge(const RowBitmap &other) {
	words.resize(MaxValue(words.size(), other.words.size()));
	for (idx_t i = 0; i < other.words.size(); i++) {
		words[i] |= other.words[i];
	}
}

namespace {

//! Leaves in `chunk` the rows with ids in [begin, end); the row id is its last column.
void KeepRange(DataChunk &chunk, idx_t begin, idx_t end) {
	auto &row_ids = chunk.data.back();
	row_ids.Flatten(chunk.size());
	const auto ids = FlatVector::GetData<row_t>(row_ids);
	SelectionVector selection(chunk.size());
	idx_t count = 0;
	for (idx_t i = 0; i < chunk.size(); i++) {
		if (idx_t(ids[i]) >= begin && idx_t(ids[i]) < end) {
			selection.set_index(count++, i);
		}
	}
	if (count < chunk.size()) {
		chunk.Slice(selection, count);
	}
}

//! Chunks of `columns`, the row id last, with ids in [begin, end).
void ScanChunks(ClientContext &context, DataTable &table, const vector<StorageIndex> &columns,
                const vector<LogicalType> &types, RowScanKind kind, idx_t begin, idx_t end,
                const std::function<void(DataChunk &chunk)> &visit) {
	auto &transaction = DuckTransaction::Get(context, table.db);
	DataChunk chunk;
	chunk.Initialize(Allocator::Get(context), types);
	// Of DuckDB's scans only the parallel one, which goes by row groups, can leave some out.
	ParallelTableScanState row_groups;
	InitializeRowGroupScan<ColumnIndex>(context, table, row_groups, columns);
	TableScanState scan;
	scan.Initialize(columns, context);
	while (table.NextParallelScan(context, row_groups, scan)) {
		const auto &row_group = scan.table_state.row_group;
		if (!row_group || RowGroupRange(*row_group).first >= end || RowGroupRange(*row_group).second <= begin) {
			continue;
		}
		while (true) {
			if (context.interrupted) {
				throw InterruptException();
			}
			chunk.Reset();
			if (kind == RowScanKind::VISIBLE) {
				scan.table_state.Scan(transaction, chunk);
			} else {
				ScanCommitted<TableScanType>(table, scan, chunk, kind == RowScanKind::COMMITTED);
			}
			if (chunk.size() == 0) {
				break;
			}
			KeepRange(chunk, begin, end);
			if (chunk.size() > 0) {
				visit(chunk);
			}
		}
	}
}

} // namespace

void ScanRows(ClientContext &context, DataTable &table, const IndexedColumn &column, RowScanKind kind, idx_t begin,
              idx_t end, const RowVisitor &visit) {
	VectorRows rows(column.type);
	ScanChunks(context, table, {StorageIndex(column.storage_column), StorageIndex(COLUMN_IDENTIFIER_ROW_ID)},
	           {column.logical_type, LogicalType::ROW_TYPE}, kind, begin, end, [&](DataChunk &chunk) {
		           rows.Read(chunk.data[0], chunk.data[1], chunk.size());
		           visit(rows);
	           });
}

void FetchRows(ClientContext &context, DataTable &table, const IndexedColumn &column, const std::vector<row_t> &row_ids,
               const RowVisitor &visit) {
	auto &transaction = DuckTransaction::Get(context, table.db);
	const vector<StorageIndex> columns {StorageIndex(column.storage_column), StorageIndex(COLUMN_IDENTIFIER_ROW_ID)};
	VectorRows rows(column.type);
	DataChunk chunk;
	chunk.Initialize(Allocator::Get(context), {column.logical_type, LogicalType::ROW_TYPE});
	for (idx_t begin = 0; begin < row_ids.size(); begin += STANDARD_VECTOR_SIZE) {
		const auto count = MinValue<idx_t>(STANDARD_VECTOR_SIZE, row_ids.size() - begin);
		auto ids = const_cast<row_t *>(row_ids.data() + begin); // NOLINT: a Vector takes mutable data, Fetch only reads
		Vector id_vector(LogicalType::ROW_TYPE, data_ptr_cast(ids));
		ColumnFetchState fetch;
		chunk.Reset();
		table.Fetch(transaction, chunk, columns, id_vector, count, fetch);
		rows.Read(chunk.data[0], chunk.data[1], chunk.size());
		visit(rows);
	}
}

std::vector<row_t> FindMissedRows(ClientContext &context, DataTable &table, idx_t begin, idx_t end,
                                  const RowBitmap &seen_rows) {
	std::vector<row_t> missed;
	ScanChunks(context, table, {StorageIndex(COLUMN_IDENTIFIER_ROW_ID)}, {LogicalType::ROW_TYPE}, RowScanKind::VISIBLE,
	           begin, end, [&](DataChunk &chunk) {
		           chunk.Flatten();
		           const auto row_ids = FlatVector::GetData<row_t>(chunk.data[0]);
		           for (idx_t i = 0; i < chunk.size(); i++) {
			           if (!seen_rows.Contains(row_ids[i])) {
				           missed.push_back(row_ids[i]);
			           }
		           }
	           });
	return missed;
}

} // namespace duckdb
