#include "adapter/lm_diskann_index.hpp"

#include "adapter/errors.hpp"

#include "duckdb/main/attached_database.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/storage/data_table.hpp"
#include "duckdb/storage/single_file_block_manager.hpp"
#include "duckdb/storage/storage_manager.hpp"
#include "duckdb/storage/table/data_table_info.hpp"
#include "duckdb/transaction/duck_transaction_manager.hpp"

namespace duckdb {

namespace {

uint64_t CheckpointIteration(AttachedDatabase &db) {
	auto &block_manager = db.GetStorageManager().GetBlockManager();
	auto single_file = dynamic_cast<SingleFileBlockManager *>(&block_manager);
	return single_file ? single_file->GetCheckpointIteration() : 0;
}

} // namespace

LmDiskannIndex::LmDiskannIndex(const string &name, IndexConstraintType constraint_type,
                               const vector<column_t> &column_ids, TableIOManager &table_io_manager,
                               const vector<unique_ptr<Expression>> &unbound_expressions, AttachedDatabase &db,
                               std::shared_ptr<LiveIndex> live_p)
    : CompatIndex(name, LM_DISKANN_TYPE_NAME, constraint_type, column_ids, table_io_manager, unbound_expressions, db),
      live(std::move(live_p)) {
	VectorColumnType type;
	if (logical_types.size() == 1 && ReadVectorColumnType(logical_types[0], type)) {
		rows = std::make_unique<VectorRows>(type);
	}
}

LmDiskannIndex::~LmDiskannIndex() {
	// May run under DuckDB's locks: background work is told to end, not waited for.
	live->Close();
}

unique_ptr<BoundIndex> LmDiskannIndex::CreateInstance(CreateIndexInput &input) {
	std::optional<VectorColumnType> column;
	VectorColumnType type;
	if (input.unbound_expressions.size() == 1 &&
	    ReadVectorColumnType(input.unbound_expressions[0]->return_type, type)) {
		column = type;
	}
	auto live = LiveIndex::Open(input.db, input.name, input.storage_info, column);
	return make_uniq<LmDiskannIndex>(input.name, input.constraint_type, input.column_ids, input.table_io_manager,
	                                 input.unbound_expressions, input.db, std::move(live));
}

ErrorData LmDiskannIndex::Append(IndexLock &, DataChunk &chunk, Vector &row_ids) {
	if (!rows) {
		return ErrorData();
	}
	try {
		// The chunk is the table's and shared with its other indexes: only the references are flattened.
		Vector vectors(chunk.data[StorageColumn()]);
		Vector ids(row_ids);
		rows->Read(vectors, ids, chunk.size());
		const auto &batch = rows->Batch();
		deferred.Withdraw(lm_diskann::Span<const lm_diskann::RowId>(batch.row_ids, batch.count));
		deferred.Withdraw(rows->NullRowIds());
		live->Append(batch, rows->NullRowIds());
	} catch (const std::exception &) {
		// Here, before anything changed, a commit may still fail; but replays of the log may not (lifecycle trap 2).
		live->Degrade("a change could not be read: " + HandledErrorText());
	}
	return ErrorData();
}

void LmDiskannIndex::OnDelete(IndexLock &, DataChunk &entries, Vector &row_ids) noexcept {
	static_assert(sizeof(lm_diskann::RowId) == sizeof(row_t), "a RowId is a row_t with a type");
	try {
		// Only the first entries.size() ids are meant (lifecycle 4.2).
		UnifiedVectorFormat format;
		row_ids.ToUnifiedFormat(entries.size(), format);
		const auto ids = UnifiedVectorFormat::GetData<row_t>(format);
		SettleDeletes();
		[[maybe_unused]] const auto now = Times();
		for (idx_t i = 0; i < entries.size(); i++) {
			const lm_diskann::RowId id(ids[format.sel->get_index(i)]);
			const lm_diskann::Span<const lm_diskann::RowId> deleted(&id, 1);
			if (DELETES_COME_EARLY) {
				deferred.Add(deleted, now);
			} else {
				live->Delete(deleted);
			}
		}
	} catch (...) {
		// Fits a string without memory of its own; nothing may throw here.
		live->Degrade("a delete failed");
	}
}

TransactionTimes LmDiskannIndex::Times() const {
	TransactionTimes times;
	ReadTransactionTimes<DuckTransactionManager>(db, [&](transaction_t last_commit, transaction_t oldest_begin) {
		times.last_commit = last_commit;
		if (oldest_begin < TRANSACTION_ID_START) {
			times.oldest_begin = oldest_begin;
		}
	});
	return times;
}

void LmDiskannIndex::SettleDeletes() const noexcept {
	if (DELETES_COME_EARLY) {
		deferred.Settle(Times(), [&](lm_diskann::Span<const lm_diskann::RowId> ids) { live->Delete(ids); });
	}
}

void LmDiskannIndex::OnDrop() {
	// The drop is not durable yet: the file goes when the transaction's commit is (lifecycle trap 11).
	for (auto &file : live->Files()) {
		InstanceState::Get(db.GetDatabase())->AddDrop(std::move(file));
	}
}

IndexStorageInfo LmDiskannIndex::SerializeToDisk(QueryContext, const case_insensitive_map_t<Value> &) {
	SettleDeletes();
	return live->Publish(CheckpointIteration(db));
}

IndexStorageInfo LmDiskannIndex::SerializeToWAL(const case_insensitive_map_t<Value> &) {
	auto info = live->Publish(CheckpointIteration(db));
	if (live->Core() && !live->IsReady()) {
		// A throw here is the clean way to refuse the commit of CREATE INDEX. An index without a core was never built
		// by one: COPY FROM DATABASE makes it, and must not fail.
		throw IOException("%s%s", IndexMessagePrefix(name), live->Reason());
	}
	return info;
}

idx_t LmDiskannIndex::GetInMemorySize(IndexLock &) {
	return live->MemoryBytes();
}

void LmDiskannIndex::Vacuum(IndexLock &) {
	live->RequestMaintenance();
}

ErrorData LmDiskannIndex::Insert(IndexLock &, DataChunk &, Vector &) {
	throw InternalException("LM_DISKANN: Insert is for constraint indexes");
}

bool LmDiskannIndex::MergeIndexes(IndexLock &, BoundIndex &) {
	throw InternalException("LM_DISKANN: MergeIndexes is for constraint indexes");
}

string LmDiskannIndex::Describe() const {
	return string(LM_DISKANN_TYPE_NAME) + " " + name + " (" + IndexStateName(live->State()) + ")";
}

void LmDiskannIndex::VerifyAllocations(IndexLock &) {
}

void LmDiskannIndex::VerifyBuffers(IndexLock &) {
}

string LmDiskannIndex::GetConstraintViolationMessage(VerifyExistenceType, idx_t, DataChunk &) {
	throw InternalException("LM_DISKANN: this index is no constraint");
}

IndexedColumn TableIndex::Column(const DataTable &table) const {
	IndexedColumn column;
	column.type = {live->Configuration()->element_type, live->Configuration()->dims};
	column.logical_type = table.Columns()[storage_column].Type();
	column.storage_column = storage_column;
	return column;
}

vector<TableIndex> GetTableIndexes(ClientContext &context, DataTable &table) {
	auto &info = *table.GetDataTableInfo();
	bool is_unbound = false;
	VisitIndexes(info.GetIndexes(), [&](Index &index) {
		is_unbound = !index.IsBound() && index.GetIndexType() == LM_DISKANN_TYPE_NAME;
		return is_unbound;
	});
	if (is_unbound) {
		info.BindIndexes(context, LM_DISKANN_TYPE_NAME);
	}
	vector<TableIndex> result;
	VisitIndexes(info.GetIndexes(), [&](Index &index) {
		if (index.IsBound() && index.GetIndexType() == LM_DISKANN_TYPE_NAME) {
			auto &own = index.Cast<LmDiskannIndex>();
			own.SettleDeletes();
			result.push_back({own.Live(), own.StorageColumn()});
		}
		return false;
	});
	return result;
}

} // namespace duckdb
