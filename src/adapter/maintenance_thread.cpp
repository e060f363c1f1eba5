#include "adapter/maintenance_thread.hpp"

namespace duckdb {

namespace {

//! Rows of the delta from which a merge is due: scanning fewer costs a query less than the blocks it reads.
constexpr uint64_t DUE_DELTA_ROWS = 2048;
//! Deleted rows from which a compact is due, and the share of all rows they must be.
constexpr uint64_t DUE_TOMBSTONES = 1000, DUE_TOMBSTONE_SHARE = 5;

bool IsMergeDue(const lm_diskann::IndexSummary &summary) {
	return summary.delta_count >= DUE_DELTA_ROWS;
}

bool IsCompactDue(const lm_diskann::IndexSummary &summary) {
	return summary.tombstone_count >= DUE_TOMBSTONES &&
	       summary.tombstone_count * DUE_TOMBSTONE_SHARE > summary.row_count;
}

} // namespace

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

bool MaintenanceThread::IsDue(const lm_diskann::IndexSummary &summary) {
	return IsMergeDue(summary) || IsCompactDue(summary);
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
	const auto is_stopped = [&] { return is_stopping || index.is_closed; };
	try {
		while (!is_stopped()) {
			const auto core = index.core.lock();
			if (!core || !core->IsHealthy()) {
				return;
			}
			const auto summary = core->Summary();
			const bool is_requested = index.is_requested.exchange(false);
			if (IsMergeDue(summary) || (is_requested && summary.delta_count > 0)) {
				while (!is_stopped() && core->Merge(MERGE_BATCH_ROWS, is_stopped)) {
				}
				index.is_requested = is_requested;
			} else if (IsCompactDue(summary) || (is_requested && summary.tombstone_count > 0)) {
				while (!is_stopped() && core->Compact(is_stopped)) {
				}
			} else {
				return;
			}
		}
	} catch (...) { // NOLINT: what is broken is found by the next query, which has somebody to tell
	}
}

} // namespace duckdb
