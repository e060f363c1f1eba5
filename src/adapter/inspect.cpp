#include "adapter/inspect.hpp"

#include "adapter/catalog_indexes.hpp"
#include "adapter/errors.hpp"
#include "adapter/row_function.hpp"

#include "duckdb/main/client_context.hpp"
#include "duckdb/main/extension/extension_loader.hpp"

#include <cmath>

namespace duckdb {

namespace {

//! The one ready index of the name.
std::shared_ptr<lm_diskann::AnnIndex> RequireCore(ClientContext &context, const string &name, const char *function) {
	const auto live = FindOneIndex(context, name, function).index.live;
	if (!live->IsReady()) {
		throw InvalidInputException("%s%s", IndexMessagePrefix(name), live->Reason());
	}
	return live->Core();
}

Value OptionalRow(const std::optional<lm_diskann::RowId> &row_id) {
	return row_id ? Value::BIGINT(row_id->value) : Value(LogicalType::BIGINT);
}

//===--------------------------------------------------------------------===//
// lm_diskann_calibration('idx')
//===--------------------------------------------------------------------===//
unique_ptr<FunctionData> BindCalibration(ClientContext &, TableFunctionBindInput &input, vector<LogicalType> &types,
                                         vector<string> &names) {
	SetColumns({{"index_name", LogicalType::VARCHAR},
	            {"L", LogicalType::BIGINT},
	            {"recall", LogicalType::DOUBLE},
	            {"recall_error", LogicalType::DOUBLE},
	            {"blocks", LogicalType::DOUBLE},
	            {"samples", LogicalType::BIGINT}},
	           types, names);
	return BindIndexName(input, "lm_diskann_calibration");
}

unique_ptr<GlobalTableFunctionState> InitCalibration(ClientContext &context, TableFunctionInitInput &input) {
	auto state = make_uniq<RowsState>();
	for (auto &entry : FindIndexes(context, input.bind_data->Cast<NamedIndexBindData>().index_name)) {
		const auto core = entry.index.live ? entry.index.live->Core() : nullptr;
		const auto calibration = core ? core->GetCalibration() : lm_diskann::Calibration();
		for (const auto &point : calibration.points) {
			state->rows.push_back({Value(entry.index_name), CountValue(point.list_size), MeasuredValue(point.recall),
			                       MeasuredValue(point.recall_error), MeasuredValue(point.blocks),
			                       CountValue(calibration.sample_count)});
		}
	}
	return std::move(state);
}

//===--------------------------------------------------------------------===//
// lm_diskann_nodes('idx')
//===--------------------------------------------------------------------===//
//! Nodes read at once; a chunk holds as many rows.
constexpr size_t NODES_READ = STANDARD_VECTOR_SIZE;

struct NodesState : public GlobalTableFunctionState {
	std::shared_ptr<lm_diskann::AnnIndex> core;
	lm_diskann::NodeId next = lm_diskann::NodeId(0);
	//! By node number.
	std::vector<uint32_t> in_degrees;
};

unique_ptr<FunctionData> BindNodes(ClientContext &, TableFunctionBindInput &input, vector<LogicalType> &types,
                                   vector<string> &names) {
	SetColumns({{"node", LogicalType::BIGINT},
	            {"page", LogicalType::BIGINT},
	            {"row_id", LogicalType::BIGINT},
	            {"is_deleted", LogicalType::BOOLEAN},
	            {"is_entry", LogicalType::BOOLEAN},
	            {"degree", LogicalType::BIGINT},
	            {"in_degree", LogicalType::BIGINT},
	            {"neighbors", LogicalType::LIST(LogicalType::BIGINT)}},
	           types, names);
	return BindIndexName(input, "lm_diskann_nodes");
}

unique_ptr<GlobalTableFunctionState> InitNodes(ClientContext &context, TableFunctionInitInput &input) {
	const auto &name = input.bind_data->Cast<NamedIndexBindData>().index_name;
	auto state = make_uniq<NodesState>();
	state->core = RequireCore(context, name, "lm_diskann_nodes");
	WithDuckDBErrors(name, [&] {
		auto first = lm_diskann::NodeId(0);
		while (true) {
			const auto nodes = state->core->ReadNodes(first, NODES_READ);
			if (nodes.empty()) {
				return;
			}
			if (context.interrupted) {
				throw InterruptException();
			}
			for (const auto &node : nodes) {
				for (const auto neighbor : node.neighbors) {
					state->in_degrees.resize(MaxValue<size_t>(state->in_degrees.size(), size_t(neighbor.value) + 1));
					state->in_degrees[neighbor.value]++;
				}
			}
			first = lm_diskann::NodeId(nodes.back().node.value + 1);
		}
	});
	return std::move(state);
}

void EmitNodes(ClientContext &, TableFunctionInput &input, DataChunk &output) {
	auto &state = input.global_state->Cast<NodesState>();
	const auto nodes = WithDuckDBErrors(input.bind_data->Cast<NamedIndexBindData>().index_name,
	                                    [&] { return state.core->ReadNodes(state.next, NODES_READ); });
	for (idx_t i = 0; i < nodes.size(); i++) {
		const auto &node = nodes[i];
		vector<Value> neighbors;
		for (const auto neighbor : node.neighbors) {
			neighbors.push_back(CountValue(neighbor.value));
		}
		const auto in_degree = node.node.value < state.in_degrees.size() ? state.in_degrees[node.node.value] : 0;
		const vector<Value> row {CountValue(node.node.value),   CountValue(node.page.value),
		                         OptionalRow(node.row_id),      Value::BOOLEAN(node.is_deleted),
		                         Value::BOOLEAN(node.is_entry), CountValue(neighbors.size()),
		                         CountValue(in_degree),         Value::LIST(LogicalType::BIGINT, neighbors)};
		for (idx_t column = 0; column < row.size(); column++) {
			output.SetValue(column, i, row[column]);
		}
		state.next = lm_diskann::NodeId(node.node.value + 1);
	}
	output.SetCardinality(nodes.size());
}

//===--------------------------------------------------------------------===//
// lm_diskann_trace('idx', vector [, L := 32])
//===--------------------------------------------------------------------===//
constexpr int64_t TRACE_LIST_SIZE = 32;

struct TraceBindData : public NamedIndexBindData {
	std::vector<float> query;
	int64_t list_size = TRACE_LIST_SIZE;
};

unique_ptr<FunctionData> BindTrace(ClientContext &, TableFunctionBindInput &input, vector<LogicalType> &types,
                                   vector<string> &names) {
	SetColumns({{"step", LogicalType::BIGINT},
	            {"node", LogicalType::BIGINT},
	            {"from_node", LogicalType::BIGINT},
	            {"row_id", LogicalType::BIGINT},
	            {"distance", LogicalType::DOUBLE}},
	           types, names);
	auto bind_data = make_uniq<TraceBindData>();
	bind_data->index_name = RequireIndexName(input, "lm_diskann_trace");
	const auto parameter = input.named_parameters.find("L");
	if (parameter != input.named_parameters.end() && !parameter->second.IsNull()) {
		bind_data->list_size = parameter->second.GetValue<int64_t>();
	}
	if (bind_data->list_size < lm_diskann::L_SEARCH_MIN || bind_data->list_size > lm_diskann::L_SEARCH_MAX) {
		throw InvalidInputException("lm_diskann_trace: L must be between %d and %d, found %d", lm_diskann::L_SEARCH_MIN,
		                            lm_diskann::L_SEARCH_MAX, bind_data->list_size);
	}
	if (!input.inputs[1].IsNull()) {
		for (const auto &element : ListValue::GetChildren(input.inputs[1])) {
			bind_data->query.push_back(element.IsNull() ? NAN : element.GetValue<float>());
		}
	}
	return std::move(bind_data);
}

unique_ptr<GlobalTableFunctionState> InitTrace(ClientContext &context, TableFunctionInitInput &input) {
	const auto &bind_data = input.bind_data->Cast<TraceBindData>();
	const auto core = RequireCore(context, bind_data.index_name, "lm_diskann_trace");
	const auto &configuration = core->Configuration();
	if (bind_data.query.size() != configuration.dims) {
		throw InvalidInputException("%sa query has %d dimensions, found %llu", IndexMessagePrefix(bind_data.index_name),
		                            configuration.dims, bind_data.query.size());
	}
	if (!lm_diskann::IsIndexable(configuration.metric, bind_data.query.data(), bind_data.query.size())) {
		throw InvalidInputException("%sthe query vector must be finite, and not zero under cosine",
		                            IndexMessagePrefix(bind_data.index_name));
	}
	const auto steps = WithDuckDBErrors(
	    bind_data.index_name, [&] { return core->Trace(bind_data.query.data(), uint32_t(bind_data.list_size)); });
	auto state = make_uniq<RowsState>();
	for (const auto &step : steps) {
		state->rows.push_back({CountValue(state->rows.size()), CountValue(step.node.value),
		                       step.from ? CountValue(step.from->value) : Value(LogicalType::BIGINT),
		                       OptionalRow(step.row_id), Value::DOUBLE(step.distance)});
	}
	return std::move(state);
}

//===--------------------------------------------------------------------===//
// lm_diskann_file_parts('idx')
//===--------------------------------------------------------------------===//
unique_ptr<FunctionData> BindFileParts(ClientContext &, TableFunctionBindInput &input, vector<LogicalType> &types,
                                       vector<string> &names) {
	SetColumns({{"part", LogicalType::VARCHAR}, {"blocks", LogicalType::BIGINT}, {"bytes", LogicalType::BIGINT}}, types,
	           names);
	return BindIndexName(input, "lm_diskann_file_parts");
}

unique_ptr<GlobalTableFunctionState> InitFileParts(ClientContext &context, TableFunctionInitInput &input) {
	const auto &name = input.bind_data->Cast<NamedIndexBindData>().index_name;
	const auto core = RequireCore(context, name, "lm_diskann_file_parts");
	auto state = make_uniq<RowsState>();
	for (const auto &part : core->FileParts()) {
		state->rows.push_back({Value(part.name), CountValue(part.block_count),
		                       CountValue(part.block_count * core->Configuration().page_size)});
	}
	return std::move(state);
}

} // namespace

void RegisterInspection(ExtensionLoader &loader) {
	loader.RegisterFunction(
	    TableFunction("lm_diskann_calibration", {LogicalType::VARCHAR}, EmitRows, BindCalibration, InitCalibration));
	loader.RegisterFunction(TableFunction("lm_diskann_nodes", {LogicalType::VARCHAR}, EmitNodes, BindNodes, InitNodes));
	TableFunction trace("lm_diskann_trace", {LogicalType::VARCHAR, LogicalType::LIST(LogicalType::FLOAT)}, EmitRows,
	                    BindTrace, InitTrace);
	trace.named_parameters["L"] = LogicalType::BIGINT;
	loader.RegisterFunction(trace);
	loader.RegisterFunction(
	    TableFunction("lm_diskann_file_parts", {LogicalType::VARCHAR}, EmitRows, BindFileParts, InitFileParts));
}

} // namespace duckdb
