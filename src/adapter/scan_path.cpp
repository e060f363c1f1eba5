#include "adapter/scan_path.hpp"

#include "adapter/plan_match.hpp"

#include "duckdb/catalog/catalog_entry/table_catalog_entry.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/optimizer/column_binding_replacer.hpp"
#include "duckdb/planner/binder.hpp"
#include "duckdb/planner/expression/bound_columnref_expression.hpp"
#include "duckdb/planner/expression/bound_comparison_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/operator/logical_aggregate.hpp"
#include "duckdb/planner/operator/logical_comparison_join.hpp"
#include "duckdb/planner/operator/logical_filter.hpp"
#include "duckdb/planner/operator/logical_limit.hpp"
#include "duckdb/planner/operator/logical_projection.hpp"
#include "duckdb/storage/data_table.hpp"

#include <algorithm>

namespace duckdb {

namespace {

bool Contains(const vector<ColumnBinding> &bindings, const ColumnBinding &binding) {
	return std::find(bindings.begin(), bindings.end(), binding) != bindings.end();
}

void ForEachColumn(const Expression &expression, const std::function<void(const BoundColumnRefExpression &)> &visit) {
	if (expression.GetExpressionClass() == ExpressionClass::BOUND_COLUMN_REF) {
		visit(expression.Cast<BoundColumnRefExpression>());
		return;
	}
	ExpressionIterator::EnumerateChildren(expression, [&](const Expression &child) { ForEachColumn(child, visit); });
}

bool HasSubquery(const Expression &expression) {
	bool has_subquery = expression.GetExpressionClass() == ExpressionClass::BOUND_SUBQUERY;
	ExpressionIterator::EnumerateChildren(
	    expression, [&](const Expression &child) { has_subquery = has_subquery || HasSubquery(child); });
	return has_subquery;
}

//! "column = value": keeps few rows, often one.
bool IsPointCondition(const Expression &condition) {
	if (condition.GetExpressionType() != ExpressionType::COMPARE_EQUAL) {
		return false;
	}
	const auto &comparison = condition.Cast<BoundComparisonExpression>();
	return IsQueryExpression(*comparison.left) != IsQueryExpression(*comparison.right);
}

bool HasAtMostOneRow(const LogicalOperator &op) {
	switch (op.type) {
	case LogicalOperatorType::LOGICAL_PROJECTION:
	case LogicalOperatorType::LOGICAL_FILTER:
		return HasAtMostOneRow(*op.children[0]);
	case LogicalOperatorType::LOGICAL_AGGREGATE_AND_GROUP_BY:
		return op.Cast<LogicalAggregate>().groups.empty() && op.Cast<LogicalAggregate>().grouping_sets.size() <= 1;
	case LogicalOperatorType::LOGICAL_LIMIT: {
		const auto &limit = op.Cast<LogicalLimit>().limit_val;
		return limit.Type() == LimitNodeType::CONSTANT_VALUE && limit.GetConstantValue() <= 1;
	}
	case LogicalOperatorType::LOGICAL_DUMMY_SCAN:
		return true;
	case LogicalOperatorType::LOGICAL_CROSS_PRODUCT:
		return HasAtMostOneRow(*op.children[0]) && HasAtMostOneRow(*op.children[1]);
	default:
		return false;
	}
}

//! Worth trying as the source of a query vector. More than one row costs a scan of the table, not a wrong answer.
bool IsExpectedToHaveOneRow(LogicalOperator &op) {
	if (HasAtMostOneRow(op)) {
		return true;
	}
	switch (op.type) {
	case LogicalOperatorType::LOGICAL_PROJECTION:
		return IsExpectedToHaveOneRow(*op.children[0]);
	case LogicalOperatorType::LOGICAL_FILTER:
		return std::any_of(op.expressions.begin(), op.expressions.end(),
		                   [](const auto &condition) { return IsPointCondition(*condition); }) ||
		       IsExpectedToHaveOneRow(*op.children[0]);
	case LogicalOperatorType::LOGICAL_GET: {
		auto table = op.Cast<LogicalGet>().GetTable();
		return table && table->IsDuckTable() && table->GetStorage().GetTotalRows() <= 1;
	}
	default:
		return false;
	}
}

} // namespace

//===--------------------------------------------------------------------===//
// Following the path
//===--------------------------------------------------------------------===//
bool ScanPath::Find(unique_ptr<LogicalOperator> &root, const Expression &key_p, bool is_similarity,
                    unique_ptr<Expression> extra_condition) {
	key = key_p.Copy();
	if (extra_condition) {
		conditions.emplace_back();
		conditions.back().expression = std::move(extra_condition);
	}
	if (!Descend(root)) {
		return false;
	}
	for (auto &condition : conditions) {
		if (!Inspect(condition)) {
			return false;
		}
	}
	return FindCut() && MatchKey(is_similarity);
}

bool ScanPath::Descend(unique_ptr<LogicalOperator> &root) {
	auto slot = &root;
	while (true) {
		auto &op = **slot;
		Place place;
		place.slot = slot;
		if (!Enter(op, place)) {
			return false;
		}
		const auto child = place.child;
		places.push_back(std::move(place));
		if (get) {
			return true;
		}
		slot = &op.children[child];
	}
}

bool ScanPath::Enter(LogicalOperator &op, Place &place) {
	switch (op.type) {
	case LogicalOperatorType::LOGICAL_PROJECTION:
		place.role = Role::PROJECTION;
		SubstituteColumns(key, op.Cast<LogicalProjection>());
		for (auto &condition : conditions) {
			SubstituteColumns(condition.expression, op.Cast<LogicalProjection>());
		}
		return true;
	case LogicalOperatorType::LOGICAL_FILTER:
		place.role = Role::FILTER;
		op.Cast<LogicalFilter>().SplitPredicates();
		for (idx_t i = 0; i < op.expressions.size(); i++) {
			conditions.emplace_back();
			conditions.back().place = places.size();
			conditions.back().position = i;
			conditions.back().expression = op.expressions[i]->Copy();
		}
		return !op.HasProjectionMap();
	case LogicalOperatorType::LOGICAL_CROSS_PRODUCT:
		place.role = Role::PRODUCT;
		return ChooseProductSide(op, place.child);
	case LogicalOperatorType::LOGICAL_COMPARISON_JOIN:
	case LogicalOperatorType::LOGICAL_DELIM_JOIN:
	case LogicalOperatorType::LOGICAL_ANY_JOIN: {
		const auto join_type = op.Cast<LogicalJoin>().join_type;
		if (op.HasProjectionMap()) {
			return false;
		}
		place.role = join_type == JoinType::SEMI || join_type == JoinType::ANTI ? Role::ROWS : Role::PASSING;
		return place.role == Role::ROWS || join_type == JoinType::MARK || join_type == JoinType::SINGLE;
	}
	case LogicalOperatorType::LOGICAL_GET:
		place.role = Role::SCAN;
		get = &op.Cast<LogicalGet>();
		return IsPlainTableScan(*get);
	default:
		return false;
	}
}

bool ScanPath::ChooseProductSide(LogicalOperator &product, idx_t &child) const {
	bool has_key_column[2] = {false, false};
	bool has_one_row[2] = {false, false};
	for (idx_t side = 0; side < 2; side++) {
		auto &op = *product.children[side];
		const auto bindings = op.GetColumnBindings();
		ForEachColumn(*key, [&](const BoundColumnRefExpression &column) {
			has_key_column[side] = has_key_column[side] || Contains(bindings, column.binding);
		});
		has_one_row[side] = IsExpectedToHaveOneRow(op);
		for (const auto &condition : conditions) {
			bool is_on_side = true;
			ForEachColumn(*condition.expression, [&](const BoundColumnRefExpression &column) {
				is_on_side = is_on_side && Contains(bindings, column.binding);
			});
			has_one_row[side] = has_one_row[side] || (is_on_side && IsPointCondition(*condition.expression));
		}
	}
	child = has_key_column[0] && has_one_row[1] ? 0 : 1;
	return has_key_column[child] && has_one_row[1 - child];
}

//===--------------------------------------------------------------------===//
// Understanding it
//===--------------------------------------------------------------------===//
optional_idx ScanPath::ProductOf(const ColumnBinding &binding) const {
	for (idx_t i = 0; i < places.size(); i++) {
		if (places[i].role == Role::PRODUCT &&
		    Contains((*places[i].slot)->children[1 - places[i].child]->GetColumnBindings(), binding)) {
			return i;
		}
	}
	return optional_idx();
}

//! False: no condition that a scan may evaluate in its own order and as often as it likes.
bool ScanPath::Inspect(Condition &condition) const {
	bool is_outer = false;
	ForEachColumn(*condition.expression, [&](const BoundColumnRefExpression &column) {
		is_outer = is_outer || column.depth > 0;
		if (column.binding.table_index == get->table_index) {
			condition.has_scan_columns = true;
			return;
		}
		const auto product = ProductOf(column.binding);
		if (product.IsValid()) {
			condition.products.insert(product.GetIndex());
		} else {
			condition.has_foreign_columns = true;
		}
	});
	return !is_outer && !condition.expression->IsVolatile() && !HasSubquery(*condition.expression);
}

bool ScanPath::FindCut() {
	for (idx_t i = 0; i < places.size() && !cut.IsValid(); i++) {
		const auto is_foreign = std::any_of(conditions.begin(), conditions.end(), [&](const Condition &condition) {
			return condition.has_foreign_columns && condition.place == optional_idx(i);
		});
		if (is_foreign || places[i].role == Role::ROWS) {
			cut = i;
		}
	}
	if (!cut.IsValid()) {
		return std::none_of(conditions.begin(), conditions.end(),
		                    [](const Condition &condition) { return condition.has_foreign_columns; });
	}
	const auto first = cut.GetIndex();
	for (idx_t i = first; i < places.size(); i++) {
		auto &op = **places[i].slot;
		if (places[i].role == Role::PROJECTION ||
		    (places[i].role == Role::PRODUCT && !HasAtMostOneRow(*op.children[1 - places[i].child]))) {
			return false;
		}
	}
	// What is below stays as it is.
	conditions.erase(std::remove_if(conditions.begin(), conditions.end(),
	                                [&](const Condition &condition) {
		                                return condition.place.IsValid() && condition.place.GetIndex() >= first;
	                                }),
	                 conditions.end());
	return std::none_of(conditions.begin(), conditions.end(), [&](const Condition &condition) {
		return condition.has_foreign_columns || (!condition.products.empty() && *condition.products.rbegin() >= first);
	});
}

idx_t ScanPath::ValueOf(const BoundColumnRefExpression &column) {
	for (idx_t i = 0; i < values.size(); i++) {
		if (values[i].binding == column.binding) {
			return i;
		}
	}
	values.push_back({ProductOf(column.binding).GetIndex(), column.binding, column.return_type});
	return values.size() - 1;
}

void ScanPath::ReplaceProductColumns(unique_ptr<Expression> &expression) {
	if (expression->GetExpressionClass() == ExpressionClass::BOUND_COLUMN_REF) {
		const auto &column = expression->Cast<BoundColumnRefExpression>();
		if (ProductOf(column.binding).IsValid()) {
			expression = make_uniq<BoundReferenceExpression>(column.alias, column.return_type, ValueOf(column));
		}
		return;
	}
	ExpressionIterator::EnumerateChildren(*expression,
	                                      [&](unique_ptr<Expression> &child) { ReplaceProductColumns(child); });
}

bool ScanPath::MatchKey(bool is_similarity) {
	ReplaceProductColumns(key);
	if (cut.IsValid() && std::any_of(values.begin(), values.end(),
	                                 [&](const ProductValue &value) { return value.place >= cut.GetIndex(); })) {
		return false;
	}
	match = is_similarity ? MatchSimilarity(*key) : MatchDistance(*key);
	return match && match->column.table_index == get->table_index;
}

namespace {

//! Where what qualifies is known: so that EXPLAIN can name the strategy, and the execution need not estimate again.
void EstimateFilter(ClientContext &context, IndexScanBindData &bind_data) {
	if (bind_data.filter.IsEmpty() || bind_data.filter.HasOpenValues()) {
		return;
	}
	try {
		RowFilter filter(context, bind_data.table, bind_data.filter, nullptr);
		bind_data.selectivity = EstimateSelectivity(context, bind_data.table.GetStorage(), filter);
	} catch (const Exception &) { // NOLINT: a condition that fails does so again at execution, if it meets such a row
	}
}

} // namespace

//===--------------------------------------------------------------------===//
// Rewriting
//===--------------------------------------------------------------------===//
void ScanPath::ReplaceScanColumns(unique_ptr<Expression> &expression, RowConditions &filter) const {
	if (expression->GetExpressionClass() == ExpressionClass::BOUND_COLUMN_REF) {
		auto &column = expression->Cast<BoundColumnRefExpression>();
		const auto &index = get->GetColumnIds()[column.binding.column_index];
		const auto found = std::find(filter.columns.begin(), filter.columns.end(), index);
		column.binding = ColumnBinding(RowConditions::TABLE_INDEX, idx_t(found - filter.columns.begin()));
		if (found == filter.columns.end()) {
			filter.columns.push_back(index);
		}
		return;
	}
	ExpressionIterator::EnumerateChildren(*expression,
	                                      [&](unique_ptr<Expression> &child) { ReplaceScanColumns(child, filter); });
}

void ScanPath::MoveConditions(RowConditions &filter) {
	for (auto &condition : conditions) {
		const auto is_mixed =
		    !condition.products.empty() && (condition.has_scan_columns || condition.products.size() > 1);
		// What compares the scan with a product stays in the plan, too: it is needed there if the product has not
		// exactly one row.
		if (condition.place.IsValid() && !is_mixed) {
			(*places[condition.place.GetIndex()].slot)->expressions[condition.position].reset();
		}
		if (!condition.products.empty() && !is_mixed) {
			places[*condition.products.begin()].other_conditions.push_back(std::move(condition.expression));
			continue;
		}
		ReplaceProductColumns(condition.expression);
		ReplaceScanColumns(condition.expression, filter);
		filter.conditions.push_back(std::move(condition.expression));
	}
	for (const auto &place : places) {
		if (place.role == Role::FILTER) {
			auto &expressions = (*place.slot)->expressions;
			expressions.erase(std::remove_if(expressions.begin(), expressions.end(),
			                                 [](const unique_ptr<Expression> &expression) { return !expression; }),
			                  expressions.end());
		}
	}
}

void ScanPath::InstallScan(Binder &binder, unique_ptr<IndexScanBindData> bind_data) {
	if (!cut.IsValid()) {
		get->function = IndexScanFunction();
		get->bind_data = std::move(bind_data);
		return;
	}
	// The part with the joins gets another table index, the row id, and a place beside the scan.
	auto scan = make_uniq<LogicalGet>(get->table_index, IndexScanFunction(), nullptr, get->returned_types, get->names,
	                                  get->virtual_columns);
	scan->SetColumnIds(vector<ColumnIndex>(get->GetColumnIds()));
	auto &slot = *places[cut.GetIndex()].slot;
	ColumnBindingReplacer replacer;
	const auto table_index = binder.GenerateTableIndex();
	for (idx_t i = 0; i < get->GetColumnIds().size(); i++) {
		replacer.replacement_bindings.emplace_back(ColumnBinding(get->table_index, i), ColumnBinding(table_index, i));
	}
	replacer.VisitOperator(*slot);
	get->table_index = table_index;
	get->AddColumnId(COLUMN_IDENTIFIER_ROW_ID);
	vector<unique_ptr<Expression>> row_id;
	row_id.push_back(make_uniq<BoundColumnRefExpression>(LogicalType::ROW_TYPE,
	                                                     ColumnBinding(table_index, get->GetColumnIds().size() - 1)));
	auto inputs = bind_data->inputs;
	scan->bind_data = std::move(bind_data);
	slot = make_uniq<LogicalScanInput>(ScanInputKind::ROWS, std::move(inputs), std::move(scan), std::move(slot),
	                                   std::move(row_id), vector<idx_t>());
}

void ScanPath::InstallProducts(const shared_ptr<ScanInputs> &inputs) {
	// From below, so that no slot moves before it was used.
	for (idx_t i = cut.IsValid() ? cut.GetIndex() : places.size(); i-- > 0;) {
		auto &place = places[i];
		auto &slot = *place.slot;
		if (place.role == Role::FILTER && slot->expressions.empty()) {
			auto child = std::move(slot->children[0]);
			slot = std::move(child);
			continue;
		}
		if (place.role != Role::PRODUCT) {
			continue;
		}
		auto other = std::move(slot->children[1 - place.child]);
		if (!place.other_conditions.empty()) {
			auto filter = make_uniq<LogicalFilter>();
			filter->expressions = std::move(place.other_conditions);
			filter->children.push_back(std::move(other));
			other = std::move(filter);
		}
		vector<unique_ptr<Expression>> expressions;
		vector<idx_t> positions;
		for (idx_t value = 0; value < values.size(); value++) {
			if (values[value].place == i) {
				expressions.push_back(make_uniq<BoundColumnRefExpression>(values[value].type, values[value].binding));
				positions.push_back(value);
			}
		}
		auto scan = std::move(slot->children[place.child]);
		slot = make_uniq<LogicalScanInput>(ScanInputKind::VALUES, inputs, std::move(scan), std::move(other),
		                                   std::move(expressions), std::move(positions));
	}
}

void ScanPath::Rewrite(ClientContext &context, Binder &binder, unique_ptr<IndexScanBindData> bind_data) {
	bind_data->query = match->query->Copy();
	MoveConditions(bind_data->filter);
	EstimateFilter(context, *bind_data);
	const auto has_products =
	    std::any_of(places.begin(), places.begin() + ptrdiff_t(cut.IsValid() ? cut.GetIndex() : places.size()),
	                [](const Place &place) { return place.role == Role::PRODUCT; });
	if (has_products || cut.IsValid()) {
		bind_data->inputs = make_shared_ptr<ScanInputs>();
		bind_data->inputs->values.resize(values.size());
	}
	const auto inputs = bind_data->inputs;
	InstallScan(binder, std::move(bind_data));
	InstallProducts(inputs);
}

} // namespace duckdb
