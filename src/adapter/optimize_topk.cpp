#include "adapter/optimize_topk.hpp"

#include "adapter/compat.hpp"
#include "adapter/garbage.hpp"
#include "adapter/optimize_join.hpp"
#include "adapter/optimize_range.hpp"
#include "adapter/plan_match.hpp"
#include "adapter/scan_path.hpp"
#include "adapter/search_effort.hpp"
#include "adapter/settings.hpp"

#include "duckdb/catalog/catalog_entry/duck_table_entry.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/main/config.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/optimizer/cte_inlining.hpp"
#include "duckdb/optimizer/optimizer.hpp"
#include "duckdb/optimizer/optimizer_extension.hpp"
#include "duckdb/planner/expression/bound_aggregate_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_operator_expression.hpp"
#include "duckdb/planner/operator/logical_aggregate.hpp"
#include "duckdb/planner/operator/logical_limit.hpp"
#include "duckdb/planner/operator/logical_order.hpp"
#include "duckdb/storage/data_table.hpp"

namespace duckdb {

namespace {

//! What a target recall is met for when LIMIT is known only later.
constexpr idx_t ROW_COUNT_GUESS = 100;

//! How many rows an operator wants, and of what it wants the first.
struct TopK {
	//! Over the columns of `input`.
	const Expression *key = nullptr;
	unique_ptr<LogicalOperator> *input = nullptr;
	//! LIMIT + OFFSET, or 0 and expressions (the second may be null).
	idx_t row_count = 0;
	unique_ptr<Expression> limit;
	unique_ptr<Expression> offset;
	bool has_tie_keys = false;
	//! The key is a similarity, the first rows are those with the largest.
	bool is_descending = false;
	//! Rows that count, over the columns of `input`; null: all.
	unique_ptr<Expression> condition;
};

//! A part of LIMIT as an expression; null: absent, a percentage, or not known before rows are read.
unique_ptr<Expression> CountExpression(const BoundLimitNode &node) {
	if (node.Type() == LimitNodeType::CONSTANT_VALUE) {
		return make_uniq<BoundConstantExpression>(Value::UBIGINT(node.GetConstantValue()));
	}
	if (node.Type() == LimitNodeType::EXPRESSION_VALUE && IsQueryExpression(node.GetValueExpression())) {
		return node.GetValueExpression().Copy();
	}
	return nullptr;
}

//! False: no number of rows, none, or one that no index scan is for.
bool ReadLimit(const LogicalLimit &limit, TopK &top) {
	const auto is_constant =
	    limit.limit_val.Type() == LimitNodeType::CONSTANT_VALUE &&
	    (limit.offset_val.Type() == LimitNodeType::CONSTANT_VALUE || limit.offset_val.Type() == LimitNodeType::UNSET);
	if (is_constant) {
		top.row_count = ConstantRowCount(limit);
		return top.row_count > 0;
	}
	top.limit = CountExpression(limit.limit_val);
	top.offset = CountExpression(limit.offset_val);
	return top.limit && (top.offset || limit.offset_val.Type() == LimitNodeType::UNSET);
}

//! LIMIT over ORDER BY, whose first key decides, NULLs last.
bool ReadOrderedLimit(LogicalOperator &op, TopK &top) {
	if (!ReadLimit(op.Cast<LogicalLimit>(), top)) {
		return false;
	}
	auto current = op.children[0].get();
	// A projection keeps number and order of rows.
	while (current->type == LogicalOperatorType::LOGICAL_PROJECTION) {
		current = current->children[0].get();
	}
	if (current->type != LogicalOperatorType::LOGICAL_ORDER_BY) {
		return false;
	}
	const auto &orders = current->Cast<LogicalOrder>().orders;
	if (orders[0].null_order != OrderByNullType::NULLS_LAST) {
		return false;
	}
	top.key = orders[0].expression.get();
	top.is_descending = orders[0].type == OrderType::DESCENDING;
	top.has_tie_keys = orders.size() > 1;
	top.input = &current->children[0];
	return true;
}

//! min_by(x, distance [, k]) over all rows, or max_by of a similarity. They leave out rows where x is NULL.
bool ReadMinBy(ClientContext &context, LogicalOperator &op, TopK &top) {
	const auto &aggregate = op.Cast<LogicalAggregate>();
	if (!aggregate.groups.empty() || aggregate.grouping_sets.size() > 1 || op.expressions.size() != 1 ||
	    op.expressions[0]->GetExpressionClass() != ExpressionClass::BOUND_AGGREGATE) {
		return false;
	}
	const auto &call = op.expressions[0]->Cast<BoundAggregateExpression>();
	const auto &name = call.function.name;
	top.is_descending = name == "max_by" || name == "arg_max";
	if ((!top.is_descending && name != "min_by" && name != "arg_min") || call.filter || call.IsDistinct() ||
	    call.order_bys || call.children.size() < 2 || call.children.size() > 3) {
		return false;
	}
	top.row_count = 1;
	if (call.children.size() == 3) {
		Value count;
		if (!IsQueryExpression(*call.children[2]) || call.children[2]->HasParameter() ||
		    !ExpressionExecutor::TryEvaluateScalar(context, *call.children[2], count) || count.IsNull()) {
			return false;
		}
		const auto row_count = count.GetValue<int64_t>();
		if (row_count < 1 || row_count > int64_t(INDEX_SCAN_ROWS_MAX)) {
			return false;
		}
		top.row_count = idx_t(row_count);
	}
	top.key = call.children[1].get();
	auto not_null = make_uniq<BoundOperatorExpression>(ExpressionType::OPERATOR_IS_NOT_NULL, LogicalType::BOOLEAN);
	not_null->children.push_back(call.children[0]->Copy());
	top.condition = std::move(not_null);
	top.input = &op.children[0];
	return true;
}

unique_ptr<IndexScanBindData> MakeBindData(ClientContext &context, const ScanPath &path,
                                           std::shared_ptr<LiveIndex> index, TopK &top) {
	const auto &get = path.Get();
	auto &table = *get.GetTable();
	auto bind_data = make_uniq<IndexScanBindData>(table);
	bind_data->column_ids = get.bind_data->Cast<TableScanBindData>().column_ids;
	const auto &definition = table.GetColumn(get.GetColumnIds()[path.Match().column.column_index].ToLogical());
	bind_data->column.logical_type = definition.Type();
	bind_data->column.storage_column = definition.StorageOid();
	ReadVectorColumnType(definition.Type(), bind_data->column.type);
	bind_data->row_count = top.row_count;
	bind_data->limit = std::move(top.limit);
	bind_data->offset = std::move(top.offset);
	bind_data->has_tie_keys = top.has_tie_keys;
	bind_data->is_descending = top.is_descending;
	const auto effort = ChooseSearchEffort(context, *index, top.row_count > 0 ? top.row_count : ROW_COUNT_GUESS);
	bind_data->search_list_size = effort.list_size;
	bind_data->target_recall = effort.target_recall;
	bind_data->beam_width = BeamWidth(context);
	bind_data->filter_strategy = FilterStrategyOf(context);
	bind_data->index = std::move(index);
	return bind_data;
}

void TryRewrite(OptimizerExtensionInput &input, LogicalOperator &op, bool may_heal) {
	auto &context = input.context;
	TopK top;
	if (op.type == LogicalOperatorType::LOGICAL_LIMIT
	        ? !ReadOrderedLimit(op, top)
	        : op.type != LogicalOperatorType::LOGICAL_AGGREGATE_AND_GROUP_BY || !ReadMinBy(context, op, top)) {
		return;
	}
	ScanPath path;
	if (!path.Find(*top.input, *top.key, top.is_descending, std::move(top.condition))) {
		return;
	}
	if (!path.HasFilter() && FilterStrategyOf(context) == FilterStrategy::AUTO &&
	    IsExactScanCheaper(path.Get().GetTable()->GetStorage().GetTotalRows(),
	                       uint32_t(ArrayType::GetSize(path.Match().column_type)), top.row_count)) {
		return;
	}
	auto index = FindReadyIndex(context, path.Get(), path.Match(), may_heal);
	if (index) {
		path.Rewrite(context, input.optimizer.binder, MakeBindData(context, path, std::move(index), top));
	}
}

void Visit(OptimizerExtensionInput &input, LogicalOperator &op, bool may_heal) {
	TryRewrite(input, op, may_heal);
	for (auto &child : op.children) {
		Visit(input, *child, may_heal);
	}
}

void PreOptimize(OptimizerExtensionInput &input, unique_ptr<LogicalOperator> &plan) {
	auto &context = input.context;
	auto &instance = DatabaseInstance::GetDatabase(context);
	// Every statement passes here, with no lock held: the first after ATTACH cleans up.
	CollectGarbage(instance);
	const bool has_any = ContainsOperator(*plan, LogicalOperatorType::LOGICAL_LIMIT) ||
	                     ContainsOperator(*plan, LogicalOperatorType::LOGICAL_AGGREGATE_AND_GROUP_BY) ||
	                     ContainsOperator(*plan, LogicalOperatorType::LOGICAL_DELIM_JOIN) ||
	                     ContainsOperator(*plan, LogicalOperatorType::LOGICAL_FILTER);
	if (!has_any || !IsIndexScanEnabled(context)) {
		return;
	}
	// DuckDB inlines CTEs right after this point, and would hide "WITH c AS (...) SELECT ... FROM c ORDER BY" from us.
	if (ContainsOperator(*plan, LogicalOperatorType::LOGICAL_MATERIALIZED_CTE) &&
	    !input.optimizer.OptimizerDisabled(OptimizerType::CTE_INLINING)) {
		plan = CTEInlining(input.optimizer).Optimize(std::move(plan));
	}
	InstanceState::Get(instance)->BeforeQuery();
	const bool may_heal = !IsOnlyExplained(*plan);
	RewriteLateralJoins(context, plan, may_heal);
	RewriteRanges(context, *plan, may_heal);
	Visit(input, *plan, may_heal);
}

} // namespace

void RegisterTopKRule(DatabaseInstance &instance) {
	OptimizerExtension rule;
	rule.pre_optimize_function = PreOptimize;
	RegisterOptimizerExtension(DBConfig::GetConfig(instance), std::move(rule));
}

} // namespace duckdb
