#include "adapter/physical_index_join.hpp"

#include "adapter/join_output.hpp"
#include "adapter/search_report.hpp"

#include "duckdb/catalog/catalog_entry/duck_table_entry.hpp"
#include "duckdb/parallel/task_scheduler.hpp"
#include "duckdb/storage/data_table.hpp"

namespace duckdb {

namespace {

class LeftRows : public GlobalSinkState {
public:
	LeftRows(ClientContext &context, const vector<LogicalType> &types) : rows(context, types) {
	}

	mutex lock;
	ColumnDataCollection rows;
};

class LocalLeftRows : public LocalSinkState {
public:
	LocalLeftRows(ClientContext &context, const vector<LogicalType> &types) : rows(context, types) {
		rows.InitializeAppend(append);
	}

	ColumnDataCollection rows;
	ColumnDataAppendState append;
};

//! Ready: the core. Degraded, or not opened: null, and the table answers.
std::shared_ptr<lm_diskann::AnnIndex> ReadyCore(const IndexJoinSpec &spec, const TableRows &table) {
	spec.index->RequireCoverage(table.Storage().GetTotalRows());
	auto core = spec.index->Core();
	return spec.index->IsReady() ? core : nullptr;
}

class JoinSource : public GlobalSourceState {
public:
	JoinSource(ClientContext &context, const PhysicalIndexJoin &join, ColumnDataCollection &left)
	    : table(context, join.spec.table, nullptr, join.spec.columns), core(ReadyCore(join.spec, table)),
	      queries(context, left, *join.expressions[LogicalIndexJoin::QUERY], join.spec.index->Configuration()->metric,
	              core),
	      filter(context, join.spec, join.expressions, join.LeftTypes().size(), left.Count(), table),
	      thread_count(NumericCast<idx_t>(TaskScheduler::GetScheduler(context).NumberOfThreads())) {
		table.KeepLocalRows();
		if (!core) {
			progress.NoteFallback(join.spec.index->Reason());
		}
	}

	idx_t MaxThreads() override {
		return MinValue(thread_count, MaxValue<idx_t>(queries.BatchCount(), 1));
	}

	TableRows table;
	const std::shared_ptr<lm_diskann::AnnIndex> core;
	JoinQueries queries;
	JoinFilter filter;
	JoinProgress progress;
	const idx_t thread_count;
};

class LocalJoinSource : public LocalSourceState {
public:
	LocalJoinSource(ClientContext &context, const PhysicalIndexJoin &join, JoinSource &source)
	    : search(context, join.spec, join.expressions, join.LeftTypes(), source.table, source.filter, source.core,
	             source.progress),
	      output(context, join.spec, join.expressions, join.LeftTypes(), source.table) {
	}

	JoinSearch search;
	JoinOutput output;
};

} // namespace

PhysicalIndexJoin::PhysicalIndexJoin(PhysicalPlan &plan, vector<LogicalType> types_p, idx_t estimated_cardinality_p,
                                     IndexJoinSpec spec_p, vector<unique_ptr<Expression>> expressions_p)
    : CompatOperator(plan, TYPE, std::move(types_p), estimated_cardinality_p), spec(std::move(spec_p)),
      expressions(std::move(expressions_p)) {
}

string PhysicalIndexJoin::GetName() const {
	return "LM_DISKANN_INDEX_JOIN";
}

InsertionOrderPreservingMap<string> PhysicalIndexJoin::ParamsToString() const {
	auto result = spec.Describe();
	SetEstimatedCardinality(result, estimated_cardinality);
	return result;
}

unique_ptr<GlobalSinkState> PhysicalIndexJoin::GetGlobalSinkState(ClientContext &context) const {
	return make_uniq<LeftRows>(context, LeftTypes());
}

unique_ptr<LocalSinkState> PhysicalIndexJoin::GetLocalSinkState(ExecutionContext &context) const {
	return make_uniq<LocalLeftRows>(context.client, LeftTypes());
}

SinkResultType PhysicalIndexJoin::Sink(ExecutionContext &, DataChunk &chunk, OperatorSinkInput &input) const {
	auto &local = input.local_state.Cast<LocalLeftRows>();
	local.rows.Append(local.append, chunk);
	return SinkResultType::NEED_MORE_INPUT;
}

SinkCombineResultType PhysicalIndexJoin::Combine(ExecutionContext &, OperatorSinkCombineInput &input) const {
	auto &global = input.global_state.Cast<LeftRows>();
	const lock_guard<mutex> guard(global.lock);
	global.rows.Combine(input.local_state.Cast<LocalLeftRows>().rows);
	return SinkCombineResultType::FINISHED;
}

SinkFinalizeType PhysicalIndexJoin::Finalize(Pipeline &, Event &, ClientContext &,
                                             OperatorSinkFinalizeInput &input) const {
	return input.global_state.Cast<LeftRows>().rows.Count() == 0 ? SinkFinalizeType::NO_OUTPUT_POSSIBLE
	                                                             : SinkFinalizeType::READY;
}

unique_ptr<GlobalSourceState> PhysicalIndexJoin::GetGlobalSourceState(ClientContext &context) const {
	return make_uniq<JoinSource>(context, *this, sink_state->Cast<LeftRows>().rows);
}

unique_ptr<LocalSourceState> PhysicalIndexJoin::GetLocalSourceState(ExecutionContext &context,
                                                                    GlobalSourceState &state) const {
	return make_uniq<LocalJoinSource>(context.client, *this, state.Cast<JoinSource>());
}

SourceResultType PhysicalIndexJoin::Produce(ExecutionContext &, DataChunk &chunk, OperatorSourceInput &input) const {
	auto &local = input.local_state.Cast<LocalJoinSource>();
	local.output.Next(local.search, input.global_state.Cast<JoinSource>().queries, chunk);
	return chunk.size() == 0 ? SourceResultType::FINISHED : SourceResultType::HAVE_MORE_OUTPUT;
}

ProgressData PhysicalIndexJoin::GetProgress(ClientContext &, GlobalSourceState &state) const {
	auto &source = state.Cast<JoinSource>();
	ProgressData result;
	result.done = double(source.progress.queries.load());
	result.total = double(MaxValue<idx_t>(source.queries.Count(), 1));
	return result;
}

InsertionOrderPreservingMap<string> PhysicalIndexJoin::ExtraSourceParams(GlobalSourceState &global_state,
                                                                         LocalSourceState &) const {
	auto &source = global_state.Cast<JoinSource>();
	auto &progress = source.progress;
	InsertionOrderPreservingMap<string> result;
	// EXPLAIN ANALYZE names every operator of an extension EXTENSION.
	result["Type"] = GetName();
	result["Queries"] = std::to_string(progress.queries.load());
	result["Exact Queries"] = std::to_string(progress.exact_queries.load());
	source.filter.Describe(result);
	if (progress.tested > 0) {
		result["Rows Filtered"] = std::to_string(progress.tested - progress.passed);
	}
	ReportSearch(progress.Counters(), progress.FallbackReason(), result);
	return result;
}

} // namespace duckdb
