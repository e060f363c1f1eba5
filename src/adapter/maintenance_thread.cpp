#include "adapter/maintenance_thread.hpp"

namespace duckdb {

namespace {

//! Rows of the delta from which a merge is due: scanning fewer costs a query less than the blocks it reads.
constexpr uint64_t DUE_DELTA_ROWS = 2048;
//! Deleted rows from which a compact is due, and the share of all rows they must be.
constexpr uint64_t DUE_TOMBSTONES = 1000, DUE_TOMBSTONE_SHARE = 5;

//! Free bytes within a file from which it is made smaller, and the share of the file they must be.
constexpr uint64_t DUE_FREE_BYTES = uint64_t(16) << 20, DUE_FREE_SHARE = 4;

//! A build takes two fifths of the time of a merge for a row (bench/merge_bench, 20,000 rows of sift-photos and 5,000
//! more) and runs on all threads instead of one, but has to take all rows.
constexpr uint64_t REBUILD_ROWS_MIN = 10000, REBUILD_SHARE = 5;

bool IsMergeDue(const lm_diskann::IndexCounts &counts) {
	return counts.delta_count >= DUE_DELTA_ROWS;
}

bool IsCompactDue(const lm_diskann::IndexCounts &counts) {
	return counts.tombstone_count >= DUE_TOMBSTONES && counts.tombstone_count * DUE_TOMBSTONE_SHARE > counts.row_count;
}

bool IsShrinkDue(const lm_diskann::IndexSummary &summary) {
	return summary.free_bytes >= DUE_FREE_BYTES && summary.free_bytes * DUE_FREE_SHARE > summary.file_size_bytes;
}

} // namespace

bool IsRebuildCheaper(const lm_diskann::IndexCounts &counts) {
	const auto changed = counts.delta_count + counts.tombstone_count;
	return changed >= REBUILD_ROWS_MIN && changed * REBUILD_SHARE > counts.row_count;
}

void MaintainedIndex::AccountFor(const lm_diskann::AnnIndex &core_p) const {
	memory->Follow(core_p.Summary().memory_bytes);
}

MaintenanceThread::~MaintenanceThread() {
	is_stopping = true;
	{
		lock_guard<mutex> guard(lock);
		wake.notify_all();
	}
	if (thread.joinable()) {
		thread.join();
	}
}

bool MaintenanceThread::IsDue(const lm_diskann::IndexCounts &counts) {
	return IsMergeDue(counts) || IsCompactDue(counts) || counts.is_spill_due;
}

void MaintenanceThread::Offer(const std::shared_ptr<MaintainedIndex> &index) {
	lock_guard<mutex> guard(lock);
	if (index->is_queued || index->is_closed || is_stopping) {
		return;
	}
	queue.push_back(index);
	index->is_queued = true;
	if (!thread.joinable()) {
		thread = std::thread([this] { Run(); });
	}
	wake.notify_one();
}

void MaintenanceThread::Run() {
	while (true) {
		std::shared_ptr<MaintainedIndex> index;
		{
			std::unique_lock<mutex> guard(lock);
			wake.wait(guard, [&] { return is_stopping || !queue.empty(); });
			if (is_stopping) {
				return;
			}
			index = queue.front();
			queue.erase(queue.begin());
			index->is_queued = false;
		}
		Maintain(*index);
	}
}

void MaintenanceThread::Maintain(MaintainedIndex &index) {
	try {
		WarmUp(index);
		bool has_more = index.is_due.exchange(false);
		while (has_more) {
			const auto core = index.core.lock();
			has_more = core && core->IsHealthy() && MaintainOnce(index, *core);
			if (core) {
				index.AccountFor(*core);
			}
		}
	} catch (...) { // NOLINT: what is broken is found by the next query, which has somebody to tell
	}
}

void MaintenanceThread::WarmUp(MaintainedIndex &index) const {
	const auto core = index.core.lock();
	if (index.is_cold.exchange(false) && core && core->IsHealthy()) {
		core->WarmUp([&] { return is_stopping || index.is_closed; });
	}
}

bool MaintenanceThread::MaintainOnce(MaintainedIndex &index, lm_diskann::AnnIndex &core) const {
	const auto is_stopped = [&] { return is_stopping || index.is_closed; };
	const auto is_left = [&] { return index.may_be_rebuilt && IsRebuildCheaper(core.Counts()); };
	if (is_stopped()) {
		return false;
	}
	core.SpillDelta();
	if (is_left()) {
		return false;
	}
	const auto counts = core.Counts();
	const bool is_requested = index.is_requested.exchange(false);
	if (IsMergeDue(counts) || (is_requested && counts.delta_count > 0)) {
		while (!is_stopped() && !is_left() && core.Merge(core.MergeBatchRows(), is_stopped)) {
			index.AccountFor(core);
		}
		index.is_requested = is_requested;
		return true;
	}
	if (IsCompactDue(counts) || (is_requested && counts.tombstone_count > 0)) {
		while (!is_stopped() && core.Compact(is_stopped)) {
			index.AccountFor(core);
		}
		return true;
	}
	if (IsShrinkDue(core.Summary())) {
		core.Shrink(is_stopped);
	}
	return false;
}

} // namespace duckdb
