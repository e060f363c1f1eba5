#include "adapter/compact.hpp"

#include "adapter/errors.hpp"
#include "adapter/heal.hpp"
#include "adapter/maintenance_thread.hpp"

#include "duckdb/main/attached_database.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/storage/data_table.hpp"

namespace duckdb {

namespace {

//! A build links a row in a third of the time that a merge takes, but has to link all of them.
constexpr uint64_t REBUILD_ROWS_MIN = 10000, REBUILD_SHARE = 3;
//! A generation is known to be durable when two more checkpoints have begun (lifecycle trap 6); until then its slots
//! keep what they held.
constexpr int CHECKPOINTS_TO_CONFIRM = 3;

bool IsRebuildCheaper(const lm_diskann::IndexSummary &summary) {
	const auto changed = summary.delta_count + summary.tombstone_count;
	return changed >= REBUILD_ROWS_MIN && changed * REBUILD_SHARE > summary.row_count;
}

} // namespace

void CompactIndex(ClientContext &context, DataTable &table, const TableIndex &index) {
	auto &live = *index.live;
	RequireWritable(table, index, "compact");
	if (!live.IsReady() || IsRebuildCheaper(live.Core()->Summary())) {
		RebuildIndex(context, table, index);
		return;
	}
	const auto core = live.Core();
	atomic<const char *> phase {"merging"};
	const OperationList::Entry entry(InstanceState::Get(table.db.GetDatabase())->Operations(), live.Name(), "compact",
	                                 [&] {
		                                 return OperationProgress {phase.load(), -1};
	                                 });
	const auto is_stopped = [&] { return context.interrupted.load(); };
	WithDuckDBErrors(live.Name(), [&] {
		while (core->Merge(MERGE_BATCH_ROWS, is_stopped) && !is_stopped()) {
		}
		phase = "taking deleted rows out";
		while (!is_stopped() && core->Compact(is_stopped)) {
		}
		phase = "measuring recall";
		core->Calibrate(is_stopped);
	});
	if (is_stopped()) {
		throw InterruptException();
	}
	phase = "publishing";
	for (int i = 0; i < CHECKPOINTS_TO_CONFIRM; i++) {
		if (!MakeDurable(context, table.db, true)) {
			return;
		}
	}
	WithDuckDBErrors(live.Name(), [&] { core->Scrub(); });
}

} // namespace duckdb
