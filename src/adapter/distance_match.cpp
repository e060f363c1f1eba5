#include "adapter/distance_match.hpp"

#include "adapter/vector_rows.hpp"

#include "duckdb/planner/expression/bound_cast_expression.hpp"
#include "duckdb/planner/expression/bound_columnref_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"

namespace duckdb {

namespace {

std::optional<lm_diskann::Metric> MetricOfFunction(const string &name) {
	if (name == "array_distance") {
		return lm_diskann::Metric::L2SQ;
	}
	if (name == "array_cosine_distance") {
		return lm_diskann::Metric::COSINE;
	}
	if (name == "array_negative_inner_product" || name == "array_negative_dot_product") {
		return lm_diskann::Metric::IP;
	}
	return std::nullopt;
}

//! FLOAT[N] or DOUBLE[N]: what DuckDB's distance functions take.
bool IsDistanceArgument(const LogicalType &type) {
	if (type.id() != LogicalTypeId::ARRAY) {
		return false;
	}
	const auto element = ArrayType::GetChildType(type).id();
	return element == LogicalTypeId::FLOAT || element == LogicalTypeId::DOUBLE;
}

//! The column below casts that keep every value and the number of elements.
const BoundColumnRefExpression *FindColumn(const Expression &argument) {
	auto current = &argument;
	while (current->GetExpressionClass() == ExpressionClass::BOUND_CAST) {
		if (!IsDistanceArgument(current->return_type)) {
			return nullptr;
		}
		current = current->Cast<BoundCastExpression>().child.get();
	}
	VectorColumnType type;
	if (current->GetExpressionClass() != ExpressionClass::BOUND_COLUMN_REF ||
	    !ReadVectorColumnType(current->return_type, type) ||
	    ArrayType::GetSize(argument.return_type) != ArrayType::GetSize(current->return_type)) {
		return nullptr;
	}
	const auto &column = current->Cast<BoundColumnRefExpression>();
	return column.depth == 0 ? &column : nullptr;
}

} // namespace

bool IsQueryExpression(const Expression &expression) {
	switch (expression.GetExpressionClass()) {
	case ExpressionClass::BOUND_CONSTANT:
	case ExpressionClass::BOUND_PARAMETER:
	case ExpressionClass::BOUND_CAST:
	case ExpressionClass::BOUND_FUNCTION:
	case ExpressionClass::BOUND_OPERATOR:
	case ExpressionClass::BOUND_CASE:
	case ExpressionClass::BOUND_COMPARISON:
	case ExpressionClass::BOUND_CONJUNCTION:
	case ExpressionClass::BOUND_BETWEEN:
		break;
	default:
		return false;
	}
	if (expression.IsVolatile()) {
		return false;
	}
	bool is_query = true;
	ExpressionIterator::EnumerateChildren(
	    expression, [&](const Expression &child) { is_query = is_query && IsQueryExpression(child); });
	return is_query;
}

std::optional<DistanceMatch> MatchDistance(const Expression &expression) {
	if (expression.GetExpressionClass() != ExpressionClass::BOUND_FUNCTION) {
		return std::nullopt;
	}
	const auto &function = expression.Cast<BoundFunctionExpression>();
	const auto metric = MetricOfFunction(function.function.name);
	if (!metric || function.children.size() != 2) {
		return std::nullopt;
	}
	for (idx_t i = 0; i < 2; i++) {
		const auto &argument = *function.children[i];
		const auto &other = *function.children[1 - i];
		if (!IsDistanceArgument(argument.return_type) || !IsDistanceArgument(other.return_type)) {
			return std::nullopt;
		}
		const auto column = FindColumn(argument);
		if (column && IsQueryExpression(other)) {
			return DistanceMatch {*metric, column->binding, column->return_type, &other};
		}
	}
	return std::nullopt;
}

} // namespace duckdb
