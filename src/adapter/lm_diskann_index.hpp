// The index object DuckDB owns: a thin shell around LiveIndex that translates DuckDB's callbacks.
//
// The contract of the callbacks (threads, locks, what may throw) is in duckdb_index_lifecycle.md, section 11: Append is
// in RAM only, Delete and SerializeToDisk never throw, CommitDrop only marks, and the destructor removes no file.
#pragma once

#include "adapter/compat.hpp"
#include "adapter/deferred_deletes.hpp"
#include "adapter/live_index.hpp"
#include "adapter/row_scan.hpp"

#include "duckdb/execution/index/bound_index.hpp"
#include "duckdb/execution/index/index_type.hpp"

namespace duckdb {

class DataTable;

class LmDiskannIndex final : public CompatIndex<BoundIndex> {
public:
	LmDiskannIndex(const string &name, IndexConstraintType constraint_type, const vector<column_t> &column_ids,
	               TableIOManager &table_io_manager, const vector<unique_ptr<Expression>> &unbound_expressions,
	               AttachedDatabase &db, std::shared_ptr<LiveIndex> live_p);
	~LmDiskannIndex() override;
	//! IndexType::create_instance: always returns an object (lifecycle trap 2).
	static unique_ptr<BoundIndex> CreateInstance(CreateIndexInput &input);

	//! Takes rows out that were deleted and that no transaction sees any more, where DuckDB does not say when that is.
	void SettleDeletes() const noexcept;
	const std::shared_ptr<LiveIndex> &Live() const {
		return live;
	}
	//! Position of the indexed column in the table's storage.
	column_t StorageColumn() const {
		return column_ids[0];
	}

	using BoundIndex::Append;
	using BoundIndex::GetInMemorySize;
	using BoundIndex::Insert;
	using BoundIndex::MergeIndexes;
	using BoundIndex::Vacuum;
	using BoundIndex::VerifyAllocations;
	using BoundIndex::VerifyBuffers;

	ErrorData Append(IndexLock &lock, DataChunk &chunk, Vector &row_ids) override;
	void OnDelete(IndexLock &lock, DataChunk &entries, Vector &row_ids) noexcept override;
	void OnCleanup() const noexcept override {
		SettleDeletes();
	}
	void OnDrop() override;
	string Describe() const override;
	IndexStorageInfo SerializeToDisk(QueryContext context, const case_insensitive_map_t<Value> &options) override;
	IndexStorageInfo SerializeToWAL(const case_insensitive_map_t<Value> &options) override;
	idx_t GetInMemorySize(IndexLock &lock) override;

	// DuckDB calls the rest for its own index type or for constraints only.
	void Vacuum(IndexLock &lock) override;
	ErrorData Insert(IndexLock &lock, DataChunk &chunk, Vector &row_ids) override;
	bool MergeIndexes(IndexLock &lock, BoundIndex &other_index) override;
	void VerifyAllocations(IndexLock &lock) override;
	void VerifyBuffers(IndexLock &lock) override;
	string GetConstraintViolationMessage(VerifyExistenceType verify_type, idx_t failed_index,
	                                     DataChunk &input) override;

private:
	TransactionTimes Times() const;

	std::shared_ptr<LiveIndex> live;
	//! Unset for a column of a type no index of this kind can have. Guarded by the index lock.
	std::unique_ptr<VectorRows> rows;
	mutable DeferredDeletes deferred;
};

//! The LM_DISKANN indexes of a table, bound first where they are not. Call with a context in a transaction and without
//! DuckDB's index lock, never from a callback of an index.
struct TableIndex {
	//! The indexed column; the index has a configuration.
	IndexedColumn Column(const DataTable &table) const;

	std::shared_ptr<LiveIndex> live;
	column_t storage_column = 0;
};
vector<TableIndex> GetTableIndexes(ClientContext &context, DataTable &table);

} // namespace duckdb
