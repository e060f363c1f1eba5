#include "adapter/index_scan.hpp"

#include "adapter/candidate_search.hpp"
#include "adapter/indexed_rows.hpp"
#include "adapter/query_vector.hpp"
#include "adapter/search_report.hpp"

#include "duckdb/catalog/catalog_entry/duck_table_entry.hpp"
#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/storage/data_table.hpp"

namespace duckdb {

bool IndexScanBindData::Equals(const FunctionData &other_p) const {
	// Two scans that return different candidates must not be taken for one.
	return this == &other_p;
}

unique_ptr<FunctionData> IndexScanBindData::Copy() const {
	auto copy = make_uniq<IndexScanBindData>(table);
	copy->column_ids = column_ids;
	copy->index = index;
	copy->column = column;
	copy->query = query->Copy();
	copy->row_count = row_count;
	copy->limit = limit ? limit->Copy() : nullptr;
	copy->offset = offset ? offset->Copy() : nullptr;
	copy->has_tie_keys = has_tie_keys;
	copy->is_descending = is_descending;
	copy->search_list_size = search_list_size;
	copy->target_recall = target_recall;
	copy->beam_width = beam_width;
	copy->filter = filter.Copy();
	copy->filter_strategy = filter_strategy;
	copy->selectivity = selectivity;
	copy->inputs = inputs;
	return std::move(copy);
}

namespace {

//! A lossy form of the vectors in the index orders candidates only roughly: fetch more, DuckDB's ORDER BY above is
//! exact.
constexpr idx_t LOSSY_FACTOR = 2, LOSSY_EXTRA = 10;

//! The value of the query as the core wants it.
std::vector<float> EvaluateQuery(ClientContext &context, const IndexScanBindData &bind_data) {
	const auto &configuration = *bind_data.index->Configuration();
	if (!bind_data.inputs) {
		return EvaluateQueryVector(context, *bind_data.query, configuration);
	}
	const auto filled = FillInInputs(context, *bind_data.query, bind_data.inputs->values);
	return EvaluateQueryVector(context, *filled, configuration);
}

//! The value of a part of LIMIT; unset: none, NULL, or not a count, which the plan above reports.
std::optional<idx_t> EvaluateCount(ClientContext &context, const Expression &expression) {
	Value value;
	if (!ExpressionExecutor::TryEvaluateScalar(context, expression, value) || value.IsNull() ||
	    !value.DefaultTryCastAs(LogicalType::UBIGINT)) {
		return std::nullopt;
	}
	return value.GetValue<uint64_t>();
}

//! LIMIT + OFFSET; unset: not known, or more than an index scan is for.
std::optional<idx_t> EvaluateRowCount(ClientContext &context, const IndexScanBindData &bind_data) {
	if (bind_data.row_count > 0) {
		return bind_data.row_count;
	}
	const auto limit = EvaluateCount(context, *bind_data.limit);
	const auto offset = bind_data.offset ? EvaluateCount(context, *bind_data.offset) : idx_t(0);
	if (!limit || !offset || *limit > INDEX_SCAN_ROWS_MAX || *offset > INDEX_SCAN_ROWS_MAX - *limit) {
		return std::nullopt;
	}
	return *limit + *offset;
}

unique_ptr<RowFilter> MakeFilter(ClientContext &context, const IndexScanBindData &bind_data) {
	if (!bind_data.HasFilter()) {
		return nullptr;
	}
	const auto inputs = bind_data.inputs.get();
	const auto has_inputs = inputs && inputs->IsSingleRow();
	return make_uniq<RowFilter>(context, bind_data.table, bind_data.filter, has_inputs ? &inputs->values : nullptr);
}

class CandidateScanState : public GlobalTableFunctionState {
public:
	CandidateScanState(ClientContext &context_p, const IndexScanBindData &bind_data_p,
	                   const TableFunctionInitInput &input);
	~CandidateScanState() override {
		// A prepared statement keeps its inputs until the next execution, which has rows of its own.
		if (bind_data.inputs) {
			bind_data.inputs->rows.reset();
		}
	}

	void Next(DataChunk &output) {
		rows.Next([this] { return NextCandidates(); }, output);
	}
	InsertionOrderPreservingMap<string> Counters() const;

private:
	void StartSearch();
	std::vector<row_t> NextCandidates();

	ClientContext &context;
	const IndexScanBindData &bind_data;
	//! Null: no filter. `rows_within`: what it has to leave, if another operator decided that.
	const unique_ptr<RowFilter> filter;
	const lm_diskann::RowSet *const rows_within;
	IndexedRows rows;
	//! Visible rows to emit from the index.
	idx_t target_count = 0;
	unique_ptr<CandidateSearch> search;
};

CandidateScanState::CandidateScanState(ClientContext &context_p, const IndexScanBindData &bind_data_p,
                                       const TableFunctionInitInput &input)
    : context(context_p), bind_data(bind_data_p), filter(MakeFilter(context, bind_data)),
      rows_within(bind_data.inputs && bind_data.inputs->has_rows ? &bind_data.inputs->rows->Rows() : nullptr),
      rows(context, *bind_data.index, bind_data.table, input.column_indexes, filter.get(), rows_within) {
	if (bind_data.inputs && !bind_data.inputs->IsSingleRow()) {
		rows.FallBack("the query vector comes from a part of the statement that has not exactly one row");
		return;
	}
	StartSearch();
}

void CandidateScanState::StartSearch() {
	auto core = rows.OpenIndex();
	if (!core) {
		return;
	}
	SearchRequest request;
	request.query = EvaluateQuery(context, bind_data);
	if (request.query.empty()) {
		rows.FallBack("the query vector is NULL, not finite, or zero under cosine");
		return;
	}
	const auto row_count = EvaluateRowCount(context, bind_data);
	if (!row_count) {
		rows.FallBack("LIMIT + OFFSET is not a number from 0 to " + std::to_string(INDEX_SCAN_ROWS_MAX));
		return;
	}
	if (bind_data.is_descending && core->Summary().unindexed_count > 0) {
		rows.FallBack("rows without a vector in the index may come first in a descending order");
		return;
	}
	target_count = *row_count;
	if (target_count > 0 && bind_data.index->Configuration()->vectors != lm_diskann::VectorStorage::NATIVE) {
		target_count = target_count * LOSSY_FACTOR + LOSSY_EXTRA;
	}
	request.row_count = target_count;
	request.filter = filter.get();
	request.rows = rows_within;
	search = make_uniq<CandidateSearch>(context, bind_data, std::move(core), std::move(request));
}

//! The nearest, and then those as near as the last of them.
std::vector<row_t> CandidateScanState::NextCandidates() {
	const auto found_count = rows.EmittedCount();
	if (found_count >= target_count) {
		return bind_data.has_tie_keys && target_count > 0 ? search->NextTies() : std::vector<row_t>();
	}
	auto row_ids = search->Next(target_count - found_count);
	if (row_ids.empty() && !search->IsComplete()) {
		rows.FallBack("the index reaches fewer rows than the query asks for");
	}
	return row_ids;
}

InsertionOrderPreservingMap<string> CandidateScanState::Counters() const {
	const auto counters = search ? search->Counters() : lm_diskann::SearchCounters();
	InsertionOrderPreservingMap<string> result;
	// EXPLAIN ANALYZE names every scan TABLE_SCAN.
	result["Type"] = "LM_DISKANN_INDEX_SCAN";
	if (search) {
		search->Describe(result);
	}
	ReportSearch(counters, rows.FallbackReason(), result);
	return result;
}

unique_ptr<GlobalTableFunctionState> InitGlobal(ClientContext &context, TableFunctionInitInput &input) {
	return make_uniq<CandidateScanState>(context, input.bind_data->Cast<IndexScanBindData>(), input);
}

void Scan(ClientContext &, TableFunctionInput &input, DataChunk &output) {
	input.global_state->Cast<CandidateScanState>().Next(output);
}

unique_ptr<NodeStatistics> Cardinality(ClientContext &, const FunctionData *bind_data_p) {
	const auto &bind_data = bind_data_p->Cast<IndexScanBindData>();
	const auto table_rows = bind_data.table.GetStorage().GetTotalRows();
	return make_uniq<NodeStatistics>(bind_data.row_count > 0 ? MinValue<idx_t>(bind_data.row_count, table_rows)
	                                                         : table_rows);
}

//! What the scan is going to begin with; AUTO: that is for the values of parameters and subqueries to decide.
FilterStrategy PlannedStrategy(const IndexScanBindData &bind_data) {
	if (bind_data.filter_strategy != FilterStrategy::AUTO || !bind_data.selectivity || bind_data.row_count == 0) {
		return bind_data.filter_strategy;
	}
	const FilterCosts costs {bind_data.table.GetStorage().GetTotalRows(), bind_data.column.type.dims};
	return costs.Choose(*bind_data.selectivity, false, bind_data.row_count, bind_data.search_list_size);
}

InsertionOrderPreservingMap<string> ToString(TableFunctionToStringInput &input) {
	const auto &bind_data = input.bind_data->Cast<IndexScanBindData>();
	InsertionOrderPreservingMap<string> result;
	result["Table"] = bind_data.table.name;
	result["Index"] = bind_data.index->Name();
	result["Metric"] = lm_diskann::MetricName(bind_data.index->Configuration()->metric);
	result["k"] = bind_data.row_count > 0 ? std::to_string(bind_data.row_count) : bind_data.limit->ToString();
	result["L"] = std::to_string(MaxValue<idx_t>(bind_data.search_list_size, bind_data.row_count));
	if (bind_data.target_recall) {
		result["Target Recall"] = Value(*bind_data.target_recall).ToString();
	}
	if (bind_data.HasFilter()) {
		result["Filter Strategy"] = FilterStrategyName(PlannedStrategy(bind_data));
		if (bind_data.selectivity) {
			result["Selectivity Estimate"] = StringUtil::Format("%.4f", *bind_data.selectivity);
		}
		if (!bind_data.filter.IsEmpty()) {
			result["Filter"] = bind_data.filter.ToString();
		}
	}
	return result;
}

InsertionOrderPreservingMap<string> DynamicToString(TableFunctionDynamicToStringInput &input) {
	if (!input.global_state) {
		return InsertionOrderPreservingMap<string>();
	}
	return input.global_state->Cast<CandidateScanState>().Counters();
}

} // namespace

TableFunction IndexScanFunction() {
	auto function = TableScanFunction::GetFunction();
	function.name = "lm_diskann_index_scan";
	function.init_global = InitGlobal;
	function.init_local = nullptr;
	function.function = Scan;
	function.cardinality = Cardinality;
	function.to_string = ToString;
	function.dynamic_to_string = DynamicToString;
	function.table_scan_progress = nullptr;
	function.get_partition_data = nullptr;
	function.get_partition_stats = nullptr;
	function.pushdown_expression = nullptr;
	function.serialize = nullptr;
	function.deserialize = nullptr;
	function.verify_serialization = false;
	function.filter_pushdown = false;
	function.filter_prune = false;
	function.sampling_pushdown = false;
	function.late_materialization = false;
	DropServicesOfTableScan(function);
	return function;
}

} // namespace duckdb
