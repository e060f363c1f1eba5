// The one background thread of a DuckDB instance: warms up indexes that were opened, merges deltas that grew, takes out
// deleted rows that became many, and gives back the free space in files.
//
// It touches cores and their shares of DuckDB's memory, never a table, a context or a list of indexes (lifecycle
// section 10): those may be destroyed by a thread that holds locks it would need. It starts with the first index that
// has work for it, works with threads = 1, and holds an index only for a batch, which is given up (16 blocks that are
// being read are not) as soon as the index is closed or dropped.
#pragma once

#include "adapter/memory_account.hpp"

#include "duckdb/common/atomic.hpp"
#include "duckdb/common/common.hpp"
#include "duckdb/common/mutex.hpp"

#include "index/ann_index.hpp"

#include <condition_variable>
#include <memory>
#include <thread>

namespace duckdb {

//! True when building anew takes less time than merging what was inserted and taking out what was deleted.
bool IsRebuildCheaper(const lm_diskann::IndexCounts &counts);

//! An index as the thread sees it.
struct MaintainedIndex {
	MaintainedIndex(const std::shared_ptr<lm_diskann::AnnIndex> &core_p, std::shared_ptr<MemoryShare> memory_p)
	    : core(core_p), memory(std::move(memory_p)) {
	}

	std::weak_ptr<lm_diskann::AnnIndex> core;
	//! Follows what the core takes beside the page cache.
	std::shared_ptr<MemoryShare> memory;
	//! The blocks that searches begin with were not read and kept yet.
	atomic<bool> is_cold {true};
	//! There may be more to do than that.
	atomic<bool> is_due {false};
	//! Set when the index is closed or dropped: the thread lets go of it.
	atomic<bool> is_closed {false};
	//! Somebody asked: all there is to do is due, once.
	atomic<bool> is_requested {false};
	//! What is dearer to merge than to rebuild is left to the next query or compact, which can rebuild. False: they
	//! cannot, or may not.
	atomic<bool> may_be_rebuilt {true};
	//! In the thread's queue already.
	bool is_queued = false;

	void AccountFor(const lm_diskann::AnnIndex &core_p) const;
};

//! Thread-safe.
class MaintenanceThread {
public:
	~MaintenanceThread();

	//! Queues `index`, to be warmed up if it is cold, and what is due to be done if anything is. Cheap.
	void Offer(const std::shared_ptr<MaintainedIndex> &index);
	//! True when the delta or the tombstones of an index are due, or the RAM that the delta takes.
	static bool IsDue(const lm_diskann::IndexCounts &counts);

private:
	void Run();
	void Maintain(MaintainedIndex &index);
	void WarmUp(MaintainedIndex &index) const;
	//! One kind of work, until it is done or not worth it any more. False: there is nothing to do.
	bool MaintainOnce(MaintainedIndex &index, lm_diskann::AnnIndex &core) const;

	mutex lock;
	std::condition_variable wake;
	vector<std::shared_ptr<MaintainedIndex>> queue;
	std::thread thread;
	atomic<bool> is_stopping {false};
};

} // namespace duckdb
