#include "adapter/compact.hpp"

#include "adapter/errors.hpp"
#include "adapter/heal.hpp"
#include "adapter/maintenance_thread.hpp"

#include "duckdb/main/attached_database.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/storage/data_table.hpp"

namespace duckdb {

namespace {

//! A generation is known to be durable when two more checkpoints have begun (lifecycle trap 6); until then its slots
//! keep what they held.
constexpr int CHECKPOINTS_TO_CONFIRM = 3;
//! Free space within the file is given back when it is more than this share of it, in so many rounds: what a
//! checkpoint writes in one piece finds its place further up front only in the next one.
constexpr uint64_t FREE_SHARE = 16;
constexpr int SHRINK_ROUNDS_MAX = 3;

bool HasFreeSpace(const lm_diskann::IndexSummary &summary) {
	return summary.free_bytes * FREE_SHARE > summary.file_size_bytes;
}

//! Until what was freed is free. False: another transaction writes; the checkpoints of others will do it.
bool ConfirmAll(ClientContext &context, AttachedDatabase &db) {
	for (int i = 0; i < CHECKPOINTS_TO_CONFIRM; i++) {
		if (!MakeDurable(context, db, true)) {
			return false;
		}
	}
	return true;
}

} // namespace

void CompactIndex(ClientContext &context, DataTable &table, const TableIndex &index) {
	auto &live = *index.live;
	RequireWritable(table, index, "compact");
	if (!live.IsReady() || IsRebuildCheaper(live.Core()->Counts())) {
		RebuildIndex(context, table, index);
		return;
	}
	const auto core = live.Core();
	atomic<const char *> phase {"merging"};
	const OperationList::Entry entry(InstanceState::Get(table.db.GetDatabase())->Operations(), live.Name(), "compact",
	                                 [&] {
		                                 const auto progress = core->CurrentActivity();
		                                 const bool is_known = progress.activity != lm_diskann::Activity::NONE;
		                                 return OperationProgress {phase.load(), is_known ? progress.share : -1};
	                                 });
	const auto is_stopped = [&] { return context.interrupted.load(); };
	WithDuckDBErrors(live.Name(), [&] {
		while (core->Merge(core->MergeBatchRows(), is_stopped) && !is_stopped()) {
		}
		phase = "taking deleted rows out";
		while (!is_stopped() && core->Compact(is_stopped)) {
		}
		phase = "measuring recall";
		core->Calibrate(is_stopped);
	});
	live.AccountForMemory();
	if (is_stopped()) {
		throw InterruptException();
	}
	phase = "publishing";
	if (!ConfirmAll(context, table.db)) {
		return;
	}
	for (int round = 0; round < SHRINK_ROUNDS_MAX && HasFreeSpace(core->Summary()); round++) {
		phase = "giving free space back";
		if (WithDuckDBErrors(live.Name(), [&] { return core->Shrink(is_stopped); })) {
			throw InterruptException();
		}
		if (!ConfirmAll(context, table.db)) {
			return;
		}
	}
	WithDuckDBErrors(live.Name(), [&] { core->Scrub(); });
}

} // namespace duckdb
