#include "adapter/row_function.hpp"

#include <cmath>

namespace duckdb {

void SetColumns(const vector<RowColumn> &columns, vector<LogicalType> &types, vector<string> &names) {
	for (const auto &column : columns) {
		names.emplace_back(column.name);
		types.push_back(column.type);
	}
}

void EmitRows(ClientContext &, TableFunctionInput &input, DataChunk &output) {
	auto &state = input.global_state->Cast<RowsState>();
	idx_t count = 0;
	for (; count < STANDARD_VECTOR_SIZE && state.position < state.rows.size(); count++, state.position++) {
		const auto &row = state.rows[state.position];
		for (idx_t column = 0; column < row.size(); column++) {
			output.SetValue(column, count, row[column]);
		}
	}
	output.SetCardinality(count);
}

Value CountValue(uint64_t count) {
	return Value::BIGINT(NumericCast<int64_t>(count));
}

Value MeasuredValue(double measured) {
	return Value::DOUBLE(std::round(measured * 1e4) / 1e4);
}

string RequireIndexName(const TableFunctionBindInput &input, const char *function) {
	if (input.inputs[0].IsNull()) {
		throw InvalidInputException("%s needs the name of an index, found NULL", function);
	}
	return StringValue::Get(input.inputs[0]);
}

unique_ptr<FunctionData> BindIndexName(const TableFunctionBindInput &input, const char *function) {
	auto bind_data = make_uniq<NamedIndexBindData>();
	bind_data->index_name = RequireIndexName(input, function);
	return std::move(bind_data);
}

} // namespace duckdb
