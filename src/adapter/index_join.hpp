// LM_DISKANN_INDEX_JOIN: for each row of the left side the k nearest rows of a table, through its index.
//
// It takes the place of DuckDB's whole plan for a LATERAL subquery with ORDER BY distance LIMIT k (lateral_match.hpp)
// and promises what that plan does, but for which near neighbours are found: at most k visible rows for each left row,
// by the exact distance, after all conditions. The left rows are collected, so that searches that read the same blocks
// run one after the other (join_queries.hpp); then every thread searches for batches of them (join_search.hpp).
#pragma once

#include "adapter/filter_strategy.hpp"
#include "adapter/live_index.hpp"

#include "duckdb/common/column_index.hpp"
#include "duckdb/planner/operator/logical_extension_operator.hpp"

namespace duckdb {

//! What the logical and the physical operator have in common.
struct IndexJoinSpec {
	explicit IndexJoinSpec(TableCatalogEntry &table_p) : table(table_p) {
	}

	TableCatalogEntry &table;
	std::shared_ptr<LiveIndex> index;
	//! Columns of the table that expressions use, and their types.
	vector<ColumnIndex> columns;
	vector<LogicalType> column_types;
	idx_t limit = 0;
	idx_t offset = 0;
	uint32_t search_list_size = 0;
	uint32_t beam_width = 0;
	//! A left row without any match stays, with NULLs.
	bool is_left_join = false;
	//! So many of the expressions are conditions on a row.
	idx_t filter_count = 0;
	//! The setting.
	FilterStrategy filter_strategy = FilterStrategy::AUTO;

	//! For EXPLAIN.
	InsertionOrderPreservingMap<string> Describe() const;
};

//! Its expressions are, in this order: the query vector, the distance, the conditions, the columns of the right side.
//! They are over the columns of the child and those of the table, which have the table index.
class LogicalIndexJoin : public LogicalExtensionOperator {
public:
	LogicalIndexJoin(IndexJoinSpec spec_p, idx_t table_index_p, vector<ColumnBinding> right_bindings_p);

	static constexpr idx_t QUERY = 0, DISTANCE = 1, FIRST_FILTER = 2;

	//! Evaluates no column of the right side that `is_used` does not want, and reads no column of the table in vain.
	void Prune(const std::function<bool(const ColumnBinding &binding)> &is_used);

	vector<ColumnBinding> GetColumnBindings() override;
	vector<idx_t> GetTableIndex() const override;
	string GetName() const override;
	InsertionOrderPreservingMap<string> ParamsToString() const override;
	idx_t EstimateCardinality(ClientContext &context) override;
	void ResolveColumnBindings(ColumnBindingResolver &resolver, vector<ColumnBinding> &bindings) override;
	PhysicalOperator &CreatePlan(ClientContext &context, PhysicalPlanGenerator &planner) override;
	string GetExtensionName() const override;

protected:
	void ResolveTypes() override;

private:
	idx_t FirstOutput() const {
		return FIRST_FILTER + spec.filter_count;
	}

	IndexJoinSpec spec;
	idx_t table_index;
	vector<ColumnBinding> right_bindings;
};

} // namespace duckdb
