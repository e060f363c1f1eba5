#include "adapter/distance_match.hpp"

#include "adapter/vector_rows.hpp"

#include "duckdb/planner/expression/bound_cast_expression.hpp"
#include "duckdb/planner/expression/bound_columnref_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"

namespace duckdb {

namespace {

struct MetricName {
	const char *name;
	lm_diskann::Metric metric;
};

constexpr MetricName DISTANCES[] = {{"array_distance", lm_diskann::Metric::L2SQ},
                                    {"list_distance", lm_diskann::Metric::L2SQ},
                                    {"<->", lm_diskann::Metric::L2SQ},
                                    {"array_cosine_distance", lm_diskann::Metric::COSINE},
                                    {"list_cosine_distance", lm_diskann::Metric::COSINE},
                                    {"<=>", lm_diskann::Metric::COSINE},
                                    {"array_negative_inner_product", lm_diskann::Metric::IP},
                                    {"array_negative_dot_product", lm_diskann::Metric::IP},
                                    {"list_negative_inner_product", lm_diskann::Metric::IP},
                                    {"list_negative_dot_product", lm_diskann::Metric::IP}};

constexpr MetricName SIMILARITIES[] = {
    {"array_cosine_similarity", lm_diskann::Metric::COSINE}, {"list_cosine_similarity", lm_diskann::Metric::COSINE},
    {"array_inner_product", lm_diskann::Metric::IP},         {"array_dot_product", lm_diskann::Metric::IP},
    {"list_inner_product", lm_diskann::Metric::IP},          {"list_dot_product", lm_diskann::Metric::IP}};

template <size_t COUNT>
std::optional<lm_diskann::Metric> FindMetric(const MetricName (&names)[COUNT], const string &name) {
	for (const auto &entry : names) {
		if (name == entry.name) {
			return entry.metric;
		}
	}
	return std::nullopt;
}

//! FLOAT or DOUBLE, as array or list: what DuckDB's distance functions take.
bool IsDistanceArgument(const LogicalType &type) {
	if (type.id() != LogicalTypeId::ARRAY && type.id() != LogicalTypeId::LIST) {
		return false;
	}
	const auto element =
	    (type.id() == LogicalTypeId::ARRAY ? ArrayType::GetChildType(type) : ListType::GetChildType(type)).id();
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
	    (argument.return_type.id() == LogicalTypeId::ARRAY &&
	     ArrayType::GetSize(argument.return_type) != ArrayType::GetSize(current->return_type))) {
		return nullptr;
	}
	const auto &column = current->Cast<BoundColumnRefExpression>();
	return column.depth == 0 ? &column : nullptr;
}

//! A call of one of the functions.
template <size_t COUNT>
std::optional<DistanceMatch> MatchCall(const Expression &expression, const MetricName (&names)[COUNT],
                                       const std::function<bool(const Expression &)> &is_query) {
	if (expression.GetExpressionClass() != ExpressionClass::BOUND_FUNCTION) {
		return std::nullopt;
	}
	const auto &function = expression.Cast<BoundFunctionExpression>();
	const auto metric = FindMetric(names, function.function.name);
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
		if (column && is_query(other)) {
			return DistanceMatch {*metric, column->binding, column->return_type, &other};
		}
	}
	return std::nullopt;
}

//! The expression below casts from FLOAT to DOUBLE, which keep every value.
const Expression &WithoutWidening(const Expression &expression) {
	auto current = &expression;
	while (current->GetExpressionClass() == ExpressionClass::BOUND_CAST &&
	       current->return_type.id() == LogicalTypeId::DOUBLE) {
		const auto &child = *current->Cast<BoundCastExpression>().child;
		if (child.return_type.id() != LogicalTypeId::FLOAT && child.return_type.id() != LogicalTypeId::DOUBLE) {
			break;
		}
		current = &child;
	}
	return *current;
}

bool IsOne(const Expression &expression) {
	auto current = &expression;
	while (current->GetExpressionClass() == ExpressionClass::BOUND_CAST) {
		current = current->Cast<BoundCastExpression>().child.get();
	}
	if (current->GetExpressionClass() != ExpressionClass::BOUND_CONSTANT) {
		return false;
	}
	const auto &value = current->Cast<BoundConstantExpression>().value;
	return value.type().IsNumeric() && !value.IsNull() && value.DefaultCastAs(LogicalType::DOUBLE) == Value::DOUBLE(1);
}

} // namespace

bool IsQueryExpression(const Expression &expression) {
	switch (expression.GetExpressionClass()) {
	case ExpressionClass::BOUND_CONSTANT:
	case ExpressionClass::BOUND_PARAMETER:
	case ExpressionClass::BOUND_REF:
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

std::optional<DistanceMatch> MatchSimilarity(const Expression &expression) {
	return MatchCall(WithoutWidening(expression), SIMILARITIES, IsQueryExpression);
}

std::optional<DistanceMatch> MatchDistance(const Expression &expression) {
	return MatchDistance(expression, IsQueryExpression);
}

std::optional<DistanceMatch> MatchDistance(const Expression &expression,
                                           const std::function<bool(const Expression &)> &is_query) {
	const auto &distance = WithoutWidening(expression);
	if (auto match = MatchCall(distance, DISTANCES, is_query)) {
		return match;
	}
	if (distance.GetExpressionClass() != ExpressionClass::BOUND_FUNCTION) {
		return std::nullopt;
	}
	const auto &function = distance.Cast<BoundFunctionExpression>();
	const auto &operands = function.children;
	if (function.function.name != "-") {
		return std::nullopt;
	}
	const auto wanted = operands.size() == 1 ? lm_diskann::Metric::IP : lm_diskann::Metric::COSINE;
	if (operands.size() == 2 && !IsOne(*operands[0])) {
		return std::nullopt;
	}
	auto match = MatchCall(WithoutWidening(*operands.back()), SIMILARITIES, is_query);
	return match && match->metric == wanted ? match : std::nullopt;
}

} // namespace duckdb
