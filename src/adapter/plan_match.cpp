#include "adapter/plan_match.hpp"

#include "adapter/heal.hpp"
#include "adapter/index_scan.hpp"
#include "adapter/lm_diskann_index.hpp"

#include "duckdb/catalog/catalog_entry/duck_table_entry.hpp"
#include "duckdb/function/table/table_scan.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/planner/expression/bound_columnref_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/operator/logical_explain.hpp"
#include "duckdb/planner/operator/logical_get.hpp"
#include "duckdb/planner/operator/logical_limit.hpp"
#include "duckdb/planner/operator/logical_projection.hpp"
#include "duckdb/storage/data_table.hpp"

namespace duckdb {

void ReplaceColumns(unique_ptr<Expression> &expression, idx_t table_index,
                    const vector<unique_ptr<Expression>> &replacements) {
	if (expression->GetExpressionClass() == ExpressionClass::BOUND_COLUMN_REF) {
		const auto &binding = expression->Cast<BoundColumnRefExpression>().binding;
		if (binding.table_index == table_index) {
			expression = replacements[binding.column_index]->Copy();
		}
		return;
	}
	ExpressionIterator::EnumerateChildren(
	    *expression, [&](unique_ptr<Expression> &child) { ReplaceColumns(child, table_index, replacements); });
}

void SubstituteColumns(unique_ptr<Expression> &expression, const LogicalProjection &projection) {
	ReplaceColumns(expression, projection.table_index, projection.expressions);
}

LogicalGet *FindScan(LogicalOperator &op, unique_ptr<Expression> &key) {
	auto current = &op;
	while (current->type == LogicalOperatorType::LOGICAL_PROJECTION) {
		SubstituteColumns(key, current->Cast<LogicalProjection>());
		current = current->children[0].get();
	}
	if (current->type != LogicalOperatorType::LOGICAL_GET) {
		return nullptr;
	}
	return &current->Cast<LogicalGet>();
}

bool IsPlainTableScan(const LogicalGet &get) {
	if (get.function.name != "seq_scan" || !get.bind_data || !get.children.empty()) {
		return false;
	}
	const auto table = get.GetTable();
	return table && table->IsDuckTable() && get.table_filters.filters.empty() && !get.dynamic_filters &&
	       !get.extra_info.sample_options && !get.bind_data->Cast<TableScanBindData>().is_create_index;
}

std::shared_ptr<LiveIndex> FindReadyIndex(ClientContext &context, const LogicalGet &get, const DistanceMatch &match,
                                          bool may_heal) {
	const auto &column_ids = get.GetColumnIds();
	if (match.column.table_index != get.table_index || match.column.column_index >= column_ids.size()) {
		return nullptr;
	}
	const auto &column = column_ids[match.column.column_index];
	if (column.IsVirtualColumn() || column.HasChildren()) {
		return nullptr;
	}
	auto &table = *get.GetTable();
	const auto &definition = table.GetColumn(column.ToLogical());
	if (definition.Generated()) {
		return nullptr;
	}
	auto &storage = table.GetStorage();
	for (auto &index : GetTableIndexes(context, storage)) {
		const auto &configuration = index.live->Configuration();
		if (index.storage_column != definition.StorageOid() || !configuration ||
		    configuration->metric != match.metric) {
			continue;
		}
		index.live->RequireCoverage(storage.GetTotalRows());
		if (may_heal && (!index.live->IsReady() || index.live->IsRebuildDue())) {
			HealForQuery(context, storage, index);
		}
		if (index.live->IsReady()) {
			return index.live;
		}
	}
	return nullptr;
}

idx_t ConstantRowCount(const LogicalLimit &limit) {
	if (limit.limit_val.Type() != LimitNodeType::CONSTANT_VALUE) {
		return 0;
	}
	const auto row_count = limit.limit_val.GetConstantValue();
	idx_t offset = 0;
	if (limit.offset_val.Type() == LimitNodeType::CONSTANT_VALUE) {
		offset = limit.offset_val.GetConstantValue();
	} else if (limit.offset_val.Type() != LimitNodeType::UNSET) {
		return 0;
	}
	if (row_count > INDEX_SCAN_ROWS_MAX || offset > INDEX_SCAN_ROWS_MAX || row_count + offset > INDEX_SCAN_ROWS_MAX) {
		return 0;
	}
	return row_count == 0 ? 0 : row_count + offset;
}

bool IsOnlyExplained(const LogicalOperator &plan) {
	return plan.type == LogicalOperatorType::LOGICAL_EXPLAIN &&
	       plan.Cast<LogicalExplain>().explain_type == ExplainType::EXPLAIN_STANDARD;
}

bool ContainsOperator(const LogicalOperator &op, LogicalOperatorType type) {
	if (op.type == type) {
		return true;
	}
	for (const auto &child : op.children) {
		if (ContainsOperator(*child, type)) {
			return true;
		}
	}
	return false;
}

} // namespace duckdb
