#include "adapter/row_matcher.hpp"

#include "duckdb/planner/expression/bound_conjunction_expression.hpp"

#include <cmath>

namespace duckdb {

namespace {

vector<LogicalType> Concatenated(const vector<LogicalType> &left_types, const vector<LogicalType> &table_types) {
	auto types = left_types;
	types.insert(types.end(), table_types.begin(), table_types.end());
	return types;
}

RankedRow Rank(double distance, bool has_value) {
	RankedRow row;
	if (!has_value) {
		row.rank = RankedRow::Rank::NO_VALUE;
	} else if (std::isnan(distance)) {
		row.rank = RankedRow::Rank::NOT_A_NUMBER;
	} else {
		row.distance = distance;
	}
	return row;
}

} // namespace

RowMatcher::RowMatcher(ClientContext &context, const vector<LogicalType> &left_types,
                       const vector<LogicalType> &table_types, const Expression &distance,
                       const vector<const_reference<Expression>> &filters)
    : left_count(left_types.size()), table_count(table_types.size()), selection(STANDARD_VECTOR_SIZE),
      distance_executor(context, distance) {
	const auto types = Concatenated(left_types, table_types);
	joined.InitializeEmpty(types);
	passing.InitializeEmpty(types);
	if (filters.empty()) {
		return;
	}
	auto conjunction = make_uniq<BoundConjunctionExpression>(ExpressionType::CONJUNCTION_AND);
	for (const auto &condition : filters) {
		conjunction->children.push_back(condition.get().Copy());
	}
	filter = std::move(conjunction);
	if (filters.size() == 1) {
		filter = filters[0].get().Copy();
	}
	filter_executor = make_uniq<ExpressionExecutor>(context, *filter);
}

void RowMatcher::SetLeftRow(DataChunk &left, idx_t row) {
	for (idx_t i = 0; i < left_count; i++) {
		Vector constant(left.data[i].GetType());
		ConstantVector::Reference(constant, left.data[i], row, left.size());
		joined.data[i].Reference(constant);
	}
}

//! Rows that pass are in `passing`.
idx_t RowMatcher::Filter(DataChunk &rows) {
	for (idx_t i = 0; i < table_count; i++) {
		joined.data[left_count + i].Reference(rows.data[i]);
	}
	joined.SetCardinality(rows.size());
	passing.Reference(joined);
	if (!filter_executor) {
		return rows.size();
	}
	const auto count = filter_executor->SelectExpression(joined, selection);
	if (count < rows.size()) {
		passing.Slice(selection, count);
	}
	return count;
}

idx_t RowMatcher::Offer(DataChunk &rows, NearestRows &nearest) {
	const auto count = Filter(rows);
	if (count == 0) {
		return 0;
	}
	Vector distances(distance_executor.expressions[0]->return_type);
	distance_executor.ExecuteExpression(passing, distances);
	UnifiedVectorFormat format;
	distances.ToUnifiedFormat(count, format);
	const bool is_float = distances.GetType().id() == LogicalTypeId::FLOAT;
	auto &row_ids = rows.data[table_count];
	row_ids.Flatten(rows.size());
	const auto ids = FlatVector::GetData<row_t>(row_ids);
	for (idx_t i = 0; i < count; i++) {
		const auto place = format.sel->get_index(i);
		const bool has_value = format.validity.RowIsValid(place);
		const auto distance = is_float ? double(UnifiedVectorFormat::GetData<float>(format)[place])
		                               : UnifiedVectorFormat::GetData<double>(format)[place];
		auto row = Rank(has_value ? distance : 0, has_value);
		row.position = uint32_t(count < rows.size() ? selection.get_index(i) : i);
		row.row_id = ids[row.position];
		nearest.Offer(row);
	}
	return count;
}

} // namespace duckdb
