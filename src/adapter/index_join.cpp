#include "adapter/index_join.hpp"

#include "adapter/physical_index_join.hpp"

#include "duckdb/catalog/catalog_entry/duck_table_entry.hpp"
#include "duckdb/execution/column_binding_resolver.hpp"
#include "duckdb/execution/physical_plan_generator.hpp"
#include "duckdb/planner/expression/bound_columnref_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"

#include <algorithm>

namespace duckdb {

namespace {

//! Replaces references to bindings by positions among them.
void ResolveColumns(unique_ptr<Expression> &expression, const vector<ColumnBinding> &bindings) {
	if (expression->GetExpressionClass() != ExpressionClass::BOUND_COLUMN_REF) {
		ExpressionIterator::EnumerateChildren(*expression,
		                                      [&](unique_ptr<Expression> &child) { ResolveColumns(child, bindings); });
		return;
	}
	const auto &column = expression->Cast<BoundColumnRefExpression>();
	const auto found = std::find(bindings.begin(), bindings.end(), column.binding);
	if (found == bindings.end()) {
		throw InternalException("LM_DISKANN_INDEX_JOIN: column %s is not there", column.binding.ToString());
	}
	expression = make_uniq<BoundReferenceExpression>(column.GetAlias(), column.return_type,
	                                                 NumericCast<idx_t>(found - bindings.begin()));
}

} // namespace

InsertionOrderPreservingMap<string> IndexJoinSpec::Describe() const {
	InsertionOrderPreservingMap<string> result;
	result["Table"] = table.name;
	result["Index"] = index->Name();
	result["Metric"] = lm_diskann::MetricName(index->Configuration()->metric);
	result["k"] = std::to_string(limit + offset);
	result["L"] = std::to_string(MaxValue<idx_t>(search_list_size, limit + offset));
	if (filter_count > 0) {
		// How many left rows there are decides, too.
		result["Filter Strategy"] = FilterStrategyName(filter_strategy);
	}
	if (is_left_join) {
		result["Join Type"] = "LEFT";
	}
	return result;
}

LogicalIndexJoin::LogicalIndexJoin(IndexJoinSpec spec_p, idx_t table_index_p, vector<ColumnBinding> right_bindings_p)
    : spec(std::move(spec_p)), table_index(table_index_p), right_bindings(std::move(right_bindings_p)) {
}

void LogicalIndexJoin::Prune(const std::function<bool(const ColumnBinding &binding)> &is_used) {
	for (idx_t i = 0; i < right_bindings.size(); i++) {
		auto &output = expressions[FirstOutput() + i];
		if (!is_used(right_bindings[i])) {
			output = make_uniq<BoundConstantExpression>(Value(output->return_type));
		}
	}
	vector<optional_idx> places(spec.columns.size());
	vector<ColumnIndex> columns;
	vector<LogicalType> types;
	const std::function<void(unique_ptr<Expression> &)> renumber = [&](unique_ptr<Expression> &expression) {
		if (expression->GetExpressionClass() != ExpressionClass::BOUND_COLUMN_REF) {
			ExpressionIterator::EnumerateChildren(*expression, renumber);
			return;
		}
		auto &binding = expression->Cast<BoundColumnRefExpression>().binding;
		if (binding.table_index != table_index) {
			return;
		}
		auto &place = places[binding.column_index];
		if (!place.IsValid()) {
			place = columns.size();
			columns.push_back(spec.columns[binding.column_index]);
			types.push_back(spec.column_types[binding.column_index]);
		}
		binding.column_index = place.GetIndex();
	};
	for (auto &expression : expressions) {
		renumber(expression);
	}
	spec.columns = std::move(columns);
	spec.column_types = std::move(types);
}

vector<ColumnBinding> LogicalIndexJoin::GetColumnBindings() {
	auto bindings = children[0]->GetColumnBindings();
	bindings.insert(bindings.end(), right_bindings.begin(), right_bindings.end());
	return bindings;
}

vector<idx_t> LogicalIndexJoin::GetTableIndex() const {
	vector<idx_t> indexes;
	for (const auto &binding : right_bindings) {
		if (indexes.empty() || indexes.back() != binding.table_index) {
			indexes.push_back(binding.table_index);
		}
	}
	return indexes;
}

string LogicalIndexJoin::GetName() const {
	return "LM_DISKANN_INDEX_JOIN";
}

InsertionOrderPreservingMap<string> LogicalIndexJoin::ParamsToString() const {
	auto result = spec.Describe();
	SetParamsEstimatedCardinality(result);
	return result;
}

idx_t LogicalIndexJoin::EstimateCardinality(ClientContext &context) {
	if (!has_estimated_cardinality) {
		SetEstimatedCardinality(children[0]->EstimateCardinality(context) * spec.limit);
	}
	return estimated_cardinality;
}

void LogicalIndexJoin::ResolveTypes() {
	types = children[0]->types;
	for (idx_t i = FirstOutput(); i < expressions.size(); i++) {
		types.push_back(expressions[i]->return_type);
	}
}

void LogicalIndexJoin::ResolveColumnBindings(ColumnBindingResolver &resolver, vector<ColumnBinding> &bindings) {
	resolver.VisitOperator(*children[0]);
	// What the expressions see is a left row, and beside it a row of the table.
	auto visible = children[0]->GetColumnBindings();
	for (idx_t i = 0; i < spec.columns.size(); i++) {
		visible.emplace_back(table_index, i);
	}
	for (auto &expression : expressions) {
		ResolveColumns(expression, visible);
	}
	bindings = GetColumnBindings();
}

PhysicalOperator &LogicalIndexJoin::CreatePlan(ClientContext &, PhysicalPlanGenerator &planner) {
	auto &left = planner.CreatePlan(*children[0]);
	auto &join = planner.Make<PhysicalIndexJoin>(types, estimated_cardinality, spec, std::move(expressions));
	join.children.push_back(left);
	return join;
}

string LogicalIndexJoin::GetExtensionName() const {
	return "lm_diskann";
}

} // namespace duckdb
