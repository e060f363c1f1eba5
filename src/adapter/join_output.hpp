// Puts the joined rows of an index join together: left rows, repeated, beside the columns of the right side.
#pragma once

#include "adapter/join_search.hpp"

namespace duckdb {

//! Belongs to one thread.
class JoinOutput {
public:
	JoinOutput(ClientContext &context, const IndexJoinSpec &spec_p, const vector<unique_ptr<Expression>> &expressions,
	           const vector<LogicalType> &left_types, const TableRows &table_p);

	//! Fills `output` with the next rows; none are left when it is empty.
	void Next(JoinSearch &search, JoinQueries &queries, DataChunk &output);

private:
	void Append(JoinSearch &search);
	void AppendTableRows(JoinSearch &search, idx_t count);
	void AppendUnmatched(JoinSearch &search);
	void AppendLeft(DataChunk &left, idx_t row, idx_t count);
	void Emit(DataChunk &output);
	void SetUnmatchedToNull(Vector &column, idx_t count);

	const IndexJoinSpec &spec;
	const TableRows &table;
	const idx_t left_count;
	ExpressionExecutor executor;
	//! Left columns and columns of the table, flat.
	DataChunk joined;
	//! Rows of it whose right side is to be NULL.
	vector<idx_t> unmatched;
	DataChunk fetched;
	DataChunk scratch;
	DataChunk evaluated;
	//! Not all of its rows are joined yet.
	JoinMatches matches;
	idx_t next_match = 0;
	std::vector<row_t> row_ids;
};

} // namespace duckdb
