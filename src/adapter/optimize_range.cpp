#include "adapter/optimize_range.hpp"

#include "adapter/plan_match.hpp"
#include "adapter/range_scan.hpp"
#include "adapter/search_effort.hpp"
#include "adapter/settings.hpp"

#include "duckdb/catalog/catalog_entry/duck_table_entry.hpp"
#include "duckdb/planner/expression/bound_between_expression.hpp"
#include "duckdb/planner/expression/bound_columnref_expression.hpp"
#include "duckdb/planner/expression/bound_comparison_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/operator/logical_filter.hpp"
#include "duckdb/planner/operator/logical_get.hpp"
#include "duckdb/planner/operator/logical_join.hpp"
#include "duckdb/planner/operator/logical_limit.hpp"
#include "duckdb/planner/operator/logical_order.hpp"
#include "duckdb/planner/operator/logical_projection.hpp"

namespace duckdb {

namespace {

//! The list of a range search reaches beyond the rows within as far as that of a search for so many.
constexpr idx_t MARGIN_ROWS = 10;

//! distance < radius, taken apart; both are part of the condition.
struct RangeCondition {
	const Expression *distance;
	const Expression *radius;
};

//! Every comparison with something above a value that may be a distance.
std::optional<RangeCondition> MatchUpperBound(const Expression &condition) {
	const Expression *distance = nullptr;
	const Expression *radius = nullptr;
	if (condition.GetExpressionClass() == ExpressionClass::BOUND_BETWEEN) {
		const auto &between = condition.Cast<BoundBetweenExpression>();
		distance = between.input.get();
		radius = between.upper.get();
	} else if (condition.GetExpressionClass() == ExpressionClass::BOUND_COMPARISON) {
		const auto &comparison = condition.Cast<BoundComparisonExpression>();
		switch (condition.GetExpressionType()) {
		case ExpressionType::COMPARE_LESSTHAN:
		case ExpressionType::COMPARE_LESSTHANOREQUALTO:
			distance = comparison.left.get();
			radius = comparison.right.get();
			break;
		case ExpressionType::COMPARE_GREATERTHAN:
		case ExpressionType::COMPARE_GREATERTHANOREQUALTO:
			distance = comparison.right.get();
			radius = comparison.left.get();
			break;
		default:
			return std::nullopt;
		}
	} else {
		return std::nullopt;
	}
	if (!radius->return_type.IsNumeric() || !IsQueryExpression(*radius)) {
		return std::nullopt;
	}
	return RangeCondition {distance, radius};
}

optional_idx OnlyTableOf(const Expression &expression) {
	optional_idx table_index;
	bool is_one = true;
	ExpressionIterator::VisitExpression<BoundColumnRefExpression>(
	    expression, [&](const BoundColumnRefExpression &column) {
		    is_one = is_one && (!table_index.IsValid() || table_index.GetIndex() == column.binding.table_index);
		    table_index = column.binding.table_index;
	    });
	return is_one ? table_index : optional_idx();
}

bool Provides(LogicalOperator &op, idx_t table_index) {
	for (const auto &binding : op.GetColumnBindings()) {
		if (binding.table_index == table_index) {
			return true;
		}
	}
	return false;
}

//! A join returns the same rows that meet a condition on one side when only such rows come from there.
bool MayFilterBelow(JoinType type, idx_t child) {
	switch (type) {
	case JoinType::INNER:
		return true;
	case JoinType::LEFT:
	case JoinType::SEMI:
	case JoinType::ANTI:
	case JoinType::MARK:
	case JoinType::SINGLE:
		return child == 0;
	default:
		return false;
	}
}

struct ConditionedScan {
	LogicalGet *get = nullptr;
	//! Each row of the scan is one row of the operator.
	bool is_direct = true;
};

//! The scan that `distance` is over, rewriting it to the scan's columns, through operators below which a condition on
//! one table holds as well as above them: projections, filters, cross products and joins.
ConditionedScan FindConditionedScan(LogicalOperator &op, unique_ptr<Expression> &distance) {
	ConditionedScan result;
	auto current = &op;
	while (true) {
		const auto table_index = OnlyTableOf(*distance);
		if (!table_index.IsValid()) {
			return result;
		}
		idx_t child = 0;
		switch (current->type) {
		case LogicalOperatorType::LOGICAL_GET:
			result.get = &current->Cast<LogicalGet>();
			return result;
		case LogicalOperatorType::LOGICAL_PROJECTION:
			SubstituteColumns(distance, current->Cast<LogicalProjection>());
			break;
		case LogicalOperatorType::LOGICAL_FILTER:
			break;
		case LogicalOperatorType::LOGICAL_COMPARISON_JOIN:
		case LogicalOperatorType::LOGICAL_ANY_JOIN:
		case LogicalOperatorType::LOGICAL_DELIM_JOIN:
			child = Provides(*current->children[0], table_index.GetIndex()) ? 0 : 1;
			if (!MayFilterBelow(current->Cast<LogicalJoin>().join_type, child)) {
				return result;
			}
			break;
		case LogicalOperatorType::LOGICAL_CROSS_PRODUCT:
			child = Provides(*current->children[0], table_index.GetIndex()) ? 0 : 1;
			break;
		default:
			return result;
		}
		result.is_direct = result.is_direct && current->type == LogicalOperatorType::LOGICAL_PROJECTION;
		current = current->children[child].get();
	}
}

//! ORDER BY one key LIMIT above a filter.
struct TopKAbove {
	idx_t row_count = 0;
	//! Ascending, NULLs last; over the columns below.
	unique_ptr<Expression> key;
};

class RangeRule {
public:
	RangeRule(ClientContext &context_p, bool may_heal_p) : context(context_p), may_heal(may_heal_p) {
	}

	void Visit(LogicalOperator &op, TopKAbove above);

private:
	void VisitFilter(LogicalFilter &filter, const TopKAbove &above);
	bool TryRewrite(LogicalFilter &filter, const RangeCondition &condition, const TopKAbove &above);

	ClientContext &context;
	const bool may_heal;
};

//! Both over the same columns.
bool IsSameDistance(const Expression &a, const Expression &b) {
	const auto match_a = MatchDistance(a);
	const auto match_b = MatchDistance(b);
	return match_a && match_b && match_a->metric == match_b->metric && match_a->column == match_b->column &&
	       match_a->query->Equals(*match_b->query);
}

bool RangeRule::TryRewrite(LogicalFilter &filter, const RangeCondition &condition, const TopKAbove &above) {
	auto distance = condition.distance->Copy();
	const bool is_ordered_by = above.row_count > 0 && above.key && IsSameDistance(*above.key, *distance);
	// With further conditions nobody knows how many rows within the radius LIMIT needs: the rule for top-k decides.
	if (is_ordered_by && filter.expressions.size() > 1) {
		return false;
	}
	const auto scan = FindConditionedScan(*filter.children[0], distance);
	const auto get = scan.get;
	const auto match = get && IsPlainTableScan(*get) ? MatchDistance(*distance) : std::nullopt;
	auto index = match ? FindReadyIndex(context, *get, *match, may_heal) : nullptr;
	if (!index) {
		return false;
	}
	auto bind_data = make_uniq<RangeScanBindData>(*get->GetTable());
	bind_data->column_ids = get->bind_data->Cast<TableScanBindData>().column_ids;
	bind_data->query = match->query->Copy();
	bind_data->radius = condition.radius->Copy();
	bind_data->row_count = is_ordered_by && scan.is_direct ? above.row_count : 0;
	const auto nearest_count = bind_data->row_count > 0 ? bind_data->row_count : MARGIN_ROWS;
	bind_data->search_list_size = ChooseSearchEffort(context, *index, nearest_count).list_size;
	bind_data->beam_width = BeamWidth(context);
	bind_data->index = std::move(index);
	get->function = RangeScanFunction();
	get->bind_data = std::move(bind_data);
	return true;
}

void RangeRule::VisitFilter(LogicalFilter &filter, const TopKAbove &above) {
	LogicalFilter::SplitPredicates(filter.expressions);
	for (const auto &expression : filter.expressions) {
		const auto condition = MatchUpperBound(*expression);
		if (condition && TryRewrite(filter, *condition, above)) {
			return;
		}
	}
}

void RangeRule::Visit(LogicalOperator &op, TopKAbove above) {
	TopKAbove below;
	switch (op.type) {
	case LogicalOperatorType::LOGICAL_DELETE:
	case LogicalOperatorType::LOGICAL_UPDATE:
	case LogicalOperatorType::LOGICAL_MERGE_INTO:
		return;
	case LogicalOperatorType::LOGICAL_LIMIT:
		below.row_count = ConstantRowCount(op.Cast<LogicalLimit>());
		break;
	case LogicalOperatorType::LOGICAL_ORDER_BY: {
		const auto &orders = op.Cast<LogicalOrder>().orders;
		if (orders.size() == 1 && orders[0].type == OrderType::ASCENDING &&
		    orders[0].null_order == OrderByNullType::NULLS_LAST) {
			below.row_count = above.row_count;
			below.key = orders[0].expression->Copy();
		}
		break;
	}
	case LogicalOperatorType::LOGICAL_PROJECTION:
		below = std::move(above);
		if (below.key) {
			SubstituteColumns(below.key, op.Cast<LogicalProjection>());
		}
		break;
	case LogicalOperatorType::LOGICAL_FILTER:
		VisitFilter(op.Cast<LogicalFilter>(), above);
		break;
	default:
		break;
	}
	if (op.children.size() == 1) {
		Visit(*op.children[0], std::move(below));
		return;
	}
	for (auto &child : op.children) {
		Visit(*child, TopKAbove());
	}
}

} // namespace

void RewriteRanges(ClientContext &context, LogicalOperator &plan, bool may_heal) {
	RangeRule(context, may_heal).Visit(plan, TopKAbove());
}

} // namespace duckdb
