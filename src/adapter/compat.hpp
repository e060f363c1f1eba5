// The only place for differences between DuckDB versions. The rest of the adapter is written against the names here,
// which mean the same in DuckDB 1.4 and in the 1.5 series. Everything is a template over DuckDB's types, so that this
// header needs none of theirs: it is included nearly everywhere.
#pragma once

#include "duckdb/common/constants.hpp"
#include "duckdb/common/error_data.hpp"
#include "duckdb/common/optional_idx.hpp"
#include "duckdb/common/optional_ptr.hpp"
#include "duckdb/common/types/selection_vector.hpp"

#if __has_include("duckdb/common/enums/index_removal_type.hpp")
#define LMD_DUCKDB_15 1
#include "duckdb/common/types/data_chunk.hpp"
#else
#define LMD_DUCKDB_15 0
#endif

//! A warning in DuckDB's log; the caller includes duckdb/logging/log_manager.hpp.
#if LMD_DUCKDB_15
#define LMD_LOG_WARN(...) DUCKDB_LOG_WARNING(__VA_ARGS__)
#else
#define LMD_LOG_WARN(...) DUCKDB_LOG_WARN(__VA_ARGS__)
#endif

namespace duckdb {

struct IndexLock;
struct OperatorSourceInput;
class DataChunk;
class ExecutionContext;
class Vector;
enum class SourceResultType : uint8_t;

//! Name of the index type in CREATE INDEX ... USING.
static constexpr const char *LM_DISKANN_TYPE_NAME = "LM_DISKANN";

//! True: DuckDB tells of a delete when it is committed, not when the last transaction that sees the rows has ended.
static constexpr bool DELETES_COME_EARLY = LMD_DUCKDB_15;

//! BoundIndex with one set of callbacks. OnDelete runs in a transaction's cleanup (1.4), or at its commit (1.5); after
//! that OnCleanup runs at the cleanup (1.5). OnDrop runs before the drop is durable (1.4), or after it and for a
//! rolled-back CREATE INDEX, too (1.5).
template <class BASE>
class CompatIndex : public BASE {
public:
	using BASE::BASE;

	virtual void OnDelete(IndexLock &lock, DataChunk &entries, Vector &row_ids) noexcept = 0;
	virtual void OnCleanup() const noexcept = 0;
	virtual void OnDrop() = 0;
	virtual string Describe() const = 0;

#if LMD_DUCKDB_15
	using BASE::Delete;
	using BASE::ResetStorage;
	using BASE::ToString;
	using BASE::TryDelete;
	using BASE::Verify;

	//! A row that the index does not know is deleted as well.
	idx_t TryDelete(IndexLock &lock, DataChunk &entries, Vector &row_ids, optional_ptr<SelectionVector> deleted,
	                optional_ptr<SelectionVector>) noexcept override {
		OnDelete(lock, entries, row_ids);
		for (idx_t i = 0; deleted && i < entries.size(); i++) {
			deleted->set_index(i, i);
		}
		return entries.size();
	}
	void Delete(IndexLock &lock, DataChunk &entries, Vector &row_ids) noexcept override {
		OnDelete(lock, entries, row_ids);
	}
	//! DuckDB asks this in every commit that deletes rows, and in the cleanup after it.
	bool SupportsDeltaIndexes() const override {
		OnCleanup();
		return false;
	}
	void ResetStorage(IndexLock &) override {
		OnDrop();
	}
	void Verify(IndexLock &) override {
	}
	string ToString(IndexLock &, bool) override {
		return Describe();
	}
#else
	using BASE::CommitDrop;
	using BASE::Delete;
	using BASE::VerifyAndToString;

	void Delete(IndexLock &lock, DataChunk &entries, Vector &row_ids) noexcept override {
		OnDelete(lock, entries, row_ids);
	}
	void CommitDrop(IndexLock &) override {
		OnDrop();
	}
	string VerifyAndToString(IndexLock &, const bool) override {
		return Describe();
	}
#endif
};

//! PhysicalOperator whose source is Produce.
template <class BASE>
class CompatOperator : public BASE {
public:
	using BASE::BASE;

	virtual SourceResultType Produce(ExecutionContext &context, DataChunk &chunk, OperatorSourceInput &input) const = 0;

#if LMD_DUCKDB_15
	SourceResultType GetDataInternal(ExecutionContext &context, DataChunk &chunk,
	                                 OperatorSourceInput &input) const override {
		return Produce(context, chunk, input);
	}
#else
	SourceResultType GetData(ExecutionContext &context, DataChunk &chunk, OperatorSourceInput &input) const override {
		return Produce(context, chunk, input);
	}
#endif
};

//! ObjectCacheEntry that the cache never lets go of.
template <class BASE>
class CompatCacheEntry : public BASE {
#if LMD_DUCKDB_15
public:
	optional_idx GetEstimatedCacheMemory() const override {
		return optional_idx();
	}
#endif
};

//! Calls `visit` with each index of a TableIndexList until it returns true. DuckDB's lock on the list is held.
template <class LIST, class VISITOR>
void VisitIndexes(LIST &list, VISITOR visit) {
#if LMD_DUCKDB_15
	for (auto &index : list.Indexes()) {
		if (visit(index)) {
			return;
		}
	}
#else
	list.Scan(visit);
#endif
}

//! Takes the append lock of a DataTable for as long as `state` lives.
template <class TRANSACTION, class CONTEXT, class TABLE, class STATE>
void LockAppends(CONTEXT &context, TABLE &table, STATE &state) {
#if LMD_DUCKDB_15
	table.AppendLock(TRANSACTION::Get(context, table.db), state);
#else
	(void)context;
	table.AppendLock(state);
#endif
}

//! Begins a scan by row groups, for columns of a DataTable that are read through `columns`.
template <class COLUMN, class CONTEXT, class TABLE, class STATE, class COLUMNS>
void InitializeRowGroupScan(CONTEXT &context, TABLE &table, STATE &state, const COLUMNS &columns) {
#if LMD_DUCKDB_15
	vector<COLUMN> indexes;
	for (const auto &column : columns) {
		indexes.emplace_back(column.GetPrimaryIndex());
	}
	table.InitializeParallelScan(context, state, indexes);
#else
	(void)columns;
	table.InitializeParallelScan(context, state);
#endif
}

//! The rows [first, second) of the row group that a scan is at.
template <class ROW_GROUP>
std::pair<idx_t, idx_t> RowGroupRange(const ROW_GROUP &row_group) {
#if LMD_DUCKDB_15
	return {row_group.GetRowStart(), row_group.GetRowEnd()};
#else
	return {row_group.start, row_group.start + row_group.count};
#endif
}

//! The next rows of a scan, whatever transactions see: without those that no transaction will ever need, or all.
template <class SCAN_TYPE, class TABLE, class STATE>
void ScanCommitted(TABLE &table, STATE &scan, DataChunk &chunk, bool omits_permanently_deleted) {
#if LMD_DUCKDB_15
	(void)table;
	scan.table_state.Scan(chunk, omits_permanently_deleted ? SCAN_TYPE::TABLE_SCAN_OMIT_PERMANENTLY_DELETED
	                                                       : SCAN_TYPE::TABLE_SCAN_ALL_ROWS);
#else
	table.CreateIndexScan(scan, chunk,
	                      omits_permanently_deleted ? SCAN_TYPE::TABLE_SCAN_COMMITTED_ROWS_OMIT_PERMANENTLY_DELETED
	                                                : SCAN_TYPE::TABLE_SCAN_COMMITTED_ROWS);
#endif
}

//! One vector of the row group that a scan is at, as `transaction` sees it.
template <class TRANSACTION_DATA, class TRANSACTION, class STATE>
void ScanVector(TRANSACTION &transaction, STATE &scan, idx_t vector_index, DataChunk &chunk) {
	auto &row_group = *scan.table_state.row_group;
#if LMD_DUCKDB_15
	row_group.GetNode().InitializeScanWithOffset(scan.table_state, row_group, vector_index);
	row_group.GetNode().Scan(TRANSACTION_DATA(transaction), scan.table_state, chunk);
#else
	row_group.InitializeScanWithOffset(scan.table_state, vector_index);
	row_group.Scan(TRANSACTION_DATA(transaction), scan.table_state, chunk);
#endif
}

//! Calls `with` with the last commit of a database and the begin of its oldest running transaction,
//! TRANSACTION_ID_START or more while none runs; in 1.4 not at all.
template <class MANAGER, class DATABASE, class WITH>
void ReadTransactionTimes(DATABASE &db, WITH with) {
#if LMD_DUCKDB_15
	auto &manager = MANAGER::Get(db);
	const auto last_commit = manager.GetLastCommit();
	with(last_commit, manager.LowestActiveStart());
#else
	(void)db, (void)with;
#endif
}

//! Takes from a copy of DuckDB's table scan what another function cannot do in its name.
template <class FUNCTION>
void DropServicesOfTableScan(FUNCTION &function) {
#if LMD_DUCKDB_15
	function.get_metrics = nullptr;
	function.set_scan_order = nullptr;
	// The parts of a STRUCT: the index's scans fetch whole columns.
	function.supports_pushdown_extract = nullptr;
#else
	(void)function;
#endif
}

//! Registers `CALLBACK()`, which is told of every connection from now on.
template <class BASE, class CALLBACK, class CONFIG>
void RegisterCallback(CONFIG &config) {
#if LMD_DUCKDB_15
	BASE::Register(config, shared_ptr<BASE>(make_shared_ptr<CALLBACK>()));
#else
	config.extension_callbacks.push_back(unique_ptr<BASE>(make_uniq<CALLBACK>()));
#endif
}

//! Lets current_setting() of a setting whose default is NULL say so: DuckDB does not know it until it has a value.
template <class CONFIG, class VALUE>
void MakeUnsetSettingKnown(CONFIG &config, const char *name, const VALUE &null) {
#if LMD_DUCKDB_15
	VALUE current;
	if (!config.TryGetCurrentSetting(name, current)) {
		config.SetOption(string(name), null);
	}
#else
	config.options.set_variables.emplace(name, null);
#endif
}

template <class CONFIG, class EXTENSION>
void RegisterOptimizerExtension(CONFIG &config, EXTENSION extension) {
#if LMD_DUCKDB_15
	EXTENSION::Register(config, std::move(extension));
#else
	config.optimizer_extensions.push_back(std::move(extension));
#endif
}

} // namespace duckdb
