// The WHERE of an index scan: which rows of the table qualify.
//
// A rule takes the conditions out of the plan (`RowConditions`); at execution they become a `RowFilter`, with
// parameters and values of other operators filled in, and are evaluated by DuckDB's own executor, on its own scans.
#pragma once

#include "adapter/accounted_row_set.hpp"

#include "duckdb/common/column_index.hpp"
#include "duckdb/common/types/data_chunk.hpp"
#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/planner/expression.hpp"
#include "duckdb/planner/table_filter.hpp"
#include "duckdb/storage/storage_index.hpp"

#include <functional>

namespace duckdb {

class ClientContext;
class DataTable;
class TableCatalogEntry;

//! A column of a table as its storage knows it.
StorageIndex ToStorageIndex(const TableCatalogEntry &table, const ColumnIndex &column);
LogicalType ColumnTypeOf(const TableCatalogEntry &table, const ColumnIndex &column);

//! Conditions of which all must be true. Column j of `columns` appears in them as BoundColumnRef (TABLE_INDEX, j),
//! value i of the scan's inputs as BoundReference i.
struct RowConditions {
	static constexpr idx_t TABLE_INDEX = 0;

	vector<ColumnIndex> columns;
	vector<unique_ptr<Expression>> conditions;

	bool IsEmpty() const {
		return conditions.empty();
	}
	//! Parameters or inputs: what qualifies is known at execution only.
	bool HasOpenValues() const;
	RowConditions Copy() const;
	string ToString() const;
};

//! `expression` with inputs replaced by their values, and every part without a column by what it is, if it has a value.
unique_ptr<Expression> FillInInputs(ClientContext &context, const Expression &expression, const vector<Value> &inputs);

//! A filter with its values. Shared by the threads of a scan, each with a RowSelector of its own.
class RowFilter {
public:
	//! Every row qualifies.
	RowFilter() = default;
	//! `inputs` null: conditions that need one are left out. Errors of the conditions themselves come with the rows.
	RowFilter(ClientContext &context, TableCatalogEntry &table, const RowConditions &filter,
	          const vector<Value> *inputs);

	//! The columns that it reads: they come first in every chunk it is asked about.
	const vector<StorageIndex> &Columns() const {
		return columns;
	}
	const vector<LogicalType> &Types() const {
		return types;
	}
	//! Null: every row qualifies.
	const Expression *Condition() const {
		return condition.get();
	}
	//! What of it the storage can check itself, by position in Columns(); null if nothing.
	optional_ptr<TableFilterSet> Pushed() {
		return pushed.filters.empty() ? nullptr : &pushed;
	}

private:
	void Push(ClientContext &context, const vector<ColumnIndex> &column_ids,
	          const vector<unique_ptr<Expression>> &conditions);

	vector<StorageIndex> columns;
	vector<LogicalType> types;
	unique_ptr<Expression> condition;
	TableFilterSet pushed;
};

//! Evaluates a filter. Belongs to one thread.
class RowSelector {
public:
	RowSelector(ClientContext &context, const RowFilter &filter);
	//! Leaves the rows of `chunk` that qualify.
	void Keep(DataChunk &chunk);

private:
	unique_ptr<ExpressionExecutor> executor;
	SelectionVector selection;
};

//! A scan of the rows that the transaction sees and that qualify, without its own appends. Chunks hold the filter's
//! columns, `columns`, and the row id.
struct FilteredScan {
	DataTable &table;
	RowFilter &filter;
	vector<StorageIndex> columns;
	vector<LogicalType> types;

	//! Threads that Run uses.
	idx_t ThreadCount(ClientContext &context) const;
	//! Calls `visit` from several threads, each with its own number; a chunk is valid during the call. Throws
	//! InterruptException.
	void Run(ClientContext &context, const std::function<void(idx_t thread, DataChunk &chunk)> &visit);
};

//! The rows that qualify, of those in `within` (null: of all). Throws OutOfMemoryException.
AccountedRowSet CollectRows(ClientContext &context, DataTable &table, RowFilter &filter,
                            const lm_diskann::RowSet *within);

//! The share of rows that qualifies, from some blocks of rows spread over the table; from all of a small one.
double EstimateSelectivity(ClientContext &context, DataTable &table, RowFilter &filter);

} // namespace duckdb
