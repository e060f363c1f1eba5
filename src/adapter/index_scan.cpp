#include "adapter/index_scan.hpp"

#include "adapter/candidate_search.hpp"
#include "adapter/errors.hpp"
#include "adapter/query_vector.hpp"
#include "adapter/search_report.hpp"

#include "base/error.hpp"

#include "duckdb/catalog/catalog_entry/duck_table_entry.hpp"
#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/main/attached_database.hpp"
#include "duckdb/storage/data_table.hpp"
#include "duckdb/storage/table/scan_state.hpp"
#include "duckdb/transaction/duck_transaction.hpp"
#include "duckdb/transaction/local_storage.hpp"

#include <unordered_set>

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

//! INDEX: rows the index found. TIES: rows as near as the last of them. LOCAL: rows this transaction appended. TABLE:
//! every row not emitted yet, local ones included, because the index cannot answer or ran dry.
enum class ScanPhase : uint8_t { INDEX, TIES, LOCAL, TABLE, DONE };

//! The value of the query as the core wants it.
std::vector<float> EvaluateQuery(ClientContext &context, const IndexScanBindData &bind_data) {
	static const vector<Value> NO_VALUES;
	const auto expression =
	    FillInInputs(context, *bind_data.query, bind_data.inputs ? bind_data.inputs->values : NO_VALUES);
	return EvaluateQueryVector(context, *expression, *bind_data.index->Configuration());
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

class CandidateScanState : public GlobalTableFunctionState {
public:
	CandidateScanState(ClientContext &context_p, const IndexScanBindData &bind_data_p,
	                   const TableFunctionInitInput &input);

	void Next(DataChunk &output);
	InsertionOrderPreservingMap<string> Counters() const;

private:
	void InitializeColumns(const TableFunctionInitInput &input);
	void StartSearch();
	bool NextFromIndex();
	bool NextFromLocalStorage();
	bool NextFromTable();
	bool FetchQueued();
	void KeepNotEmitted();
	void FallBack(const string &reason);

	ClientContext &context;
	const IndexScanBindData &bind_data;
	DataTable &storage;
	DuckTransaction &transaction;
	//! Those of the filter, those asked for, and the row id.
	vector<StorageIndex> columns;
	DataChunk rows;
	idx_t first_output_column = 0;

	ScanPhase phase = ScanPhase::INDEX;
	//! Visible rows to emit from the index.
	idx_t target_count = 0;
	//! Null: no filter. `rows_within`: what it has to leave, if another operator decided that.
	unique_ptr<RowFilter> filter;
	unique_ptr<RowSelector> selector;
	const lm_diskann::RowSet *rows_within = nullptr;
	//! Of the index as it was when the search began: a rebuild may replace it.
	std::shared_ptr<lm_diskann::AnnIndex> core;
	unique_ptr<CandidateSearch> search;
	string fallback_reason;
	//! Found and not emitted yet.
	std::vector<row_t> queue;
	idx_t queue_position = 0;
	std::unordered_set<row_t> emitted;
	//! Of the phases LOCAL and TABLE.
	unique_ptr<TableScanState> scan;
};

CandidateScanState::CandidateScanState(ClientContext &context_p, const IndexScanBindData &bind_data_p,
                                       const TableFunctionInitInput &input)
    : context(context_p), bind_data(bind_data_p), storage(bind_data.table.GetStorage()),
      transaction(DuckTransaction::Get(context, storage.db)) {
	const auto inputs = bind_data.inputs.get();
	const auto has_inputs = !inputs || inputs->IsSingleRow();
	if (bind_data.HasFilter()) {
		filter = make_uniq<RowFilter>(context, bind_data.table, bind_data.filter,
		                              inputs && has_inputs ? &inputs->values : nullptr);
		selector = make_uniq<RowSelector>(context, *filter);
		rows_within = inputs && inputs->has_rows ? &inputs->rows : nullptr;
	}
	InitializeColumns(input);
	if (!has_inputs) {
		FallBack("the query vector comes from a part of the statement that has not exactly one row");
		return;
	}
	StartSearch();
}

void CandidateScanState::InitializeColumns(const TableFunctionInitInput &input) {
	vector<LogicalType> types;
	if (filter) {
		columns = filter->Columns();
		types = filter->Types();
	}
	first_output_column = columns.size();
	for (const auto &column : input.column_indexes) {
		columns.push_back(ToStorageIndex(bind_data.table, column));
		types.push_back(ColumnTypeOf(bind_data.table, column));
	}
	columns.emplace_back(COLUMN_IDENTIFIER_ROW_ID);
	types.push_back(LogicalType::ROW_TYPE);
	rows.Initialize(context, types);
}

void CandidateScanState::FallBack(const string &reason) {
	fallback_reason = reason;
	if (core) {
		core->Counters().fallbacks++;
	}
	phase = ScanPhase::TABLE;
}

void CandidateScanState::StartSearch() {
	auto &index = *bind_data.index;
	index.RequireCoverage(storage.GetTotalRows());
	core = index.Core();
	if (!index.IsReady()) {
		FallBack(index.Reason());
		return;
	}
	SearchRequest request;
	request.query = EvaluateQuery(context, bind_data);
	if (request.query.empty()) {
		FallBack("the query vector is NULL, not finite, or zero under cosine");
		return;
	}
	const auto row_count = EvaluateRowCount(context, bind_data);
	if (!row_count) {
		FallBack("LIMIT + OFFSET is not a number from 0 to " + std::to_string(INDEX_SCAN_ROWS_MAX));
		return;
	}
	if (bind_data.is_descending && core->Summary().unindexed_count > 0) {
		FallBack("rows without a vector in the index may come first in a descending order");
		return;
	}
	target_count = *row_count;
	if (target_count > 0 && bind_data.index->Configuration()->vectors != lm_diskann::VectorStorage::NATIVE) {
		target_count = target_count * LOSSY_FACTOR + LOSSY_EXTRA;
	}
	request.row_count = target_count;
	request.filter = filter.get();
	request.rows = rows_within;
	search = make_uniq<CandidateSearch>(context, bind_data, core, std::move(request));
}

bool CandidateScanState::FetchQueued() {
	while (queue_position < queue.size()) {
		const auto count = MinValue<idx_t>(queue.size() - queue_position, STANDARD_VECTOR_SIZE);
		Vector row_ids(LogicalType::ROW_TYPE, data_ptr_cast(queue.data() + queue_position));
		queue_position += count;
		// Rows that are deleted, or not committed by others, drop out here.
		ColumnFetchState fetch;
		rows.Reset();
		storage.Fetch(transaction, rows, columns, row_ids, count, fetch);
		KeepNotEmitted();
		if (rows.size() > 0) {
			const auto ids = FlatVector::GetData<row_t>(rows.data.back());
			emitted.insert(ids, ids + rows.size());
			return true;
		}
	}
	return false;
}

bool CandidateScanState::NextFromIndex() {
	try {
		while (true) {
			if (FetchQueued()) {
				return true;
			}
			if (phase == ScanPhase::INDEX && emitted.size() >= target_count) {
				phase = bind_data.has_tie_keys && target_count > 0 ? ScanPhase::TIES : ScanPhase::LOCAL;
			}
			if (phase == ScanPhase::LOCAL) {
				return false;
			}
			queue = phase == ScanPhase::TIES ? search->NextTies() : search->Next(target_count - emitted.size());
			queue_position = 0;
			if (!queue.empty()) {
				continue;
			}
			if (phase == ScanPhase::TIES || search->IsComplete()) {
				phase = ScanPhase::LOCAL;
			} else {
				FallBack("the index reaches fewer rows than the query asks for");
			}
			return false;
		}
	} catch (const lm_diskann::CorruptionError &error) {
		bind_data.index->DegradeForFile(core.get(), error.what());
		FallBack(error.what());
	} catch (const lm_diskann::FileError &error) {
		// A read that fails once may succeed later: the index stays.
		FallBack(error.what());
	}
	return false;
}

bool CandidateScanState::NextFromLocalStorage() {
	auto &local_storage = LocalStorage::Get(transaction);
	if (!scan) {
		scan = make_uniq<TableScanState>();
		scan->Initialize(columns, context);
		local_storage.InitializeScan(storage, scan->local_state, nullptr);
	}
	do {
		rows.Reset();
		local_storage.Scan(scan->local_state, columns, rows);
		if (rows.size() == 0) {
			phase = ScanPhase::DONE;
			return false;
		}
		if (selector) {
			selector->Keep(rows);
		}
		KeepNotEmitted();
	} while (rows.size() == 0);
	return true;
}

//! Leaves in `rows` those that other operators let pass and that no earlier phase emitted.
void CandidateScanState::KeepNotEmitted() {
	auto &row_ids = rows.data.back();
	row_ids.Flatten(rows.size());
	if (emitted.empty() && !rows_within) {
		return;
	}
	const auto ids = FlatVector::GetData<row_t>(row_ids);
	SelectionVector selection(rows.size());
	idx_t count = 0;
	for (idx_t i = 0; i < rows.size(); i++) {
		if (emitted.count(ids[i]) == 0 && (!rows_within || rows_within->Contains(lm_diskann::RowId(ids[i])))) {
			selection.set_index(count++, i);
		}
	}
	if (count < rows.size()) {
		rows.Slice(selection, count);
	}
	row_ids.Flatten(rows.size());
}

bool CandidateScanState::NextFromTable() {
	if (!scan) {
		scan = make_uniq<TableScanState>();
		storage.InitializeScan(context, transaction, *scan, columns, filter ? filter->Pushed() : nullptr);
	}
	do {
		if (context.interrupted) {
			throw InterruptException();
		}
		rows.Reset();
		storage.Scan(transaction, rows, *scan);
		if (rows.size() == 0) {
			phase = ScanPhase::DONE;
			return false;
		}
		if (selector) {
			selector->Keep(rows);
		}
		KeepNotEmitted();
	} while (rows.size() == 0);
	return true;
}

void CandidateScanState::Next(DataChunk &output) {
	bool has_rows = false;
	while (!has_rows && phase != ScanPhase::DONE) {
		switch (phase) {
		case ScanPhase::INDEX:
		case ScanPhase::TIES:
			has_rows = NextFromIndex();
			break;
		case ScanPhase::LOCAL:
			has_rows = NextFromLocalStorage();
			break;
		default:
			has_rows = NextFromTable();
			break;
		}
	}
	if (!has_rows) {
		return;
	}
	for (idx_t i = 0; i < output.ColumnCount(); i++) {
		output.data[i].Reference(rows.data[first_output_column + i]);
	}
	output.SetCardinality(rows.size());
}

InsertionOrderPreservingMap<string> CandidateScanState::Counters() const {
	const auto counters = search ? search->Counters() : lm_diskann::SearchCounters();
	InsertionOrderPreservingMap<string> result;
	// EXPLAIN ANALYZE names every scan TABLE_SCAN.
	result["Type"] = "LM_DISKANN_INDEX_SCAN";
	if (search) {
		search->Describe(result);
	}
	ReportSearch(counters, fallback_reason, result);
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
	return costs.Choose(*bind_data.selectivity, *bind_data.selectivity, false, bind_data.row_count,
	                    bind_data.search_list_size);
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
	return function;
}

} // namespace duckdb
