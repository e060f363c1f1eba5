#include "adapter/index_scan.hpp"

#include "adapter/errors.hpp"

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
	copy->query = query->Copy();
	copy->row_count = row_count;
	copy->search_list_size = search_list_size;
	copy->beam_width = beam_width;
	return std::move(copy);
}

namespace {

//! A lossy form of the vectors in the index orders candidates only roughly: fetch more, DuckDB's ORDER BY above is
//! exact.
constexpr idx_t LOSSY_FACTOR = 2, LOSSY_EXTRA = 10;

//! INDEX: rows the index found. LOCAL: rows this transaction appended. TABLE: every row not emitted yet, local ones
//! included, because the index cannot answer or ran dry.
enum class ScanPhase : uint8_t { INDEX, LOCAL, TABLE, DONE };

StorageIndex ToStorageIndex(const ColumnIndex &column) {
	vector<StorageIndex> children;
	for (const auto &child : column.GetChildIndexes()) {
		children.push_back(ToStorageIndex(child));
	}
	return StorageIndex(column.GetPrimaryIndex(), std::move(children));
}

//! The value of the query as the core wants it. Empty: not a vector the index can search with, which is no error.
std::vector<float> EvaluateQuery(ClientContext &context, const IndexScanBindData &bind_data) {
	const auto &configuration = *bind_data.index->Configuration();
	Value value;
	try {
		value = ExpressionExecutor::EvaluateScalar(context, *bind_data.query, true);
	} catch (const Exception &) { // NOLINT: the plan above evaluates it again, if there is a row, and reports it
		return {};
	}
	if (value.IsNull()) {
		return {};
	}
	std::vector<float> query;
	for (const auto &element : ArrayValue::GetChildren(value)) {
		if (element.IsNull()) {
			return {};
		}
		// Widening a double beyond the range of float gives infinity, which is refused below.
		query.push_back(float(element.GetValue<double>()));
	}
	if (query.size() != configuration.dims ||
	    !lm_diskann::IsIndexable(configuration.metric, query.data(), query.size())) {
		return {};
	}
	return query;
}

class IndexScanState : public GlobalTableFunctionState {
public:
	IndexScanState(ClientContext &context_p, const IndexScanBindData &bind_data_p, const TableFunctionInitInput &input);

	void Next(DataChunk &output);
	InsertionOrderPreservingMap<string> Counters() const;

private:
	void StartSearch();
	bool NextFromIndex();
	bool NextFromLocalStorage();
	bool NextFromTable();
	void FallBack(const string &reason);
	void EndSearch();

	ClientContext &context;
	const IndexScanBindData &bind_data;
	DataTable &storage;
	DuckTransaction &transaction;
	//! The columns asked for, and the row id.
	vector<StorageIndex> columns;
	DataChunk rows;

	ScanPhase phase = ScanPhase::INDEX;
	//! Visible rows to emit from the index.
	idx_t target_count;
	//! Of the index as it was when the search began: a rebuild may replace it.
	std::shared_ptr<lm_diskann::AnnIndex> core;
	std::optional<lm_diskann::SearchCursor> cursor;
	lm_diskann::SearchCounters counters;
	string fallback_reason;
	std::unordered_set<row_t> emitted;
	//! Of the phases LOCAL and TABLE.
	unique_ptr<TableScanState> scan;
};

IndexScanState::IndexScanState(ClientContext &context_p, const IndexScanBindData &bind_data_p,
                               const TableFunctionInitInput &input)
    : context(context_p), bind_data(bind_data_p), storage(bind_data.table.GetStorage()),
      transaction(DuckTransaction::Get(context, storage.db)), target_count(bind_data.row_count) {
	vector<LogicalType> types;
	for (const auto &column : input.column_indexes) {
		if (column.IsRowIdColumn()) {
			columns.emplace_back();
			types.push_back(LogicalType::ROW_TYPE);
			continue;
		}
		const auto &definition = bind_data.table.GetColumn(column.ToLogical());
		auto storage_index = ToStorageIndex(column);
		storage_index.SetIndex(definition.StorageOid());
		columns.push_back(std::move(storage_index));
		types.push_back(definition.Type());
	}
	columns.emplace_back();
	types.push_back(LogicalType::ROW_TYPE);
	rows.Initialize(context, types);
	if (bind_data.index->Configuration()->vectors != lm_diskann::VectorStorage::NATIVE) {
		target_count = target_count * LOSSY_FACTOR + LOSSY_EXTRA;
	}
	StartSearch();
}

void IndexScanState::FallBack(const string &reason) {
	fallback_reason = reason;
	if (core) {
		core->Counters().fallbacks++;
	}
	phase = ScanPhase::TABLE;
	EndSearch();
}

void IndexScanState::EndSearch() {
	if (cursor) {
		counters = cursor->Counters();
		cursor.reset();
	}
}

void IndexScanState::StartSearch() {
	auto &index = *bind_data.index;
	index.RequireCoverage(storage.GetTotalRows());
	core = index.Core();
	if (!index.IsReady()) {
		FallBack(index.Reason());
		return;
	}
	const auto query = EvaluateQuery(context, bind_data);
	if (query.empty()) {
		FallBack("the query vector is NULL, not finite, or zero under cosine");
		return;
	}
	try {
		cursor.emplace(core->Search(query.data(), target_count, bind_data.search_list_size, bind_data.beam_width));
	} catch (const lm_diskann::CorruptionError &error) {
		index.DegradeForFile(core.get(), error.what());
		FallBack(error.what());
	} catch (const lm_diskann::FileError &error) {
		FallBack(error.what());
	}
}

bool IndexScanState::NextFromIndex() {
	while (emitted.size() < target_count) {
		const auto wanted = MinValue<idx_t>(target_count - emitted.size(), STANDARD_VECTOR_SIZE);
		std::vector<lm_diskann::Neighbor> found;
		try {
			found = cursor->Next(wanted);
		} catch (const lm_diskann::CorruptionError &error) {
			bind_data.index->DegradeForFile(core.get(), error.what());
			FallBack(error.what());
			return false;
		} catch (const lm_diskann::FileError &error) {
			// A read that fails once may succeed later: the index stays.
			FallBack(error.what());
			return false;
		}
		Vector row_ids(LogicalType::ROW_TYPE);
		const auto ids = FlatVector::GetData<row_t>(row_ids);
		for (idx_t i = 0; i < found.size(); i++) {
			ids[i] = found[i].row_id.value;
		}
		// Rows that are deleted, or not committed by others, drop out here.
		ColumnFetchState fetch;
		rows.Reset();
		storage.Fetch(transaction, rows, columns, row_ids, found.size(), fetch);
		if (rows.size() > 0) {
			return true;
		}
		if (found.size() < wanted) {
			FallBack("the index reaches fewer rows than the query asks for");
			return false;
		}
	}
	EndSearch();
	phase = ScanPhase::LOCAL;
	return false;
}

bool IndexScanState::NextFromLocalStorage() {
	auto &local_storage = LocalStorage::Get(transaction);
	if (!scan) {
		scan = make_uniq<TableScanState>();
		scan->Initialize(columns, context);
		local_storage.InitializeScan(storage, scan->local_state, nullptr);
	}
	rows.Reset();
	local_storage.Scan(scan->local_state, columns, rows);
	if (rows.size() == 0) {
		phase = ScanPhase::DONE;
	}
	return rows.size() > 0;
}

bool IndexScanState::NextFromTable() {
	if (!scan) {
		scan = make_uniq<TableScanState>();
		storage.InitializeScan(context, transaction, *scan, columns);
	}
	while (true) {
		if (context.interrupted) {
			throw InterruptException();
		}
		rows.Reset();
		storage.Scan(transaction, rows, *scan);
		if (rows.size() == 0) {
			phase = ScanPhase::DONE;
			return false;
		}
		if (emitted.empty()) {
			return true;
		}
		auto &row_ids = rows.data.back();
		row_ids.Flatten(rows.size());
		const auto ids = FlatVector::GetData<row_t>(row_ids);
		SelectionVector selection(rows.size());
		idx_t count = 0;
		for (idx_t i = 0; i < rows.size(); i++) {
			if (emitted.count(ids[i]) == 0) {
				selection.set_index(count++, i);
			}
		}
		if (count == rows.size()) {
			return true;
		}
		if (count > 0) {
			rows.Slice(selection, count);
			return true;
		}
	}
}

void IndexScanState::Next(DataChunk &output) {
	bool has_rows = false;
	while (!has_rows && phase != ScanPhase::DONE) {
		const auto current = phase;
		switch (current) {
		case ScanPhase::INDEX:
			has_rows = NextFromIndex();
			break;
		case ScanPhase::LOCAL:
			has_rows = NextFromLocalStorage();
			break;
		default:
			has_rows = NextFromTable();
			break;
		}
		if (has_rows && current == ScanPhase::INDEX) {
			const auto ids = FlatVector::GetData<row_t>(rows.data.back());
			emitted.insert(ids, ids + rows.size());
		}
	}
	if (!has_rows) {
		return;
	}
	for (idx_t i = 0; i < output.ColumnCount(); i++) {
		output.data[i].Reference(rows.data[i]);
	}
	output.SetCardinality(rows.size());
}

InsertionOrderPreservingMap<string> IndexScanState::Counters() const {
	const auto &current = cursor ? cursor->Counters() : counters;
	InsertionOrderPreservingMap<string> result;
	// EXPLAIN ANALYZE names every scan TABLE_SCAN.
	result["Type"] = "LM_DISKANN_INDEX_SCAN";
	result["Blocks Read"] = std::to_string(current.blocks_read);
	result["Cache Hits"] = std::to_string(current.cache_hits);
	result["Hops"] = std::to_string(current.hops);
	result["Exact Distances"] = std::to_string(current.distances_exact);
	result["Estimated Distances"] = std::to_string(current.distances_estimated);
	if (!fallback_reason.empty()) {
		result["Fallback"] = fallback_reason;
	}
	return result;
}

unique_ptr<GlobalTableFunctionState> InitGlobal(ClientContext &context, TableFunctionInitInput &input) {
	return make_uniq<IndexScanState>(context, input.bind_data->Cast<IndexScanBindData>(), input);
}

void Scan(ClientContext &, TableFunctionInput &input, DataChunk &output) {
	input.global_state->Cast<IndexScanState>().Next(output);
}

unique_ptr<NodeStatistics> Cardinality(ClientContext &, const FunctionData *bind_data_p) {
	const auto &bind_data = bind_data_p->Cast<IndexScanBindData>();
	const auto table_rows = bind_data.table.GetStorage().GetTotalRows();
	return make_uniq<NodeStatistics>(MinValue<idx_t>(bind_data.row_count, table_rows));
}

InsertionOrderPreservingMap<string> ToString(TableFunctionToStringInput &input) {
	const auto &bind_data = input.bind_data->Cast<IndexScanBindData>();
	InsertionOrderPreservingMap<string> result;
	result["Table"] = bind_data.table.name;
	result["Index"] = bind_data.index->Name();
	result["Metric"] = lm_diskann::MetricName(bind_data.index->Configuration()->metric);
	result["k"] = std::to_string(bind_data.row_count);
	result["L"] = std::to_string(MaxValue<idx_t>(bind_data.search_list_size, bind_data.row_count));
	return result;
}

InsertionOrderPreservingMap<string> DynamicToString(TableFunctionDynamicToStringInput &input) {
	if (!input.global_state) {
		return InsertionOrderPreservingMap<string>();
	}
	return input.global_state->Cast<IndexScanState>().Counters();
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
