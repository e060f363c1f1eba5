#include "adapter/lateral_match.hpp"

#include "adapter/plan_match.hpp"

#include "duckdb/planner/expression/bound_columnref_expression.hpp"
#include "duckdb/planner/expression/bound_comparison_expression.hpp"
#include "duckdb/planner/expression/bound_conjunction_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_window_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/operator/logical_delim_get.hpp"
#include "duckdb/planner/operator/logical_projection.hpp"
#include "duckdb/planner/operator/logical_window.hpp"

#include <functional>
#include <unordered_set>

namespace duckdb {

namespace {

bool IsColumn(const Expression &expression, ColumnBinding binding) {
	return expression.GetExpressionClass() == ExpressionClass::BOUND_COLUMN_REF &&
	       expression.Cast<BoundColumnRefExpression>().binding == binding;
}

//! True when all column references of the expression pass.
bool AllColumns(const Expression &expression, const std::function<bool(const ColumnBinding &binding)> &test) {
	if (expression.GetExpressionClass() == ExpressionClass::BOUND_COLUMN_REF) {
		const auto &column = expression.Cast<BoundColumnRefExpression>();
		return column.depth == 0 && test(column.binding);
	}
	if (expression.GetExpressionClass() == ExpressionClass::BOUND_SUBQUERY) {
		return false;
	}
	bool all = true;
	ExpressionIterator::EnumerateChildren(expression,
	                                      [&](const Expression &child) { all = all && AllColumns(child, test); });
	return all;
}

//! Goes down the right side of a join from operator to operator, rewriting the expressions it gathers so that they are
//! over what lies below.
class LateralMatcher {
public:
	explicit LateralMatcher(LogicalComparisonJoin &join_p) : join(join_p), current(join_p.children[1].get()) {
	}

	bool Match();
	LateralTopK Take();

private:
	bool IsSupportedJoin() const;
	void TakeRightColumns();
	bool TakeRowNumberFilter();
	bool TakeRowNumberBound(const Expression &condition, idx_t window_index);
	bool TakeWindow();
	bool TakeFiltersDownTo(LogicalOperatorType type);
	bool EnterCrossProduct();
	bool IsComplete() const;
	void ReplaceAll(idx_t table_index, const vector<unique_ptr<Expression>> &replacements);

	LogicalComparisonJoin &join;
	LogicalOperator *current;
	LateralTopK result;
	//! What the window numbers rows within.
	vector<unique_ptr<Expression>> partitions;
	//! The right sides of the join's conditions.
	vector<unique_ptr<Expression>> keys;
	//! Row numbers up to this one stay.
	optional_idx row_number_max;
};

bool LateralMatcher::IsSupportedJoin() const {
	if (join.type != LogicalOperatorType::LOGICAL_DELIM_JOIN || join.delim_flipped || join.predicate ||
	    !join.left_projection_map.empty() || !join.right_projection_map.empty()) {
		return false;
	}
	for (const auto &condition : join.conditions) {
		if (condition.comparison != ExpressionType::COMPARE_NOT_DISTINCT_FROM) {
			return false;
		}
	}
	return join.join_type == JoinType::INNER || join.join_type == JoinType::LEFT || join.join_type == JoinType::SINGLE;
}

void LateralMatcher::ReplaceAll(idx_t table_index, const vector<unique_ptr<Expression>> &replacements) {
	for (auto expressions : {&result.outputs, &result.filters, &partitions, &keys}) {
		for (auto &expression : *expressions) {
			ReplaceColumns(expression, table_index, replacements);
		}
	}
	if (result.distance) {
		ReplaceColumns(result.distance, table_index, replacements);
	}
}

void LateralMatcher::TakeRightColumns() {
	auto &right = *join.children[1];
	right.ResolveOperatorTypes();
	const auto bindings = right.GetColumnBindings();
	for (idx_t i = 0; i < bindings.size(); i++) {
		result.outputs.push_back(make_uniq<BoundColumnRefExpression>(right.types[i], bindings[i]));
	}
	for (const auto &condition : join.conditions) {
		keys.push_back(condition.right->Copy());
	}
}

//! Enters projections, and gathers filters, until an operator of the type.
bool LateralMatcher::TakeFiltersDownTo(LogicalOperatorType type) {
	while (current->type != type) {
		if (current->type == LogicalOperatorType::LOGICAL_PROJECTION) {
			ReplaceAll(current->Cast<LogicalProjection>().table_index, current->expressions);
		} else if (current->type == LogicalOperatorType::LOGICAL_FILTER) {
			for (const auto &condition : current->expressions) {
				result.filters.push_back(condition->Copy());
			}
		} else {
			return false;
		}
		current = current->children[0].get();
	}
	return true;
}

//! "row number <= constant" and "row number > constant", also under AND.
bool LateralMatcher::TakeRowNumberBound(const Expression &condition, idx_t window_index) {
	if (condition.GetExpressionType() == ExpressionType::CONJUNCTION_AND) {
		for (const auto &child : condition.Cast<BoundConjunctionExpression>().children) {
			if (!TakeRowNumberBound(*child, window_index)) {
				return false;
			}
		}
		return true;
	}
	if (condition.GetExpressionClass() != ExpressionClass::BOUND_COMPARISON) {
		return false;
	}
	const auto &comparison = condition.Cast<BoundComparisonExpression>();
	if (!IsColumn(*comparison.left, ColumnBinding(window_index, 0)) ||
	    comparison.right->GetExpressionClass() != ExpressionClass::BOUND_CONSTANT) {
		return false;
	}
	const auto &constant = comparison.right->Cast<BoundConstantExpression>().value;
	if (constant.IsNull() || constant.type() != LogicalType::BIGINT || BigIntValue::Get(constant) < 0) {
		return false;
	}
	const auto bound = idx_t(BigIntValue::Get(constant));
	if (comparison.GetExpressionType() == ExpressionType::COMPARE_LESSTHANOREQUALTO && !row_number_max.IsValid()) {
		row_number_max = bound;
		return true;
	}
	if (comparison.GetExpressionType() == ExpressionType::COMPARE_GREATERTHAN && result.offset == 0) {
		result.offset = bound;
		return true;
	}
	return false;
}

bool LateralMatcher::TakeRowNumberFilter() {
	while (current->type == LogicalOperatorType::LOGICAL_PROJECTION) {
		ReplaceAll(current->Cast<LogicalProjection>().table_index, current->expressions);
		current = current->children[0].get();
	}
	if (current->type != LogicalOperatorType::LOGICAL_FILTER ||
	    current->children[0]->type != LogicalOperatorType::LOGICAL_WINDOW) {
		return false;
	}
	const auto window_index = current->children[0]->Cast<LogicalWindow>().window_index;
	for (const auto &condition : current->expressions) {
		if (!TakeRowNumberBound(*condition, window_index)) {
			return false;
		}
	}
	if (!row_number_max.IsValid() || row_number_max.GetIndex() <= result.offset) {
		return false;
	}
	result.limit = row_number_max.GetIndex() - result.offset;
	current = current->children[0].get();
	return true;
}

//! row_number() over the rows of each left row by one key, ascending, NULLs last.
bool LateralMatcher::TakeWindow() {
	if (current->expressions.size() != 1 ||
	    current->expressions[0]->GetExpressionType() != ExpressionType::WINDOW_ROW_NUMBER) {
		return false;
	}
	const auto &window = current->expressions[0]->Cast<BoundWindowExpression>();
	if (window.orders.size() != 1 || window.orders[0].type != OrderType::ASCENDING ||
	    window.orders[0].null_order != OrderByNullType::NULLS_LAST || window.filter_expr ||
	    window.partitions.size() != join.conditions.size()) {
		return false;
	}
	result.distance = window.orders[0].expression->Copy();
	for (const auto &partition : window.partitions) {
		partitions.push_back(partition->Copy());
	}
	current = current->children[0].get();
	return true;
}

//! Puts the columns of the left side in the place of the distinct values, and enters the table's side.
bool LateralMatcher::EnterCrossProduct() {
	auto &cross_product = *current;
	for (idx_t side = 0; side < 2; side++) {
		if (cross_product.children[side]->type == LogicalOperatorType::LOGICAL_DELIM_GET) {
			const auto &delim_get = cross_product.children[side]->Cast<LogicalDelimGet>();
			if (delim_get.chunk_types.size() != join.duplicate_eliminated_columns.size()) {
				return false;
			}
			ReplaceAll(delim_get.table_index, join.duplicate_eliminated_columns);
			current = cross_product.children[1 - side].get();
			return true;
		}
	}
	return false;
}

//! Every left row has its own numbers and meets its own rows only, and nothing refers to anything else.
bool LateralMatcher::IsComplete() const {
	for (idx_t i = 0; i < join.conditions.size(); i++) {
		if (!keys[i]->Equals(*join.conditions[i].left) || !partitions[i]->Equals(*keys[i])) {
			return false;
		}
	}
	std::unordered_set<idx_t> known {result.get->table_index};
	for (const auto &binding : join.children[0]->GetColumnBindings()) {
		known.insert(binding.table_index);
	}
	const auto is_known = [&](const ColumnBinding &binding) { return known.count(binding.table_index) > 0; };
	for (const auto expressions : {&result.outputs, &result.filters}) {
		for (const auto &expression : *expressions) {
			if (!AllColumns(*expression, is_known) || (expressions == &result.filters && expression->IsVolatile())) {
				return false;
			}
		}
	}
	return AllColumns(*result.distance, is_known);
}

bool LateralMatcher::Match() {
	if (!IsSupportedJoin()) {
		return false;
	}
	TakeRightColumns();
	if (!TakeRowNumberFilter() || !TakeWindow() || !TakeFiltersDownTo(LogicalOperatorType::LOGICAL_CROSS_PRODUCT) ||
	    !EnterCrossProduct() || !TakeFiltersDownTo(LogicalOperatorType::LOGICAL_GET)) {
		return false;
	}
	result.get = &current->Cast<LogicalGet>();
	return IsComplete() && (join.join_type != JoinType::SINGLE || result.limit == 1);
}

LateralTopK LateralMatcher::Take() {
	return std::move(result);
}

} // namespace

std::optional<LateralTopK> MatchLateralTopK(LogicalComparisonJoin &join) {
	LateralMatcher matcher(join);
	if (!matcher.Match()) {
		return std::nullopt;
	}
	return matcher.Take();
}

} // namespace duckdb
