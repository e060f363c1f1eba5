#include "adapter/row_filter.hpp"

#include "adapter/distance_match.hpp"

#include "duckdb/catalog/catalog_entry/table_catalog_entry.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/optimizer/filter_combiner.hpp"
#include "duckdb/planner/expression/bound_columnref_expression.hpp"
#include "duckdb/planner/expression/bound_conjunction_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"

#include <algorithm>

namespace duckdb {

namespace {

StorageIndex WithChildren(const ColumnIndex &column) {
	vector<StorageIndex> children;
	for (const auto &child : column.GetChildIndexes()) {
		children.push_back(WithChildren(child));
	}
	return StorageIndex(column.GetPrimaryIndex(), std::move(children));
}

//! BoundColumnRef (TABLE_INDEX, j) becomes BoundReference j.
void ReferToChunk(unique_ptr<Expression> &expression) {
	if (expression->GetExpressionClass() == ExpressionClass::BOUND_COLUMN_REF) {
		const auto &column = expression->Cast<BoundColumnRefExpression>();
		expression = make_uniq<BoundReferenceExpression>(column.return_type, column.binding.column_index);
		return;
	}
	ExpressionIterator::EnumerateChildren(*expression, ReferToChunk);
}

void ReplaceInputs(unique_ptr<Expression> &expression, const vector<Value> &inputs) {
	if (expression->GetExpressionClass() == ExpressionClass::BOUND_REF) {
		expression = make_uniq<BoundConstantExpression>(inputs[expression->Cast<BoundReferenceExpression>().index]);
		return;
	}
	ExpressionIterator::EnumerateChildren(*expression,
	                                      [&](unique_ptr<Expression> &child) { ReplaceInputs(child, inputs); });
}

//! Parts without a column become constants. A part that has no value, because computing it fails, stays: whether the
//! statement fails is for the rows to decide.
void Fold(ClientContext &context, unique_ptr<Expression> &expression) {
	if (expression->GetExpressionClass() == ExpressionClass::BOUND_CONSTANT) {
		return;
	}
	Value value;
	if (IsQueryExpression(*expression)) {
		try {
			value = ExpressionExecutor::EvaluateScalar(context, *expression, true);
			expression = make_uniq<BoundConstantExpression>(std::move(value));
			return;
		} catch (const Exception &) { // NOLINT: see above
		}
	}
	ExpressionIterator::EnumerateChildren(*expression, [&](unique_ptr<Expression> &child) { Fold(context, child); });
}

bool HasInput(const Expression &expression) {
	bool has_input = expression.GetExpressionClass() == ExpressionClass::BOUND_REF;
	ExpressionIterator::EnumerateChildren(expression,
	                                      [&](const Expression &child) { has_input = has_input || HasInput(child); });
	return has_input;
}

} // namespace

StorageIndex ToStorageIndex(const TableCatalogEntry &table, const ColumnIndex &column) {
	if (column.IsRowIdColumn()) {
		return StorageIndex();
	}
	auto result = WithChildren(column);
	result.SetIndex(table.GetColumn(column.ToLogical()).StorageOid());
	return result;
}

LogicalType ColumnTypeOf(const TableCatalogEntry &table, const ColumnIndex &column) {
	return column.IsRowIdColumn() ? LogicalType(LogicalType::ROW_TYPE) : table.GetColumn(column.ToLogical()).Type();
}

RowConditions RowConditions::Copy() const {
	RowConditions copy;
	copy.columns = columns;
	for (const auto &condition : conditions) {
		copy.conditions.push_back(condition->Copy());
	}
	return copy;
}

bool RowConditions::HasOpenValues() const {
	return std::any_of(conditions.begin(), conditions.end(), [](const unique_ptr<Expression> &condition) {
		return condition->HasParameter() || HasInput(*condition);
	});
}

string RowConditions::ToString() const {
	string text;
	for (const auto &condition : conditions) {
		text += (text.empty() ? "" : " AND ") + condition->ToString();
	}
	return text;
}

unique_ptr<Expression> FillInInputs(ClientContext &context, const Expression &expression, const vector<Value> &inputs) {
	auto filled = expression.Copy();
	ReplaceInputs(filled, inputs);
	Fold(context, filled);
	return filled;
}

RowFilter::RowFilter(ClientContext &context, TableCatalogEntry &table, const RowConditions &filter,
                     const vector<Value> *inputs) {
	for (const auto &column : filter.columns) {
		columns.push_back(ToStorageIndex(table, column));
		types.push_back(ColumnTypeOf(table, column));
	}
	vector<unique_ptr<Expression>> conditions;
	for (const auto &original : filter.conditions) {
		if (inputs || !HasInput(*original)) {
			conditions.push_back(FillInInputs(context, *original, inputs ? *inputs : vector<Value>()));
		}
	}
	Push(context, filter.columns, conditions);
	for (auto &part : conditions) {
		ReferToChunk(part);
		condition = condition ? make_uniq<BoundConjunctionExpression>(ExpressionType::CONJUNCTION_AND,
		                                                              std::move(condition), std::move(part))
		                      : std::move(part);
	}
}

void RowFilter::Push(ClientContext &context, const vector<ColumnIndex> &column_ids,
                     const vector<unique_ptr<Expression>> &conditions) {
	FilterCombiner combiner(context);
	for (const auto &part : conditions) {
		if (combiner.AddFilter(part->Copy()) == FilterResult::UNSATISFIABLE) {
			return;
		}
	}
	vector<FilterPushdownResult> results;
	auto filters = combiner.GenerateTableScanFilters(column_ids, results);
	for (auto &entry : filters.filters) {
		for (idx_t position = 0; position < column_ids.size(); position++) {
			if (column_ids[position].GetPrimaryIndex() == entry.first) {
				pushed.filters[position] = std::move(entry.second);
				break;
			}
		}
	}
}

RowSelector::RowSelector(ClientContext &context, const RowFilter &filter) {
	if (filter.Condition()) {
		executor = make_uniq<ExpressionExecutor>(context, *filter.Condition());
		selection.Initialize(STANDARD_VECTOR_SIZE);
	}
}

void RowSelector::Keep(DataChunk &chunk) {
	if (!executor || chunk.size() == 0) {
		return;
	}
	const auto count = executor->SelectExpression(chunk, selection);
	if (count < chunk.size()) {
		chunk.Slice(selection, count);
		selection.Initialize(STANDARD_VECTOR_SIZE);
	}
}

} // namespace duckdb
