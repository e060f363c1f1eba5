#include "adapter/optimize_join.hpp"

#include "adapter/index_join.hpp"
#include "adapter/lateral_match.hpp"
#include "adapter/plan_match.hpp"
#include "adapter/search_effort.hpp"
#include "adapter/settings.hpp"

#include "duckdb/catalog/catalog_entry/duck_table_entry.hpp"
#include "duckdb/planner/expression/bound_columnref_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/logical_operator_visitor.hpp"

#include <set>

namespace duckdb {

namespace {

//! Of the rewritten plan; the operators are part of it.
using IndexJoins = vector<reference<LogicalIndexJoin>>;

//! True for what has one value for a left row: no column of the table, nothing volatile.
bool IsOfTheLeftSide(const Expression &expression, idx_t table_index) {
	if (expression.IsVolatile()) {
		return false;
	}
	bool is_left = true;
	ExpressionIterator::VisitExpression<BoundColumnRefExpression>(
	    expression, [&](const BoundColumnRefExpression &column) {
		    is_left = is_left && column.binding.table_index != table_index;
	    });
	return is_left;
}

bool HasOnlyStoredColumns(const LogicalGet &get) {
	auto &table = *get.GetTable();
	for (const auto &column : get.GetColumnIds()) {
		if (column.HasChildren() || (column.IsVirtualColumn() && !column.IsRowIdColumn())) {
			return false;
		}
		if (!column.IsVirtualColumn() && table.GetColumn(column.ToLogical()).Generated()) {
			return false;
		}
	}
	return true;
}

IndexJoinSpec MakeSpec(ClientContext &context, const LogicalComparisonJoin &join, const LateralTopK &match,
                       std::shared_ptr<LiveIndex> index) {
	IndexJoinSpec spec(*match.get->GetTable());
	for (const auto &column : match.get->GetColumnIds()) {
		spec.columns.push_back(column);
		spec.column_types.push_back(match.get->GetColumnType(column));
	}
	spec.limit = match.limit;
	spec.offset = match.offset;
	spec.search_list_size = ChooseSearchEffort(context, *index, spec.limit + spec.offset).list_size;
	spec.beam_width = BeamWidth(context);
	spec.is_left_join = join.join_type != JoinType::INNER;
	spec.filter_count = match.filters.size();
	spec.filter_strategy = FilterStrategyOf(context);
	spec.index = std::move(index);
	return spec;
}

//! Null when the join is of another kind, or no index serves it.
unique_ptr<LogicalIndexJoin> TryMakeIndexJoin(ClientContext &context, LogicalComparisonJoin &join, bool may_heal) {
	auto match = MatchLateralTopK(join);
	if (!match || match->limit + match->offset > lm_diskann::L_SEARCH_MAX || !IsPlainTableScan(*match->get) ||
	    !HasOnlyStoredColumns(*match->get)) {
		return nullptr;
	}
	const auto table_index = match->get->table_index;
	const auto distance =
	    MatchDistance(*match->distance, [&](const Expression &query) { return IsOfTheLeftSide(query, table_index); });
	// Of lists nobody knows the length before they are there.
	const bool is_array = distance && distance->query->return_type.id() == LogicalTypeId::ARRAY;
	auto index = is_array ? FindReadyIndex(context, *match->get, *distance, may_heal) : nullptr;
	if (!index) {
		return nullptr;
	}
	auto result = make_uniq<LogicalIndexJoin>(MakeSpec(context, join, *match, std::move(index)), table_index,
	                                          join.children[1]->GetColumnBindings());
	result->expressions.push_back(distance->query->Copy());
	result->expressions.push_back(std::move(match->distance));
	for (auto expressions : {&match->filters, &match->outputs}) {
		for (auto &expression : *expressions) {
			result->expressions.push_back(std::move(expression));
		}
	}
	result->children.push_back(std::move(join.children[0]));
	return result;
}

void Rewrite(ClientContext &context, unique_ptr<LogicalOperator> &op, bool may_heal, IndexJoins &joins) {
	if (op->type == LogicalOperatorType::LOGICAL_DELIM_JOIN) {
		auto join = TryMakeIndexJoin(context, op->Cast<LogicalComparisonJoin>(), may_heal);
		if (join) {
			joins.push_back(*join);
			op = std::move(join);
		}
	}
	for (auto &child : op->children) {
		Rewrite(context, child, may_heal, joins);
	}
}

//! Gathers what expressions refer to.
class ColumnCollector : public LogicalOperatorVisitor {
public:
	std::set<std::pair<idx_t, idx_t>> columns;

protected:
	unique_ptr<Expression> VisitReplace(BoundColumnRefExpression &expression, unique_ptr<Expression> *) override {
		columns.emplace(expression.binding.table_index, expression.binding.column_index);
		return nullptr;
	}
};

} // namespace

void RewriteLateralJoins(ClientContext &context, unique_ptr<LogicalOperator> &plan, bool may_heal) {
	IndexJoins joins;
	Rewrite(context, plan, may_heal, joins);
	if (joins.empty()) {
		return;
	}
	ColumnCollector collector;
	collector.VisitOperator(*plan);
	for (auto join : joins) {
		join.get().Prune([&](const ColumnBinding &binding) {
			return collector.columns.count({binding.table_index, binding.column_index}) > 0;
		});
	}
}

} // namespace duckdb
