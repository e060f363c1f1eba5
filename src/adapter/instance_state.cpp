#include "adapter/instance_state.hpp"

#include "duckdb/common/algorithm.hpp"
#include "duckdb/main/attached_database.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/main/client_context_state.hpp"
#include "duckdb/main/config.hpp"
#include "duckdb/main/connection_manager.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/planner/extension_callback.hpp"
#include "duckdb/storage/buffer_manager.hpp"

namespace duckdb {

namespace {

constexpr const char *OBJECT_KEY = "lm_diskann_instance";
constexpr const char *TRANSACTION_KEY = "lm_diskann_transaction";

constexpr uint64_t CACHE_BUDGET_MAX = uint64_t(1) << 30;
//! From this share of memory_limit on caches shrink back to the one up to which they grow.
constexpr uint64_t SHRINK_PERCENT = 90;

//! Of one connection: what its present transaction created.
class TransactionFiles : public ClientContextState {
public:
	explicit TransactionFiles(DatabaseInstance &instance_p) : instance(instance_p) {
	}

	void TransactionCommit(MetaTransaction &, ClientContext &) override {
		created.clear();
		InstanceState::Get(instance)->FinishDrops(true);
	}
	void TransactionRollback(MetaTransaction &, ClientContext &) override {
		for (auto &file : created) {
			file->Remove();
		}
		created.clear();
		InstanceState::Get(instance)->FinishDrops(false);
	}

	DatabaseInstance &instance;
	vector<std::shared_ptr<IndexFile>> created;
};

TransactionFiles &GetTransactionFiles(ClientContext &context) {
	auto &instance = DatabaseInstance::GetDatabase(context);
	return *context.registered_state->GetOrCreate<TransactionFiles>(TRANSACTION_KEY, instance);
}

class ConnectionHook : public ExtensionCallback {
public:
	void OnConnectionOpened(ClientContext &context) override {
		GetTransactionFiles(context);
	}
};

} // namespace

InstanceState::InstanceState(DatabaseInstance &instance_p)
    : instance(instance_p), buffer_manager(BufferManager::GetBufferManager(instance_p)),
      account(std::make_shared<MemoryAccount>(buffer_manager)) {
	auto cache_account = std::make_shared<MemoryAccount>(buffer_manager);
	lm_diskann::PageCache::MemoryAccount gate;
	gate.reserve = [cache_account](uint64_t bytes) { return cache_account->TryReserve(bytes); };
	gate.release = [cache_account](uint64_t bytes) { cache_account->Release(bytes); };
	cache = std::make_shared<lm_diskann::PageCache>(DefaultCacheBudget(instance), std::move(gate));
}

shared_ptr<InstanceState> InstanceState::Get(DatabaseInstance &instance) {
	return instance.GetObjectCache().GetOrCreate<InstanceState>(OBJECT_KEY, instance);
}

uint64_t InstanceState::DefaultCacheBudget(DatabaseInstance &instance) {
	const auto memory_limit = BufferManager::GetBufferManager(instance).GetMaxMemory();
	return MinValue<uint64_t>(memory_limit / 5, CACHE_BUDGET_MAX);
}

void InstanceState::SetCacheBudget(uint64_t budget_bytes) {
	is_budget_set = true;
	cache->SetBudget(budget_bytes);
}

void InstanceState::BeforeQuery() {
	if (!is_budget_set) {
		const auto budget = DefaultCacheBudget(instance);
		if (budget != cache->Budget()) {
			cache->SetBudget(budget);
		}
	}
	const auto memory_limit = buffer_manager.GetMaxMemory();
	const auto used = buffer_manager.GetUsedMemory();
	if (used > Percent(memory_limit, SHRINK_PERCENT)) {
		const auto excess = used - Percent(memory_limit, MemoryAccount::GROWTH_PERCENT);
		const auto cached = cache->UsedBytes();
		cache->Shrink(cached > excess ? cached - excess : 0);
	}
}

void InstanceState::AddDrop(std::shared_ptr<IndexFile> file) {
	lock_guard<mutex> guard(lock);
	drops.push_back({std::this_thread::get_id(), std::move(file)});
}

void InstanceState::FinishDrops(bool is_committed) {
	// A commit and the callbacks that follow it run on one thread; another connection's transaction must not take a
	// drop for durable whose commit is still under way.
	vector<std::shared_ptr<IndexFile>> finished;
	{
		lock_guard<mutex> guard(lock);
		const auto thread = std::this_thread::get_id();
		vector<Drop> remaining;
		for (auto &drop : drops) {
			if (drop.thread == thread) {
				finished.push_back(std::move(drop.file));
			} else {
				remaining.push_back(std::move(drop));
			}
		}
		drops = std::move(remaining);
	}
	if (!is_committed) {
		return;
	}
	for (auto &file : finished) {
		file->Remove();
	}
}

bool InstanceState::MarkCollected(const shared_ptr<AttachedDatabase> &db) {
	lock_guard<mutex> guard(lock);
	idx_t kept_count = 0;
	for (auto &known : collected) {
		const auto other = known.lock();
		if (other.get() == db.get()) {
			return false;
		}
		if (other) {
			collected[kept_count++] = known;
		}
	}
	collected.resize(kept_count);
	collected.push_back(weak_ptr<AttachedDatabase>(db));
	return true;
}

void RegisterTransactionHooks(DatabaseInstance &instance) {
	RegisterCallback<ExtensionCallback, ConnectionHook>(DBConfig::GetConfig(instance));
	for (auto &context : ConnectionManager::Get(instance).GetConnectionList()) {
		GetTransactionFiles(*context);
	}
}

void RemoveOnRollback(ClientContext &context, std::shared_ptr<IndexFile> file) {
	GetTransactionFiles(context).created.push_back(std::move(file));
}

} // namespace duckdb
