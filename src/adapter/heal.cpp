#include "adapter/heal.hpp"

#include "adapter/compat.hpp"
#include "adapter/errors.hpp"
#include "adapter/settings.hpp"
#include "adapter/table_build.hpp"

#include "duckdb/common/exception/transaction_exception.hpp"
#include "duckdb/logging/log_manager.hpp"
#include "duckdb/main/attached_database.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/main/config.hpp"
#include "duckdb/main/connection_manager.hpp"
#include "duckdb/parallel/task_executor.hpp"
#include "duckdb/parallel/task_scheduler.hpp"
#include "duckdb/storage/data_table.hpp"
#include "duckdb/storage/storage_manager.hpp"
#include "duckdb/storage/table/append_state.hpp"
#include "duckdb/transaction/duck_transaction.hpp"
#include "duckdb/transaction/transaction_manager.hpp"

#include <thread>

namespace duckdb {

namespace {

//! A gap larger than this, and than a share of the rows, is rebuilt: the delta is searched row by row.
constexpr uint64_t CATCH_UP_ROWS_MAX = 10000;
constexpr uint64_t CATCH_UP_SHARE = 4;
//! A checkpoint that runs out of disk makes DuckDB invalidate the database: a query does not risk it.
constexpr idx_t FREE_DISK_BYTES_MIN = idx_t(256) << 20;

class BuildWorker : public BaseExecutorTask {
public:
	BuildWorker(TaskExecutor &executor, TableBuild &build_p, ClientContext &context_p, LiveIndex::Healing &healing_p)
	    : BaseExecutorTask(executor), build(build_p), context(context_p), healing(healing_p) {
	}
	void ExecuteTask() override {
		while (!executor.HasError()) {
			if (context.interrupted) {
				throw InterruptException();
			}
			const auto work = build.Work();
			healing.SetProgress(build.Progress());
			if (work == lm_diskann::WorkState::FINISHED) {
				return;
			}
			if (work == lm_diskann::WorkState::WAITING) {
				std::this_thread::yield();
			}
		}
	}
	string TaskType() const override {
		return "LmDiskannRebuildTask";
	}

private:
	TableBuild &build;
	ClientContext &context;
	LiveIndex::Healing &healing;
};

void Rebuild(ClientContext &context, DataTable &table, const TableIndex &index, LiveIndex::Healing &healing) {
	const auto column = index.Column(table);
	TableBuild build(context, table, index.live->Name(), *index.live->Configuration(), column, "rebuild");
	RowBitmap seen_rows;
	ScanRows(context, table, column, RowScanKind::COMMITTED, 0, build.RowCountAtStart(),
	         [&](const VectorRows &rows) { build.Add(rows, seen_rows); });
	build.Merge(seen_rows);
	build.Start();
	{
		TaskExecutor executor(context);
		const auto thread_count = TaskScheduler::GetScheduler(context).NumberOfThreads();
		for (int32_t i = 0; i < thread_count; i++) {
			executor.ScheduleTask(make_uniq<BuildWorker>(executor, build, context, healing));
		}
		executor.WorkOnTasks();
	}
	auto core = build.Finish(context);

	TableAppendState append_lock;
	LockAppends<DuckTransaction>(context, table, append_lock);
	build.CatchUp(context, *core);
	build.Keep();
	healing.FinishRebuild(std::move(core), build.File(), build.RowCountAtStart());
}

void CatchUp(ClientContext &context, DataTable &table, const TableIndex &index, LiveIndex::Healing &healing) {
	const auto core = index.live->Core();
	const auto column = index.Column(table);
	const auto begin = core->CoveredRows();
	idx_t settled = 0;
	{
		// See TableBuild: rows counted under the lock keep their ids.
		TableAppendState append_lock;
		LockAppends<DuckTransaction>(context, table, append_lock);
		settled = table.GetTotalRows();
	}
	RowBitmap seen_rows;
	ScanRows(context, table, column, RowScanKind::COMMITTED, begin, settled, [&](const VectorRows &rows) {
		OfferRows(rows, *core);
		seen_rows.Add(rows);
	});

	TableAppendState append_lock;
	LockAppends<DuckTransaction>(context, table, append_lock);
	OfferLateRows(context, table, column, begin, settled, seen_rows, *core);
	healing.FinishCatchUp();
}

void Heal(ClientContext &context, DataTable &table, const TableIndex &index, LiveIndex::Healing &healing) {
	WithDuckDBErrors(index.live->Name(), [&] {
		const auto core = index.live->Core();
		if (index.live->State() == IndexState::CATCHING_UP && core->IsHealthy()) {
			const auto covered = core->CoveredRows();
			const auto gap = table.GetTotalRows() - covered;
			if (gap <= MaxValue(CATCH_UP_ROWS_MAX, covered / CATCH_UP_SHARE)) {
				CatchUp(context, table, index, healing);
				return;
			}
		}
		Rebuild(context, table, index, healing);
	});
	DUCKDB_LOG_INFO(context, IndexMessagePrefix(index.live->Name()) + "healed from the table");
}

//! A query may take the time for a checkpoint when nothing can be in its way: a checkpoint waits for scans of the
//! table, and another connection of the same thread may hold one open.
bool CanCheckpointInQuery(ClientContext &context, AttachedDatabase &db) {
	if (!context.transaction.IsAutoCommit() || ConnectionManager::Get(context).GetConnectionCount() > 1) {
		return false;
	}
	const auto free_bytes = FileSystem::GetAvailableDiskSpace(IndexFolder(db));
	return free_bytes.IsValid() && free_bytes.GetIndex() >= FREE_DISK_BYTES_MIN;
}

} // namespace

bool MakeDurable(ClientContext &context, AttachedDatabase &db, bool is_now) {
	if (!HasIndexFiles(db)) {
		return true;
	}
	// As PRAGMA force_checkpoint: the next checkpoint, at the latest the one on closing, writes all the same.
	auto &is_forced = DBConfig::GetConfig(context).options.force_checkpoint;
	const auto was_forced = is_forced;
	is_forced = true;
	if (!is_now) {
		return false;
	}
	try {
		TransactionManager::Get(db).Checkpoint(context, false);
		is_forced = was_forced;
		return true;
	} catch (const TransactionException &) { // NOLINT: another transaction writes, or this one has; then later
		return false;
	}
}

void HealForQuery(ClientContext &context, DataTable &table, const TableIndex &index) {
	const bool is_outgrown = index.live->IsReady();
	if (is_outgrown && !IsAutoRebuildEnabled(context)) {
		index.live->RefuseRebuild();
	}
	// A table that this transaction altered is not the one that receives the changes of others.
	if (!IsAutoRebuildEnabled(context) || !table.IsMainTable()) {
		return;
	}
	const auto healing = LiveIndex::BeginHealing(index.live, is_outgrown);
	if (!healing) {
		return;
	}
	try {
		Heal(context, table, index, *healing);
	} catch (const InterruptException &) {
		throw;
	} catch (const std::exception &) {
		const auto consequence = is_outgrown ? "; its changes are merged instead"
		                                     : "; queries run exact plans until PRAGMA lm_diskann_rebuild";
		LMD_LOG_WARN(context, IndexMessagePrefix(index.live->Name()) + "it could not be " +
		                          (is_outgrown ? "rebuilt: " : "healed: ") + HandledErrorText() + consequence);
		index.live->RefuseRebuild();
		return;
	}
	MakeDurable(context, table.db, CanCheckpointInQuery(context, table.db));
}

void RequireWritable(const DataTable &table, const TableIndex &index, const char *verb) {
	if (table.db.IsReadOnly()) {
		throw InvalidInputException("%sdatabase \"%s\" was opened read-only; open it for writing to %s an index",
		                            IndexMessagePrefix(index.live->Name()), table.db.GetName(), verb);
	}
}

void RebuildIndex(ClientContext &context, DataTable &table, const TableIndex &index) {
	const auto prefix = IndexMessagePrefix(index.live->Name());
	RequireWritable(table, index, "rebuild");
	if (!index.live->Configuration()) {
		throw InvalidInputException("%s%s", prefix, index.live->Reason());
	}
	if (!table.IsMainTable()) {
		throw TransactionException("%sits table was altered by this transaction; commit first", prefix);
	}
	const auto healing = LiveIndex::BeginHealing(index.live, true);
	if (!healing) {
		throw InvalidInputException("%sanother connection is healing it; try again later", prefix);
	}
	WithDuckDBErrors(index.live->Name(), [&] { Rebuild(context, table, index, *healing); });
	MakeDurable(context, table.db, true);
}

} // namespace duckdb
