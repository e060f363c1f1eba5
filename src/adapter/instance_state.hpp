// What all indexes of one DuckDB instance share: the page cache, the account of its memory, and the files whose fate
// hangs on a transaction.
#pragma once

#include "adapter/compat.hpp"
#include "adapter/duckdb_file.hpp"
#include "adapter/index_files.hpp"
#include "adapter/maintenance_thread.hpp"
#include "adapter/memory_account.hpp"
#include "adapter/operations.hpp"

#include "storage/page_cache.hpp"

#include "duckdb/common/atomic.hpp"
#include "duckdb/common/mutex.hpp"
#include "duckdb/storage/object_cache.hpp"

#include <memory>
#include <thread>

namespace duckdb {

//! One per DatabaseInstance, in its object cache. Thread-safe.
class InstanceState : public CompatCacheEntry<ObjectCacheEntry> {
public:
	explicit InstanceState(DatabaseInstance &instance_p);

	static string ObjectType() {
		return "lm_diskann_instance";
	}
	string GetObjectType() override {
		return ObjectType();
	}
	static shared_ptr<InstanceState> Get(DatabaseInstance &instance);

	const std::shared_ptr<lm_diskann::PageCache> &Cache() const {
		return cache;
	}
	//! Memory of deltas, builds and files in RAM; the cache has its own account.
	const std::shared_ptr<MemoryAccount> &Account() const {
		return account;
	}
	//! Builds and compacts that are under way.
	const std::shared_ptr<OperationList> &Operations() const {
		return operations;
	}
	//! Whether index files are read past the operating system's page cache.
	const DirectIoSwitch &DirectIo() const {
		return direct_io;
	}
	//! Background work of all indexes.
	MaintenanceThread &Maintenance() {
		return maintenance;
	}
	//! Takes effect at once; until it is called the budget follows memory_limit.
	void SetCacheBudget(uint64_t budget_bytes);
	//! 20 % of memory_limit, at most 1 GiB.
	static uint64_t DefaultCacheBudget(DatabaseInstance &instance);

	//! Adapts the cache to memory_limit and gives memory back when DuckDB is short of it. Cheap; call per query.
	void BeforeQuery();

	//! A DROP is being committed by this thread: the file goes when the commit is durable (FinishDrops).
	void AddDrop(std::shared_ptr<IndexFile> file);
	//! The transaction that this thread ended was committed (durably), or not: removes or forgets its dropped files.
	void FinishDrops(bool is_committed);

	//! True the first time it is asked for an attached database.
	bool MarkCollected(const shared_ptr<AttachedDatabase> &db);

private:
	struct Drop {
		std::thread::id thread;
		std::shared_ptr<IndexFile> file;
	};

	DatabaseInstance &instance;
	BufferManager &buffer_manager;
	std::shared_ptr<MemoryAccount> account;
	std::shared_ptr<lm_diskann::PageCache> cache;
	const std::shared_ptr<OperationList> operations = std::make_shared<OperationList>();
	DirectIoSwitch direct_io = std::make_shared<std::atomic<bool>>(false);
	atomic<bool> is_budget_set {false};
	mutex lock;
	vector<Drop> drops;
	//! Databases whose orphans were collected.
	vector<weak_ptr<AttachedDatabase>> collected;
	//! Goes first: it may be using the cache.
	MaintenanceThread maintenance;
};

//! Follows every transaction of every connection from now on: files of indexes created in a transaction that rolls
//! back are removed, files of dropped indexes when the drop is durable (lifecycle 2.2 and trap 11).
void RegisterTransactionHooks(DatabaseInstance &instance);

//! The present transaction of `context` creates `file`: remove it on rollback. Also for connections opened before LOAD.
void RemoveOnRollback(ClientContext &context, std::shared_ptr<IndexFile> file);

} // namespace duckdb
