#include "adapter/functions.hpp"

#include "adapter/catalog_indexes.hpp"
#include "adapter/compact.hpp"
#include "adapter/errors.hpp"
#include "adapter/heal.hpp"
#include "adapter/instance_state.hpp"
#include "adapter/recall.hpp"
#include "adapter/row_function.hpp"
#include "adapter/verify.hpp"

#include "duckdb/catalog/catalog_entry/duck_table_entry.hpp"
#include "duckdb/function/pragma_function.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/main/extension/extension_loader.hpp"

namespace duckdb {

namespace {

//===--------------------------------------------------------------------===//
// lm_diskann_index_info()
//===--------------------------------------------------------------------===//
vector<RowColumn> IndexInfoColumns() {
	return {{"database_name", LogicalType::VARCHAR},
	        {"schema_name", LogicalType::VARCHAR},
	        {"table_name", LogicalType::VARCHAR},
	        {"index_name", LogicalType::VARCHAR},
	        {"metric", LogicalType::VARCHAR},
	        {"element_type", LogicalType::VARCHAR},
	        {"dimensions", LogicalType::BIGINT},
	        {"state", LogicalType::VARCHAR},
	        {"state_reason", LogicalType::VARCHAR},
	        {"row_count", LogicalType::BIGINT},
	        {"unindexed_count", LogicalType::BIGINT},
	        {"delta_count", LogicalType::BIGINT},
	        {"tombstone_count", LogicalType::BIGINT},
	        {"R", LogicalType::BIGINT},
	        {"L_build", LogicalType::BIGINT},
	        {"L_search", LogicalType::BIGINT},
	        {"alpha", LogicalType::DOUBLE},
	        {"codes", LogicalType::VARCHAR},
	        {"block_size_bytes", LogicalType::BIGINT},
	        {"file_path", LogicalType::VARCHAR},
	        {"file_size_bytes", LogicalType::BIGINT},
	        {"cache_bytes", LogicalType::BIGINT},
	        {"generation", LogicalType::BIGINT},
	        {"build_seconds", LogicalType::DOUBLE}};
}

unique_ptr<FunctionData> BindIndexInfo(ClientContext &, TableFunctionBindInput &, vector<LogicalType> &types,
                                       vector<string> &names) {
	SetColumns(IndexInfoColumns(), types, names);
	return nullptr;
}

//! The state, and why it is so or how far what is under way has come.
std::pair<string, string> DescribeState(const LiveIndex &live) {
	const auto percent = [](double share) { return std::to_string(int(share * 100)) + " % done"; };
	const auto reason = live.Reason();
	if (const auto progress = live.HealingProgress()) {
		const auto text = "it is built anew from the table, " + percent(*progress);
		return {live.State() == IndexState::READY ? "merging" : IndexStateName(live.State()),
		        reason.empty() ? text : reason + "; " + text};
	}
	const auto core = live.Core();
	if (live.State() == IndexState::READY && core) {
		const auto progress = core->CurrentActivity();
		switch (progress.activity) {
		case lm_diskann::Activity::NONE:
			break;
		case lm_diskann::Activity::MERGING:
			return {"merging", "rows are merged into the graph, " + percent(progress.share)};
		case lm_diskann::Activity::COMPACTING:
			return {"merging", "deleted rows are taken out of the graph, " + percent(progress.share)};
		case lm_diskann::Activity::SHRINKING:
			return {"merging", "free space in the file is given back, " + percent(progress.share)};
		}
	}
	return {IndexStateName(live.State()), reason};
}

//! One row; what is not known, because the file cannot be opened or nothing was configured, is NULL.
vector<Value> IndexInfoRow(const CatalogIndex &entry) {
	vector<Value> row {Value(entry.database_name), Value(entry.schema_name), Value(entry.table.get().name),
	                   Value(entry.index_name)};
	if (!entry.index.live) {
		row.resize(IndexInfoColumns().size());
		row[7] = Value(IndexStateName(IndexState::NEEDS_REBUILD));
		row[8] = Value(DESTROYED_INDEX_REASON);
		return row;
	}
	const auto &live = *entry.index.live;
	const auto &configuration = live.Configuration();
	const auto core = live.Core();
	const auto file = live.File();
	const auto summary = core ? std::optional<lm_diskann::IndexSummary>(core->Summary()) : std::nullopt;
	const auto [state, reason] = DescribeState(live);
	const auto configured = [&](Value value) { return configuration ? std::move(value) : Value(); };
	const auto opened = [&](Value value) { return summary ? std::move(value) : Value(); };
	const auto config = configuration.value_or(lm_diskann::IndexConfiguration());
	const auto counts = summary.value_or(lm_diskann::IndexSummary());
	return {Value(entry.database_name),
	        Value(entry.schema_name),
	        Value(entry.table.get().name),
	        Value(entry.index_name),
	        configured(Value(lm_diskann::MetricName(config.metric))),
	        configured(Value(lm_diskann::ElementTypeName(config.element_type))),
	        configured(CountValue(config.dims)),
	        Value(state),
	        reason.empty() ? Value() : Value(reason),
	        opened(CountValue(counts.row_count)),
	        opened(CountValue(counts.unindexed_count)),
	        opened(CountValue(counts.delta_count)),
	        opened(CountValue(counts.tombstone_count)),
	        configured(CountValue(config.max_degree)),
	        configured(CountValue(config.l_build)),
	        configured(CountValue(config.l_search)),
	        configured(Value::DOUBLE(config.alpha)),
	        configured(Value(lm_diskann::CodeFamilyName(config.codes))),
	        configured(CountValue(config.page_size)),
	        file ? Value(file->Path()) : Value(),
	        opened(CountValue(counts.file_size_bytes)),
	        opened(CountValue(counts.cache_bytes)),
	        opened(CountValue(counts.generation.value)),
	        opened(Value::DOUBLE(counts.build_seconds))};
}

unique_ptr<GlobalTableFunctionState> InitIndexInfo(ClientContext &context, TableFunctionInitInput &) {
	auto state = make_uniq<RowsState>();
	for (const auto &entry : ListIndexes(context)) {
		state->rows.push_back(IndexInfoRow(entry));
	}
	return std::move(state);
}

//===--------------------------------------------------------------------===//
// lm_diskann_stats()
//===--------------------------------------------------------------------===//
unique_ptr<FunctionData> BindStats(ClientContext &, TableFunctionBindInput &, vector<LogicalType> &types,
                                   vector<string> &names) {
	vector<RowColumn> columns;
	for (const auto name : {"database_name", "schema_name", "table_name", "index_name"}) {
		columns.push_back({name, LogicalType::VARCHAR});
	}
	for (const auto name : {"queries", "blocks_read", "cache_hits", "hops", "distances_exact", "distances_estimated",
	                        "inserts", "deletes", "merges", "fallbacks"}) {
		columns.push_back({name, LogicalType::BIGINT});
	}
	SetColumns(columns, types, names);
	return nullptr;
}

unique_ptr<GlobalTableFunctionState> InitStats(ClientContext &context, TableFunctionInitInput &) {
	auto state = make_uniq<RowsState>();
	for (const auto &entry : ListIndexes(context)) {
		vector<Value> row {Value(entry.database_name), Value(entry.schema_name), Value(entry.table.get().name),
		                   Value(entry.index_name)};
		if (const auto core = entry.index.live ? entry.index.live->Core() : nullptr) {
			const auto &counters = core->Counters();
			for (const auto counter : {&counters.queries, &counters.blocks_read, &counters.cache_hits, &counters.hops,
			                           &counters.distances_exact, &counters.distances_estimated, &counters.inserts,
			                           &counters.deletes, &counters.merges, &counters.fallbacks}) {
				row.push_back(CountValue(counter->load()));
			}
		} else {
			row.resize(row.size() + 10, Value(LogicalType::BIGINT));
		}
		state->rows.push_back(std::move(row));
	}
	return std::move(state);
}

//===--------------------------------------------------------------------===//
// lm_diskann_progress()
//===--------------------------------------------------------------------===//
//! Below it the time that is left cannot be told.
constexpr double DONE_MIN = 0.02;

unique_ptr<FunctionData> BindProgress(ClientContext &, TableFunctionBindInput &, vector<LogicalType> &types,
                                      vector<string> &names) {
	SetColumns({{"index_name", LogicalType::VARCHAR},
	            {"operation", LogicalType::VARCHAR},
	            {"phase", LogicalType::VARCHAR},
	            {"done", LogicalType::DOUBLE},
	            {"seconds", LogicalType::DOUBLE},
	            {"seconds_left", LogicalType::DOUBLE}},
	           types, names);
	return nullptr;
}

unique_ptr<GlobalTableFunctionState> InitProgress(ClientContext &context, TableFunctionInitInput &) {
	auto state = make_uniq<RowsState>();
	for (const auto &status : InstanceState::Get(DatabaseInstance::GetDatabase(context))->Operations()->All()) {
		const auto done = status.progress.done;
		state->rows.push_back(
		    {Value(status.index_name), Value(status.operation), Value(status.progress.phase),
		     done >= 0 ? Value::DOUBLE(done) : Value(LogicalType::DOUBLE), Value::DOUBLE(status.seconds),
		     done >= DONE_MIN ? Value::DOUBLE(status.seconds * (1 - done) / done) : Value(LogicalType::DOUBLE)});
	}
	return std::move(state);
}

//===--------------------------------------------------------------------===//
// lm_diskann_verify('idx')
//===--------------------------------------------------------------------===//
unique_ptr<FunctionData> BindVerify(ClientContext &, TableFunctionBindInput &input, vector<LogicalType> &types,
                                    vector<string> &names) {
	SetColumns({{"index_name", LogicalType::VARCHAR}, {"violation", LogicalType::VARCHAR}}, types, names);
	return BindIndexName(input, "lm_diskann_verify");
}

unique_ptr<GlobalTableFunctionState> InitVerify(ClientContext &context, TableFunctionInitInput &input) {
	auto state = make_uniq<RowsState>();
	for (auto &entry : FindIndexes(context, input.bind_data->Cast<NamedIndexBindData>().index_name)) {
		if (!entry.index.live) {
			state->rows.push_back({Value(entry.index_name), Value(DESTROYED_INDEX_REASON)});
			continue;
		}
		for (auto &violation : VerifyIndex(context, entry.table, entry.index)) {
			state->rows.push_back({Value(entry.index_name), Value(std::move(violation))});
		}
	}
	return std::move(state);
}

//===--------------------------------------------------------------------===//
// lm_diskann_recall('idx', k := 10, samples := 100)
//===--------------------------------------------------------------------===//
//! Bounds the memory of the samples and their exact answers.
constexpr int64_t SAMPLES_MAX = 10000;

struct RecallBindData : public NamedIndexBindData {
	idx_t k = 10;
	idx_t sample_count = 100;
};

void ReadCount(const TableFunctionBindInput &input, const char *parameter, int64_t max, idx_t &count) {
	const auto found = input.named_parameters.find(parameter);
	if (found == input.named_parameters.end()) {
		return;
	}
	const auto &value = found->second;
	if (value.IsNull() || BigIntValue::Get(value) < 1 || BigIntValue::Get(value) > max) {
		throw InvalidInputException("lm_diskann_recall: \"%s\" must be between 1 and %lld, found %s", parameter, max,
		                            value.ToString());
	}
	count = idx_t(BigIntValue::Get(value));
}

unique_ptr<FunctionData> BindRecall(ClientContext &, TableFunctionBindInput &input, vector<LogicalType> &types,
                                    vector<string> &names) {
	auto bind_data = make_uniq<RecallBindData>();
	bind_data->index_name = RequireIndexName(input, "lm_diskann_recall");
	ReadCount(input, "k", lm_diskann::L_SEARCH_MAX - 1, bind_data->k);
	ReadCount(input, "samples", SAMPLES_MAX, bind_data->sample_count);
	SetColumns({{"index_name", LogicalType::VARCHAR},
	            {"k", LogicalType::BIGINT},
	            {"samples", LogicalType::BIGINT},
	            {"l_search", LogicalType::BIGINT},
	            {"recall", LogicalType::DOUBLE},
	            {"latency_mean_ms", LogicalType::DOUBLE},
	            {"latency_p99_ms", LogicalType::DOUBLE},
	            {"blocks_read_mean", LogicalType::DOUBLE},
	            {"cache_hits_mean", LogicalType::DOUBLE},
	            {"hops_mean", LogicalType::DOUBLE}},
	           types, names);
	return std::move(bind_data);
}

unique_ptr<GlobalTableFunctionState> InitRecall(ClientContext &context, TableFunctionInitInput &input) {
	const auto &bind_data = input.bind_data->Cast<RecallBindData>();
	auto state = make_uniq<RowsState>();
	for (auto &entry : FindIndexes(context, bind_data.index_name)) {
		if (!entry.index.live) {
			throw InvalidInputException("%s%s", IndexMessagePrefix(entry.index_name), DESTROYED_INDEX_REASON);
		}
		const auto report = MeasureRecall(context, entry.table, entry.index, bind_data.k, bind_data.sample_count);
		const auto measured = [&](double value) {
			return report.sample_count > 0 ? MeasuredValue(value) : Value(LogicalType::DOUBLE);
		};
		state->rows.push_back({Value(entry.index_name), CountValue(report.k), CountValue(report.sample_count),
		                       CountValue(report.search_list_size),
		                       report.recall ? MeasuredValue(*report.recall) : Value(LogicalType::DOUBLE),
		                       measured(report.latency_mean_ms), measured(report.latency_p99_ms),
		                       measured(report.blocks_read_mean), measured(report.cache_hits_mean),
		                       measured(report.hops_mean)});
	}
	return std::move(state);
}

//===--------------------------------------------------------------------===//
// PRAGMA lm_diskann_rebuild('idx')
//===--------------------------------------------------------------------===//
//! The one index a pragma names.
CatalogIndex RequireIndex(ClientContext &context, const FunctionParameters &parameters, const char *pragma) {
	const auto &argument = parameters.values[0];
	if (argument.IsNull()) {
		throw InvalidInputException("%s needs the name of an index, found NULL", pragma);
	}
	return FindOneIndex(context, argument.ToString(), pragma);
}

void Rebuild(ClientContext &context, const FunctionParameters &parameters) {
	const auto found = RequireIndex(context, parameters, "lm_diskann_rebuild");
	RebuildIndex(context, found.table.get().GetStorage(), found.index);
}

void Compact(ClientContext &context, const FunctionParameters &parameters) {
	const auto found = RequireIndex(context, parameters, "lm_diskann_compact");
	CompactIndex(context, found.table.get().GetStorage(), found.index);
}

} // namespace

void RegisterFunctions(ExtensionLoader &loader) {
	loader.RegisterFunction(TableFunction("lm_diskann_index_info", {}, EmitRows, BindIndexInfo, InitIndexInfo));
	loader.RegisterFunction(TableFunction("lm_diskann_stats", {}, EmitRows, BindStats, InitStats));
	loader.RegisterFunction(TableFunction("lm_diskann_progress", {}, EmitRows, BindProgress, InitProgress));
	loader.RegisterFunction(
	    TableFunction("lm_diskann_verify", {LogicalType::VARCHAR}, EmitRows, BindVerify, InitVerify));
	TableFunction recall("lm_diskann_recall", {LogicalType::VARCHAR}, EmitRows, BindRecall, InitRecall);
	recall.named_parameters["k"] = LogicalType::BIGINT;
	recall.named_parameters["samples"] = LogicalType::BIGINT;
	loader.RegisterFunction(recall);
	loader.RegisterFunction(PragmaFunction::PragmaCall("lm_diskann_compact", Compact, {LogicalType::VARCHAR}));
	loader.RegisterFunction(PragmaFunction::PragmaCall("lm_diskann_rebuild", Rebuild, {LogicalType::VARCHAR}));
}

} // namespace duckdb
