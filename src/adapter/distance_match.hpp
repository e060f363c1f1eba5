// The one place that answers: is this expression a distance from a column to a query vector?
#pragma once

#include "vector/vector_types.hpp"

#include "duckdb/planner/column_binding.hpp"
#include "duckdb/planner/expression.hpp"

#include <functional>
#include <optional>

namespace duckdb {

//! A distance, or similarity, of a column and a query vector.
struct DistanceMatch {
	lm_diskann::Metric metric;
	//! The column, as FLOAT[N] or TINYINT[N] before any cast.
	ColumnBinding column;
	LogicalType column_type;
	//! FLOAT[N], DOUBLE[N] or a list of them, with the same value for every row of the statement. Points into the
	//! matched expression.
	const Expression *query;
};

//! array_distance, array_cosine_distance, array_negative_inner_product, the same of lists (also as <->, <=> and <#>),
//! and 1 - cosine similarity and -inner product, which are the same values. Either order of the arguments; the column
//! may be cast to FLOAT or DOUBLE, array or list, which changes no value of a float or int8 vector. array_distance is a
//! square root and orders like L2SQ.
std::optional<DistanceMatch> MatchDistance(const Expression &expression);
//! The same for a query vector that `is_query` accepts, such as one over columns of another table.
std::optional<DistanceMatch> MatchDistance(const Expression &expression,
                                           const std::function<bool(const Expression &)> &is_query);

//! array_cosine_similarity and array_inner_product: descending, they order rows that have a distance as the metric
//! does.
std::optional<DistanceMatch> MatchSimilarity(const Expression &expression);

//! True when the expression has one value per execution of a statement and can be computed without a row: constants,
//! parameters and functions of them, inputs of an index scan (BoundReference); no columns, subqueries, volatile
//! functions.
bool IsQueryExpression(const Expression &expression);

} // namespace duckdb
