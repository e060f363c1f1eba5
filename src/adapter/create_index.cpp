#include "adapter/create_index.hpp"

#include "adapter/create_index_state.hpp"
#include "adapter/errors.hpp"
#include "adapter/lm_diskann_index.hpp"

#include "duckdb/catalog/catalog_entry/duck_index_entry.hpp"
#include "duckdb/catalog/catalog_entry/duck_table_entry.hpp"
#include "duckdb/common/exception/binder_exception.hpp"
#include "duckdb/common/exception/transaction_exception.hpp"
#include "duckdb/execution/operator/projection/physical_projection.hpp"
#include "duckdb/execution/physical_plan_generator.hpp"
#include "duckdb/main/attached_database.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/parallel/event.hpp"
#include "duckdb/parser/keyword_helper.hpp"
#include "duckdb/parser/parsed_data/create_index_info.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/operator/logical_create_index.hpp"
#include "duckdb/storage/data_table.hpp"
#include "duckdb/storage/table/append_state.hpp"
#include "duckdb/storage/table/data_table_info.hpp"
#include "duckdb/storage/table_io_manager.hpp"
#include "duckdb/transaction/duck_transaction.hpp"

#include <algorithm>

namespace duckdb {

namespace {

//! Share of the progress bar for the scan; the rest is the build.
constexpr double SCAN_PROGRESS_SHARE = 0.1;
//! Weight of scan and build against what follows them.
constexpr double SINK_PROGRESS_WEIGHT = 1000;

[[noreturn]] void Reject(const LogicalCreateIndex &op, const string &problem) {
	throw BinderException(IndexMessagePrefix(op.info->index_name) + problem);
}

//! What makes a column of lists, or of other elements, one that can be indexed.
string AdviceForType(const LogicalCreateIndex &op, const Expression &key) {
	const auto &type = key.return_type;
	const bool has_other_elements =
	    type.id() == LogicalTypeId::ARRAY && ArrayType::GetChildType(type) != LogicalType::FLOAT;
	if (type.id() != LogicalTypeId::LIST && !has_other_elements) {
		return "";
	}
	return "; ALTER TABLE " + KeywordHelper::WriteOptionallyQuoted(op.info->table) + " ALTER " +
	       KeywordHelper::WriteOptionallyQuoted(key.GetName()) +
	       " TYPE FLOAT[N] makes it one where all have N elements";
}

VectorColumnType RequireVectorColumn(const LogicalCreateIndex &op) {
	if (op.info->constraint_type != IndexConstraintType::NONE) {
		Reject(op, "found UNIQUE, but a nearest-neighbour index cannot enforce a constraint; only CREATE INDEX is "
		           "allowed");
	}
	if (op.unbound_expressions.size() != 1) {
		Reject(op, "found " + std::to_string(op.unbound_expressions.size()) + " columns; exactly one is allowed");
	}
	const auto &key = *op.unbound_expressions[0];
	if (key.GetExpressionClass() != ExpressionClass::BOUND_COLUMN_REF) {
		Reject(op, "found the expression \"" + key.ToString() + "\"; only a column is allowed");
	}
	VectorColumnType type;
	if (!ReadVectorColumnType(key.return_type, type)) {
		Reject(op, "found a column of type " + key.return_type.ToString() +
		               "; only FLOAT[N] and TINYINT[N] with N from 1 to 16384 are allowed" + AdviceForType(op, key));
	}
	return type;
}

//! DuckDB finds the objects of a table's indexes by name (TableIndexList), and an uncommitted DROP leaves its object in
//! the list: beside a second one of the name, the log would get the marker of the first, and a rollback remove it.
void RequireFreeName(const LogicalCreateIndex &op, DataTable &table) {
	bool is_taken = false;
	VisitIndexes(table.GetDataTableInfo()->GetIndexes(), [&](Index &index) {
		is_taken = index.GetIndexName() == op.info->index_name;
		return is_taken;
	});
	if (is_taken) {
		throw TransactionException("%sthe drop of an index of this name is not committed yet; commit it first, or use "
		                           "PRAGMA lm_diskann_rebuild to build an index anew",
		                           IndexMessagePrefix(op.info->index_name));
	}
}

lm_diskann::IndexConfiguration Configure(const LogicalCreateIndex &op, const VectorColumnType &type) {
	std::vector<std::pair<std::string, std::string>> options;
	for (const auto &option : op.info->options) {
		options.emplace_back(option.first, option.second.ToString());
	}
	// The map has no order, but messages shall not depend on chance.
	std::sort(options.begin(), options.end());
	return WithDuckDBErrors(op.info->index_name, [&] {
		return lm_diskann::Configure(lm_diskann::ParseOptions(options), type.element_type, type.dims);
	});
}

} // namespace

PhysicalOperator &PlanCreateIndex(PlanIndexInput &input) {
	auto &op = input.op;
	const auto type = RequireVectorColumn(op);
	const auto configuration = Configure(op, type);
	auto &table = op.table.Cast<DuckTableEntry>();
	RequireSupportedDatabase(table.GetStorage().db, op.info->index_name);
	RequireFreeName(op, table.GetStorage());

	// Rows without a vector stay in: the index counts them.
	vector<LogicalType> types {op.expressions[0]->return_type, LogicalType::ROW_TYPE};
	vector<unique_ptr<Expression>> columns;
	columns.push_back(std::move(op.expressions[0]));
	columns.push_back(make_uniq<BoundReferenceExpression>(LogicalType::ROW_TYPE, op.info->scan_types.size() - 1));
	auto &projection =
	    input.planner.Make<PhysicalProjection>(std::move(types), std::move(columns), op.estimated_cardinality);
	projection.children.push_back(input.table_scan);
	auto &create = input.planner.Make<PhysicalCreateLmDiskann>(op, configuration);
	create.children.push_back(projection);
	return create;
}

PhysicalCreateLmDiskann::PhysicalCreateLmDiskann(PhysicalPlan &plan, LogicalCreateIndex &op,
                                                 const lm_diskann::IndexConfiguration &configuration_p)
    : CompatOperator(plan, PhysicalOperatorType::EXTENSION, op.types, op.estimated_cardinality),
      table(op.table.Cast<DuckTableEntry>()), info(std::move(op.info)),
      unbound_expressions(std::move(op.unbound_expressions)), configuration(configuration_p) {
	for (const auto column : info->column_ids) {
		storage_ids.push_back(table.GetColumns().LogicalToPhysical(LogicalIndex(column)).index);
	}
}

SourceResultType PhysicalCreateLmDiskann::Produce(ExecutionContext &, DataChunk &, OperatorSourceInput &) const {
	return SourceResultType::FINISHED;
}

//===--------------------------------------------------------------------===//
// Sink
//===--------------------------------------------------------------------===//
IndexedColumn PhysicalCreateLmDiskann::Column() const {
	IndexedColumn column;
	column.type = {configuration.element_type, configuration.dims};
	column.logical_type = unbound_expressions[0]->return_type;
	column.storage_column = storage_ids[0];
	return column;
}

CreateIndexSinkState::CreateIndexSinkState(ClientContext &context, const PhysicalCreateLmDiskann &op)
    : build(context, op.table.GetStorage(), op.info->index_name, op.configuration, op.Column(), "create") {
}

namespace {

struct CreateIndexLocalState : public LocalSinkState {
	explicit CreateIndexLocalState(VectorColumnType type) : rows(type) {
	}

	VectorRows rows;
	RowBitmap seen_rows;
};

} // namespace

unique_ptr<GlobalSinkState> PhysicalCreateLmDiskann::GetGlobalSinkState(ClientContext &context) const {
	return make_uniq<CreateIndexSinkState>(context, *this);
}

unique_ptr<LocalSinkState> PhysicalCreateLmDiskann::GetLocalSinkState(ExecutionContext &) const {
	return make_uniq<CreateIndexLocalState>(Column().type);
}

SinkResultType PhysicalCreateLmDiskann::Sink(ExecutionContext &, DataChunk &chunk, OperatorSinkInput &input) const {
	auto &local = input.local_state.Cast<CreateIndexLocalState>();
	local.rows.Read(chunk.data[0], chunk.data[1], chunk.size());
	input.global_state.Cast<CreateIndexSinkState>().build.Add(local.rows, local.seen_rows);
	return SinkResultType::NEED_MORE_INPUT;
}

SinkCombineResultType PhysicalCreateLmDiskann::Combine(ExecutionContext &, OperatorSinkCombineInput &input) const {
	auto &local = input.local_state.Cast<CreateIndexLocalState>();
	input.global_state.Cast<CreateIndexSinkState>().build.Merge(local.seen_rows);
	return SinkCombineResultType::FINISHED;
}

SinkFinalizeType PhysicalCreateLmDiskann::Finalize(Pipeline &pipeline, Event &event, ClientContext &context,
                                                   OperatorSinkFinalizeInput &input) const {
	auto &state = input.global_state.Cast<CreateIndexSinkState>();
	state.build.Start();
	if (state.build.File()) {
		RemoveOnRollback(context, state.build.File());
	}
	state.is_building = true;
	event.InsertEvent(MakeBuildEvent(pipeline, *this, state));
	return SinkFinalizeType::READY;
}

ProgressData PhysicalCreateLmDiskann::GetSinkProgress(ClientContext &, GlobalSinkState &sink_state,
                                                      const ProgressData source_progress) const {
	auto &state = sink_state.Cast<CreateIndexSinkState>();
	ProgressData progress;
	progress.total = 1;
	if (state.is_building) {
		progress.done = SCAN_PROGRESS_SHARE + (1 - SCAN_PROGRESS_SHARE) * state.build.Progress();
	} else if (source_progress.IsValid() && source_progress.total > 0) {
		progress.done = SCAN_PROGRESS_SHARE * source_progress.done / source_progress.total;
	}
	// DuckDB adds the progress of the operator as the source of an empty result, with the weight of its cardinality,
	// and the bar would end at half.
	progress.Normalize(SINK_PROGRESS_WEIGHT * double(MaxValue<idx_t>(1, estimated_cardinality)));
	return progress;
}

//===--------------------------------------------------------------------===//
// The end
//===--------------------------------------------------------------------===//
void PhysicalCreateLmDiskann::Register(ClientContext &context, CreateIndexSinkState &state) const {
	auto &storage = table.GetStorage();
	auto core = state.build.Finish(context);
	state.is_building = false;
	if (!storage.IsMainTable()) {
		throw TransactionException("%stable \"%s\" was altered or dropped by another transaction while the index was "
		                           "built; run CREATE INDEX again",
		                           IndexMessagePrefix(info->index_name), table.name);
	}
	// The order of locks is that of ALTER: first the catalog, then the table's appends (lifecycle trap 9).
	info->column_ids = storage_ids;
	auto &schema = table.schema;
	auto entry = schema.CreateIndex(schema.GetCatalogTransaction(context), *info, table);
	if (!entry) {
		// IF NOT EXISTS, and the name appeared meanwhile.
		return;
	}
	// An estimate of zero keeps DuckDB from making the commit a checkpoint: the file is not in the log.
	entry->Cast<DuckIndexEntry>().initial_index_size = 0;

	TableAppendState append_lock;
	LockAppends<DuckTransaction>(context, storage, append_lock);
	state.build.CatchUp(context, *core);
	auto live =
	    std::make_shared<LiveIndex>(storage.db, info->index_name, configuration, std::move(core), state.build.File());
	storage.AddIndex(make_uniq<LmDiskannIndex>(info->index_name, info->constraint_type, storage_ids,
	                                           TableIOManager::Get(storage), unbound_expressions, storage.db,
	                                           std::move(live)));
	state.build.Keep();
}

} // namespace duckdb
