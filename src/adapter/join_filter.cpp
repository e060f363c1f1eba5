#include "adapter/join_filter.hpp"

#include "duckdb/catalog/catalog_entry/duck_table_entry.hpp"
#include "duckdb/common/string_util.hpp"
#include "duckdb/planner/expression/bound_columnref_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/storage/data_table.hpp"

#include <algorithm>

namespace duckdb {

namespace {

//! Vectors of qualifying rows that are kept; beyond it a scan of the table reads them again for each batch.
constexpr double KEPT_BYTES_MAX = double(idx_t(64) << 20);
//! A row in memory for one left row: its conditions, and its distance by DuckDB's function.
constexpr double RANK_NANOSECONDS = 70;
constexpr double RANK_NANOSECONDS_PER_DIMENSION = 1;

//! True when the condition reads the left row.
bool ReadsLeftRow(const Expression &condition, idx_t left_count) {
	bool reads = condition.GetExpressionClass() == ExpressionClass::BOUND_REF &&
	             condition.Cast<BoundReferenceExpression>().index < left_count;
	ExpressionIterator::EnumerateChildren(
	    condition, [&](const Expression &child) { reads = reads || ReadsLeftRow(child, left_count); });
	return reads;
}

//! Position left_count + j of the joined row becomes the column that is `spec.columns[j]`, in the form of
//! RowConditions.
void ReferToTable(unique_ptr<Expression> &expression, const IndexJoinSpec &spec, idx_t left_count,
                  RowConditions &conditions) {
	if (expression->GetExpressionClass() != ExpressionClass::BOUND_REF) {
		ExpressionIterator::EnumerateChildren(
		    *expression, [&](unique_ptr<Expression> &child) { ReferToTable(child, spec, left_count, conditions); });
		return;
	}
	const auto &column = spec.columns[expression->Cast<BoundReferenceExpression>().index - left_count];
	const auto found = std::find(conditions.columns.begin(), conditions.columns.end(), column);
	const auto place = idx_t(found - conditions.columns.begin());
	if (found == conditions.columns.end()) {
		conditions.columns.push_back(column);
	}
	expression =
	    make_uniq<BoundColumnRefExpression>(expression->return_type, ColumnBinding(RowConditions::TABLE_INDEX, place));
}

} // namespace

JoinFilter::JoinFilter(ClientContext &context_p, const IndexJoinSpec &spec_p,
                       const vector<unique_ptr<Expression>> &expressions, idx_t left_count, idx_t query_count,
                       const TableRows &table_p)
    : context(context_p), spec(spec_p), table(table_p) {
	RowConditions conditions;
	for (idx_t i = 0; i < spec.filter_count; i++) {
		const auto &condition = *expressions[LogicalIndexJoin::FIRST_FILTER + i];
		if (!ReadsLeftRow(condition, left_count)) {
			conditions.conditions.push_back(condition.Copy());
			ReferToTable(conditions.conditions.back(), spec, left_count, conditions);
		}
	}
	if (!conditions.IsEmpty()) {
		filter.emplace(context, spec.table, conditions, nullptr);
		ChooseStrategy(query_count);
	}
}

double JoinFilter::RankCost() const {
	return RANK_NANOSECONDS + RANK_NANOSECONDS_PER_DIMENSION * costs.dims;
}

bool JoinFilter::MayKeepRows() const {
	return filter && selectivity * double(costs.row_count) * costs.dims * sizeof(float) <= KEPT_BYTES_MAX;
}

void JoinFilter::ChooseStrategy(idx_t query_count) {
	auto &storage = table.Storage();
	costs = FilterCosts {storage.GetTotalRows(), spec.index->Configuration()->dims};
	selectivity = EstimateSelectivity(context, storage, *filter);
	const auto queries = double(query_count);
	const auto qualifying = selectivity * double(costs.row_count);
	const auto row_count = spec.limit + spec.offset;
	list_size = FilteredListSize(row_count, spec.search_list_size, selectivity);
	const auto visits = MinValue(double(list_size) / selectivity, double(costs.row_count));
	strategy = spec.filter_strategy;
	if (strategy == FilterStrategy::AUTO) {
		const auto exact = MayKeepRows() ? costs.Exact(qualifying, false) + queries * qualifying * RankCost()
		                                 : std::numeric_limits<double>::infinity();
		const auto graph = costs.Collect() + queries * costs.Graph(visits, true);
		strategy = FilterCosts::Cheapest(exact, graph, queries * costs.Post(visits / 2));
	}
	if (strategy == FilterStrategy::GRAPH) {
		accepted = CollectRows(context, storage, *filter, nullptr);
		const auto ranked = MayKeepRows() ? double(accepted->Rows().Count()) : double(costs.row_count);
		visit_max = MaxValue<idx_t>(idx_t(ranked * RankCost() / costs.Visits(1)), 2 * idx_t(visits));
	}
}

const ColumnDataCollection *JoinFilter::QualifyingRows() {
	if (!MayKeepRows()) {
		return nullptr;
	}
	const lock_guard<mutex> guard(lock);
	if (!qualifying_rows) {
		ReadQualifyingRows();
	}
	return qualifying_rows.get();
}

void JoinFilter::ReadQualifyingRows() {
	FilteredScan scan {table.Storage(), *filter, {}, {}};
	for (idx_t i = 0; i < spec.columns.size(); i++) {
		scan.columns.push_back(ToStorageIndex(spec.table, spec.columns[i]));
		scan.types.push_back(spec.column_types[i]);
	}
	vector<unique_ptr<ColumnDataCollection>> parts;
	for (idx_t thread = 0; thread < scan.ThreadCount(context); thread++) {
		parts.push_back(make_uniq<ColumnDataCollection>(context, table.Types()));
	}
	const auto first_column = filter->Columns().size();
	scan.Run(context, [&](idx_t thread, DataChunk &chunk) {
		DataChunk rows;
		rows.InitializeEmpty(table.Types());
		for (idx_t i = 0; i < rows.ColumnCount(); i++) {
			rows.data[i].Reference(chunk.data[first_column + i]);
		}
		rows.SetCardinality(chunk.size());
		parts[thread]->Append(rows);
	});
	for (idx_t thread = 1; thread < parts.size(); thread++) {
		parts[0]->Combine(*parts[thread]);
	}
	qualifying_rows = std::move(parts[0]);
}

void JoinFilter::Describe(InsertionOrderPreservingMap<string> &result) const {
	if (!filter) {
		return;
	}
	result["Filter Strategy"] = FilterStrategyName(strategy);
	if (accepted || qualifying_rows) {
		result["Rows Qualifying"] =
		    std::to_string(accepted ? accepted->Rows().Count() : uint64_t(qualifying_rows->Count()));
	} else {
		result["Selectivity Estimate"] = StringUtil::Format("%.4f", selectivity);
	}
}

} // namespace duckdb
