#include "adapter/table_build.hpp"

#include "adapter/accounted_memory_file.hpp"
#include "adapter/compat.hpp"
#include "adapter/errors.hpp"
#include "adapter/settings.hpp"

#include "duckdb/common/string_util.hpp"
#include "duckdb/logging/log_manager.hpp"
#include "duckdb/main/attached_database.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/storage/data_table.hpp"
#include "duckdb/storage/table/append_state.hpp"
#include "duckdb/transaction/duck_transaction.hpp"

namespace duckdb {

TableBuild::TableBuild(ClientContext &context, DataTable &table_p, string index_name_p,
                       const lm_diskann::IndexConfiguration &configuration_p, IndexedColumn column_p,
                       const char *operation)
    : table(table_p), index_name(std::move(index_name_p)), configuration(configuration_p), column(std::move(column_p)),
      memory(InstanceState::Get(DatabaseInstance::GetDatabase(context))->Account()) {
	builder = WithDuckDBErrors(index_name, [&] {
		return make_uniq<lm_diskann::IndexBuilder>(configuration, Resources(BuildMemoryBudget(context)));
	});
	// Under the lock no append is under way, so what lies below this row count can no longer be taken back and its ids
	// given to other rows.
	TableAppendState append_lock;
	LockAppends<DuckTransaction>(context, table, append_lock);
	row_count_at_start = table.GetTotalRows();
	entry = make_uniq<OperationList::Entry>(InstanceState::Get(table.db.GetDatabase())->Operations(), index_name,
	                                        operation, [this] { return Poll(); });
}

OperationProgress TableBuild::Poll() {
	lock_guard<mutex> guard(poll_lock);
	const auto present = stage.load();
	if (present) {
		return {present, -1};
	}
	const string phase = builder->PhaseName();
	// Between its last phase and the call of Finish it has none.
	return {phase.empty() ? "finishing" : phase, builder->Progress()};
}

lm_diskann::BuildResources TableBuild::Resources(uint64_t memory_max) {
	lm_diskann::BuildResources resources;
	resources.memory_max = memory_max;
	resources.set_memory = [this](uint64_t bytes) { memory.Resize(bytes); };
	// The index of an in-memory database lies in RAM anyway.
	if (HasIndexFiles(table.db)) {
		resources.create_scratch = [this] {
			scratch = IndexFile::Make(table.db, GenerateUuid());
			return scratch->CreateTemporary();
		};
	}
	return resources;
}

TableBuild::~TableBuild() {
	entry.reset();
	builder.reset();
	if (scratch) {
		scratch->Remove();
	}
	if (file && !is_kept) {
		file->Remove();
	}
}

void TableBuild::Add(const VectorRows &rows, RowBitmap &thread_rows) {
	WithDuckDBErrors(index_name, [&] {
		builder->Add(rows.Batch());
		builder->AddNull(rows.NullRowIds());
	});
	thread_rows.Add(rows);
}

void TableBuild::Merge(const RowBitmap &thread_rows) {
	lock_guard<mutex> guard(lock);
	seen_rows.Merge(thread_rows);
}

void TableBuild::Start() {
	const auto uuid = GenerateUuid();
	unique_ptr<lm_diskann::File> bytes;
	if (HasIndexFiles(table.db)) {
		file = IndexFile::Make(table.db, uuid);
		bytes = file->CreateTemporary();
	} else {
		bytes = make_uniq<AccountedMemoryFile>(InstanceState::Get(table.db.GetDatabase())->Account());
	}
	WithDuckDBErrors(index_name, [&] { builder->Start(std::move(bytes), uuid); });
	stage = nullptr;
}

lm_diskann::WorkState TableBuild::Work() {
	return WithDuckDBErrors(index_name, [&] { return builder->Work(); });
}

double TableBuild::Progress() const {
	return builder ? builder->Progress() : 1;
}

std::shared_ptr<lm_diskann::AnnIndex> TableBuild::Finish(ClientContext &context) {
	const auto unindexable_count = builder->UnindexableCount();
	auto core = WithDuckDBErrors(index_name, [&] {
		auto built = builder->Finish(InstanceState::Get(table.db.GetDatabase())->Cache());
		stage = "measuring recall";
		if (!built->Calibrate([&] { return context.interrupted.load(); })) {
			throw InterruptException();
		}
		stage = "publishing";
		if (file) {
			// The bulk of the bytes is made durable before any lock is taken; a later publish adds what came since.
			built->Publish();
		}
		return built;
	});
	{
		lock_guard<mutex> guard(poll_lock);
		builder.reset();
	}
	memory.Resize(0);
	if (file) {
		file->MoveIntoPlace();
	}
	if (scratch) {
		scratch->Remove();
	}
	if (unindexable_count > 0) {
		LMD_LOG_WARN(context, IndexMessagePrefix(index_name) + std::to_string(unindexable_count) +
		                          " vectors are not in the index: they hold NaN or infinity, or are zero under "
		                          "cosine");
	}
	return core;
}

void TableBuild::CatchUp(ClientContext &context, lm_diskann::AnnIndex &core) {
	WithDuckDBErrors(index_name,
	                 [&] { OfferLateRows(context, table, column, 0, row_count_at_start, seen_rows, core); });
}

void OfferRows(const VectorRows &rows, lm_diskann::AnnIndex &core) {
	core.Append(rows.Batch());
	core.AppendNull(rows.NullRowIds());
}

void OfferLateRows(ClientContext &context, DataTable &table, const IndexedColumn &column, idx_t begin, idx_t settled,
                   const RowBitmap &seen_rows, lm_diskann::AnnIndex &core) {
	const auto offer = [&](const VectorRows &rows) { OfferRows(rows, core); };
	const auto row_count = table.GetTotalRows();
	// Rows appended meanwhile, committed or not: visibility is decided by the table.
	ScanRows(context, table, column, RowScanKind::PHYSICAL, settled, row_count, offer);
	FetchRows(context, table, column, FindMissedRows(context, table, begin, settled, seen_rows), offer);
	core.SetCoveredRows(row_count);
}

} // namespace duckdb
