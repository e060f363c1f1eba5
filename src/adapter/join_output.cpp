#include "adapter/join_output.hpp"

#include "duckdb/common/vector_operations/vector_operations.hpp"

namespace duckdb {

namespace {

void CopyRows(DataChunk &source, const SelectionVector &selection, idx_t count, DataChunk &target, idx_t first_column,
              idx_t column_count) {
	for (idx_t i = 0; i < column_count; i++) {
		VectorOperations::Copy(source.data[i], target.data[first_column + i], selection, count, 0, target.size());
	}
}

} // namespace

JoinOutput::JoinOutput(ClientContext &context, const IndexJoinSpec &spec_p,
                       const vector<unique_ptr<Expression>> &expressions, const vector<LogicalType> &left_types,
                       const TableRows &table_p)
    : spec(spec_p), table(table_p), left_count(left_types.size()), executor(context) {
	auto types = left_types;
	types.insert(types.end(), spec.column_types.begin(), spec.column_types.end());
	joined.Initialize(context, types);
	fetched.Initialize(context, table.Types());
	scratch.Initialize(context, table.Types());
	vector<LogicalType> output_types;
	for (idx_t i = LogicalIndexJoin::FIRST_FILTER + spec.filter_count; i < expressions.size(); i++) {
		executor.AddExpression(*expressions[i]);
		output_types.push_back(expressions[i]->return_type);
	}
	evaluated.Initialize(context, output_types);
}

void JoinOutput::Next(JoinSearch &search, JoinQueries &queries, DataChunk &output) {
	joined.Reset();
	unmatched.clear();
	while (joined.size() < STANDARD_VECTOR_SIZE) {
		if (next_match < matches.rows.size()) {
			Append(search);
			continue;
		}
		next_match = 0;
		matches.rows.clear();
		if (!search.Next(queries, matches)) {
			break;
		}
		if (matches.rows.empty() && spec.is_left_join) {
			AppendUnmatched(search);
		}
	}
	if (joined.size() > 0) {
		Emit(output);
	}
}

//! As many of the present matches as there is room for.
void JoinOutput::Append(JoinSearch &search) {
	const auto count = MinValue<idx_t>(STANDARD_VECTOR_SIZE - joined.size(), matches.rows.size() - next_match);
	AppendTableRows(search, count);
	next_match += count;
}

void JoinOutput::AppendLeft(DataChunk &left, idx_t row, idx_t count) {
	SelectionVector repeated(count);
	for (idx_t i = 0; i < count; i++) {
		repeated.set_index(i, row);
	}
	CopyRows(left, repeated, count, joined, 0, left_count);
}

void JoinOutput::AppendTableRows(JoinSearch &search, idx_t count) {
	auto &left = *search.Batch().group->chunks[matches.left.chunk];
	const auto begin = matches.rows.begin() + int64_t(next_match);
	SelectionVector selection(count);
	if (matches.are_candidates) {
		for (idx_t i = 0; i < count; i++) {
			selection.set_index(i, begin[int64_t(i)].position);
		}
		AppendLeft(left, matches.left.row, count);
		CopyRows(search.Candidates(), selection, count, joined, left_count, spec.columns.size());
		joined.SetCardinality(joined.size() + count);
		return;
	}
	row_ids.clear();
	fetched.Reset();
	for (idx_t i = 0; i < count; i++) {
		if (begin[int64_t(i)].row_id < MAX_ROW_ID) {
			row_ids.push_back(begin[int64_t(i)].row_id);
		}
	}
	table.Fetch(row_ids.data(), row_ids.size(), fetched);
	for (idx_t i = 0; i < count; i++) {
		if (begin[int64_t(i)].row_id >= MAX_ROW_ID) {
			table.CopyLocal(begin[int64_t(i)].row_id, scratch, fetched);
		}
	}
	AppendLeft(left, matches.left.row, fetched.size());
	for (idx_t i = 0; i < fetched.size(); i++) {
		selection.set_index(i, i);
	}
	CopyRows(fetched, selection, fetched.size(), joined, left_count, spec.columns.size());
	joined.SetCardinality(joined.size() + fetched.size());
}

void JoinOutput::AppendUnmatched(JoinSearch &search) {
	const auto row = joined.size();
	AppendLeft(*search.Batch().group->chunks[matches.left.chunk], matches.left.row, 1);
	for (idx_t i = left_count; i < joined.ColumnCount(); i++) {
		FlatVector::SetNull(joined.data[i], row, true);
	}
	unmatched.push_back(row);
	joined.SetCardinality(row + 1);
}

void JoinOutput::SetUnmatchedToNull(Vector &column, idx_t count) {
	// The column may be one of the left side's, which keeps its values.
	Vector copy(column.GetType(), count);
	VectorOperations::Copy(column, copy, count, 0, 0);
	for (const auto row : unmatched) {
		FlatVector::SetNull(copy, row, true);
	}
	column.Reference(copy);
}

void JoinOutput::Emit(DataChunk &output) {
	evaluated.Reset();
	executor.Execute(joined, evaluated);
	for (idx_t i = 0; i < left_count; i++) {
		output.data[i].Reference(joined.data[i]);
	}
	for (idx_t i = 0; i < evaluated.ColumnCount(); i++) {
		if (!unmatched.empty()) {
			SetUnmatchedToNull(evaluated.data[i], joined.size());
		}
		output.data[left_count + i].Reference(evaluated.data[i]);
	}
	output.SetCardinality(joined.size());
}

} // namespace duckdb
