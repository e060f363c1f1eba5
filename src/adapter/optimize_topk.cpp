#include "adapter/optimize_topk.hpp"

#include "adapter/garbage.hpp"
#include "adapter/index_scan.hpp"
#include "adapter/plan_match.hpp"
#include "adapter/settings.hpp"

#include "duckdb/catalog/catalog_entry/duck_table_entry.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/main/config.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/optimizer/cte_inlining.hpp"
#include "duckdb/optimizer/optimizer.hpp"
#include "duckdb/optimizer/optimizer_extension.hpp"
#include "duckdb/planner/operator/logical_get.hpp"
#include "duckdb/planner/operator/logical_limit.hpp"
#include "duckdb/planner/operator/logical_order.hpp"

namespace duckdb {

namespace {

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
	const auto get = FindScan(*order->children[0], key);
	if (!get || !IsPlainTableScan(*get)) {
		return;
	}
	const auto match = MatchDistance(*key);
	if (!match) {
		return;
	}
	auto index = FindReadyIndex(context, *get, *match, may_heal);
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

void PreOptimize(OptimizerExtensionInput &input, unique_ptr<LogicalOperator> &plan) {
	auto &context = input.context;
	auto &instance = DatabaseInstance::GetDatabase(context);
	// Every statement passes here, with no lock held: the first after ATTACH cleans up.
	CollectGarbage(instance);
	if (!ContainsOperator(*plan, LogicalOperatorType::LOGICAL_LIMIT) || !IsIndexScanEnabled(context)) {
		return;
	}
	// DuckDB inlines CTEs right after this point, and would hide "WITH c AS (...) SELECT ... FROM c ORDER BY" from us.
	if (ContainsOperator(*plan, LogicalOperatorType::LOGICAL_MATERIALIZED_CTE) &&
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
