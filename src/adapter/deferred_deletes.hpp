// Rows that were deleted, but which transactions that began earlier still see.
//
// DuckDB 1.4 calls Delete when nobody sees the rows any more. DuckDB 1.5 calls it in the commit of the deleting
// transaction; its rows wait here until the last transaction that began before that commit has ended. Until then the
// index goes on offering them, and the table's visibility check keeps them from all others.
#pragma once

#include "base/types.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

namespace duckdb {

//! What the host's clock of transactions shows.
struct TransactionTimes {
	//! Of the last transaction that committed.
	uint64_t last_commit = 0;
	//! When the oldest running transaction began; unset while none runs.
	std::optional<uint64_t> oldest_begin;
};

//! Thread-safe.
class DeferredDeletes {
public:
	//! Within the commit that deletes the rows, which is the next to become `last_commit`.
	void Add(lm_diskann::Span<const lm_diskann::RowId> row_ids, const TransactionTimes &now) {
		std::lock_guard<std::mutex> guard(lock);
		NoticeCommit(now);
		if (batches.empty() || batches.back().committed_by) {
			batches.push_back({});
		}
		auto &batch = batches.back();
		batch.row_ids.insert(batch.row_ids.end(), row_ids.begin(), row_ids.end());
		batch.added_after = now.last_commit;
		for (const auto &id : row_ids) {
			largest = std::max(largest, id.value);
		}
		is_empty = false;
	}

	//! The rows are there again: their commit failed, or their ids went to other rows.
	void Withdraw(lm_diskann::Span<const lm_diskann::RowId> row_ids) {
		if (is_empty) {
			return;
		}
		std::lock_guard<std::mutex> guard(lock);
		std::vector<lm_diskann::RowId> returned;
		for (const auto &id : row_ids) {
			if (id.value <= largest) {
				returned.push_back(id);
			}
		}
		if (returned.empty()) {
			return; // as nearly always: new rows have new ids
		}
		std::sort(returned.begin(), returned.end());
		const auto is_back = [&](const lm_diskann::RowId &id) {
			return std::binary_search(returned.begin(), returned.end(), id);
		};
		for (auto &batch : batches) {
			auto &ids = batch.row_ids;
			ids.erase(std::remove_if(ids.begin(), ids.end(), is_back), ids.end());
		}
	}

	//! Calls `remove` with the rows that no running transaction sees, and forgets them. A row that is withdrawn at the
	//! same time is either removed before Withdraw returns, or not at all.
	template <class REMOVE>
	void Settle(const TransactionTimes &now, REMOVE remove) {
		if (is_empty) {
			return;
		}
		std::lock_guard<std::mutex> guard(lock);
		NoticeCommit(now);
		while (!batches.empty() && IsDue(batches.front(), now)) {
			const auto &ids = batches.front().row_ids;
			remove(lm_diskann::Span<const lm_diskann::RowId>(ids.data(), ids.size()));
			batches.pop_front();
		}
		is_empty = batches.empty();
	}

private:
	//! In the order of their commits: only the last one's may be going on.
	struct Batch {
		std::vector<lm_diskann::RowId> row_ids;
		uint64_t added_after = 0;
		//! The commit was at this time or before.
		std::optional<uint64_t> committed_by;
	};

	void NoticeCommit(const TransactionTimes &now) {
		if (!batches.empty() && !batches.back().committed_by && batches.back().added_after < now.last_commit) {
			batches.back().committed_by = now.last_commit;
		}
	}
	static bool IsDue(const Batch &batch, const TransactionTimes &now) {
		return !now.oldest_begin || (batch.committed_by && *batch.committed_by < *now.oldest_begin);
	}

	std::atomic<bool> is_empty {true};
	std::mutex lock;
	//! Guarded by `lock`, as `largest`, which no row id in them exceeds.
	std::deque<Batch> batches;
	int64_t largest = -1;
};

} // namespace duckdb
