// Table functions whose rows are few and computed at once, when they begin: what those over indexes share.
#pragma once

#include "duckdb/function/table_function.hpp"

namespace duckdb {

struct RowColumn {
	const char *name;
	LogicalType type;
};
void SetColumns(const vector<RowColumn> &columns, vector<LogicalType> &types, vector<string> &names);

//! Rows computed at init, emitted in chunks by EmitRows.
struct RowsState : public GlobalTableFunctionState {
	vector<vector<Value>> rows;
	idx_t position = 0;
};
void EmitRows(ClientContext &context, TableFunctionInput &input, DataChunk &output);

Value CountValue(uint64_t count);
//! A DOUBLE with the decimals that a measured number deserves to be read with.
Value MeasuredValue(double measured);

//! Of a function whose first argument names an index.
struct NamedIndexBindData : public TableFunctionData {
	string index_name;
};
//! Throws InvalidInputException for NULL.
string RequireIndexName(const TableFunctionBindInput &input, const char *function);
unique_ptr<FunctionData> BindIndexName(const TableFunctionBindInput &input, const char *function);

} // namespace duckdb
