#include "adapter/optimize_topk.hpp"

#include "adapter/distance_match.hpp"
#include "adapter/garbage.hpp"
#include "adapter/heal.hpp"
#include "adapter/index_scan.hpp"
#include "adapter/lm_diskann_index.hpp"
#include "adapter/settings.hpp"

#include "duckdb/catalog/catalog_entry/duck_table_entry.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/main/config.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/optimizer/cte_inlining.hpp"
#include "duckdb/optimizer/optimizer.hpp"
#include "duckdb/optimizer/optimizer_extension.hpp"
#include "duckdb/planner/expression/bound_columnref_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/operator/logical_explain.hpp"
#include "duckdb/planner/operator/logical_get.hpp"
#include "duckdb/planner/operator/logical_limit.hpp"
#include "duckdb/planner/operator/logical_order.hpp"
#include "duckdb/planner/operator/logical_projection.hpp"
#include "duckdb/storage/data_table.hpp"

namespace duckdb {

namespace {

//! LIMIT + OFFSET from which sorting the whole table is the better plan: a search list longer than L_search may be.
constexpr idx_t ROW_COUNT_MAX = lm_diskann::L_SEARCH_MAX;

//! LIMIT + OFFSET, or 0 when they are not constants, or too large.
idx_t ConstantRowCount(const LogicalLimit &limit) {
	if (limit.limit_val.Type() != LimitNodeType::CONSTANT_VALUE) {
		return 0;
	}
	const auto row_count = limit.limit_val.GetConstantValue();
	idx_t offset = 0;
	if (limit.offset_val.Type() == LimitNodeType::CONSTANT_VALUE) {
		offset = limit.offset_val.GetConstantValue();
	} else if (limit.offset_val.Type() != LimitNodeType::UNSET) {
		return 0;
	}
	if (row_count > ROW_COUNT_MAX || offset > ROW_COUNT_MAX || row_count + offset > ROW_COUNT_MAX) {
		return 0;
	}
	return row_count == 0 ? 0 : row_count + offset;
}

//! The ORDER BY below LIMIT, or null: one key, ascending, NULLs last.
LogicalOrder *FindOrder(LogicalOperator &limit) {
	auto current = limit.children[0].get();
	// A projection keeps number and order of rows.
	while (current->type == LogicalOperatorType::LOGICAL_PROJECTION) {
		current = current->children[0].get();
	}
	if (current->type != LogicalOperatorType::LOGICAL_ORDER_BY) {
		return nullptr;
	}
	auto &order = current->Cast<LogicalOrder>();
	if (order.orders.size() != 1 || order.orders[0].type != OrderType::ASCENDING ||
	    order.orders[0].null_order != OrderByNullType::NULLS_LAST) {
		return nullptr;
	}
	return &order;
}

//! Replaces references to the projection's columns by what they stand for.
void SubstituteColumns(unique_ptr<Expression> &expression, const LogicalProjection &projection) {
	if (expression->GetExpressionClass() == ExpressionClass::BOUND_COLUMN_REF) {
		const auto &binding = expression->Cast<BoundColumnRefExpression>().binding;
		if (binding.table_index == projection.table_index) {
			expression = projection.expressions[binding.column_index]->Copy();
		}
		return;
	}
	ExpressionIterator::EnumerateChildren(*expression,
	                                      [&](unique_ptr<Expression> &child) { SubstituteColumns(child, projection); });
}

//! Walks down through projections to the scan, rewriting `key` into an expression over its columns. Null for any other
//! operator in between.
LogicalGet *FindScan(LogicalOrder &order, unique_ptr<Expression> &key) {
	auto current = order.children[0].get();
	while (current->type == LogicalOperatorType::LOGICAL_PROJECTION) {
		SubstituteColumns(key, current->Cast<LogicalProjection>());
		current = current->children[0].get();
	}
	if (current->type != LogicalOperatorType::LOGICAL_GET) {
		return nullptr;
	}
	return &current->Cast<LogicalGet>();
}

//! A plain scan of a DuckDB table.
bool IsPlainTableScan(const LogicalGet &get) {
	if (get.function.name != "seq_scan" || !get.bind_data || !get.children.empty()) {
		return false;
	}
	const auto table = get.GetTable();
	return table && table->IsDuckTable() && get.table_filters.filters.empty() && !get.dynamic_filters &&
	       !get.extra_info.sample_options && !get.bind_data->Cast<TableScanBindData>().is_create_index;
}

//! The ready index on the matched column with the matched metric, or null.
std::shared_ptr<LiveIndex> FindIndex(ClientContext &context, const LogicalGet &get, const DistanceMatch &match,
                                     bool may_heal) {
	const auto &column_ids = get.GetColumnIds();
	if (match.column.table_index != get.table_index || match.column.column_index >= column_ids.size()) {
		return nullptr;
	}
	const auto &column = column_ids[match.column.column_index];
	if (column.IsVirtualColumn() || column.HasChildren()) {
		return nullptr;
	}
	auto &table = *get.GetTable();
	const auto &definition = table.GetColumn(column.ToLogical());
	if (definition.Generated()) {
		return nullptr;
	}
	auto &storage = table.GetStorage();
	for (auto &index : GetTableIndexes(context, storage)) {
		const auto &configuration = index.live->Configuration();
		if (index.storage_column != definition.StorageOid() || !configuration ||
		    configuration->metric != match.metric) {
			continue;
		}
		index.live->RequireCoverage(storage.GetTotalRows());
		if (!index.live->IsReady() && may_heal) {
			HealForQuery(context, storage, index);
		}
		if (index.live->IsReady()) {
			return index.live;
		}
	}
	return nullptr;
}

void RewriteScan(ClientContext &context, LogicalGet &get, std::shared_ptr<LiveIndex> index, const Expression &query,
                 idx_t row_count) {
	auto bind_data = make_uniq<IndexScanBindData>(*get.GetTable());
	bind_data->column_ids = get.bind_data->Cast<TableScanBindData>().column_ids;
	bind_data->query = query.Copy();
	bind_data->row_count = row_count;
	const auto session_size = SessionSearchListSize(context);
	bind_data->search_list_size = session_size ? *session_size : index->Configuration()->l_search;
	bind_data->beam_width = BeamWidth(context);
	bind_data->index = std::move(index);
	get.function = IndexScanFunction();
	get.bind_data = std::move(bind_data);
}

void TryRewrite(ClientContext &context, LogicalOperator &op, bool may_heal) {
	if (op.type != LogicalOperatorType::LOGICAL_LIMIT) {
		return;
	}
	const auto row_count = ConstantRowCount(op.Cast<LogicalLimit>());
	const auto order = row_count > 0 ? FindOrder(op) : nullptr;
	if (!order) {
		return;
	}
	auto key = order->orders[0].expression->Copy();
	const auto get = FindScan(*order, key);
	if (!get || !IsPlainTableScan(*get)) {
		return;
	}
	const auto match = MatchDistance(*key);
	if (!match) {
		return;
	}
	auto index = FindIndex(context, *get, *match, may_heal);
	if (index) {
		RewriteScan(context, *get, std::move(index), *match->query, row_count);
	}
}

void Visit(ClientContext &context, LogicalOperator &op, bool may_heal) {
	TryRewrite(context, op, may_heal);
	for (auto &child : op.children) {
		Visit(context, *child, may_heal);
	}
}

//! EXPLAIN without ANALYZE only looks: it shall not take the time of a rebuild.
bool IsOnlyExplained(const LogicalOperator &plan) {
	return plan.type == LogicalOperatorType::LOGICAL_EXPLAIN &&
	       plan.Cast<LogicalExplain>().explain_type == ExplainType::EXPLAIN_STANDARD;
}

//! Cheap pre-test for the many statements that have neither.
bool Contains(const LogicalOperator &op, LogicalOperatorType type) {
	if (op.type == type) {
		return true;
	}
	for (const auto &child : op.children) {
		if (Contains(*child, type)) {
			return true;
		}
	}
	return false;
}

void PreOptimize(OptimizerExtensionInput &input, unique_ptr<LogicalOperator> &plan) {
	auto &context = input.context;
	auto &instance = DatabaseInstance::GetDatabase(context);
	// Every statement passes here, with no lock held: the first after ATTACH cleans up.
	CollectGarbage(instance);
	if (!Contains(*plan, LogicalOperatorType::LOGICAL_LIMIT) || !IsIndexScanEnabled(context)) {
		return;
	}
	// DuckDB inlines CTEs right after this point, and would hide "WITH c AS (...) SELECT ... FROM c ORDER BY" from us.
	if (Contains(*plan, LogicalOperatorType::LOGICAL_MATERIALIZED_CTE) &&
	    !input.optimizer.OptimizerDisabled(OptimizerType::CTE_INLINING)) {
		plan = CTEInlining(input.optimizer).Optimize(std::move(plan));
	}
	InstanceState::Get(instance)->BeforeQuery();
	Visit(context, *plan, !IsOnlyExplained(*plan));
}

} // namespace

void RegisterTopKRule(DatabaseInstance &instance) {
	OptimizerExtension rule;
	rule.pre_optimize_function = PreOptimize;
	DBConfig::GetConfig(instance).optimizer_extensions.push_back(std::move(rule));
}

} // namespace duckdb
