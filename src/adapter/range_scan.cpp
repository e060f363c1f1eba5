#include "adapter/range_scan.hpp"

#include "adapter/index_scan.hpp"
#include "adapter/indexed_rows.hpp"
#include "adapter/query_vector.hpp"
#include "adapter/search_report.hpp"

#include "duckdb/catalog/catalog_entry/duck_table_entry.hpp"
#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/storage/data_table.hpp"

#include <cmath>

namespace duckdb {

bool RangeScanBindData::Equals(const FunctionData &other_p) const {
	// Two scans that return different candidates must not be taken for one.
	return this == &other_p;
}

unique_ptr<FunctionData> RangeScanBindData::Copy() const {
	auto copy = make_uniq<RangeScanBindData>(table);
	copy->column_ids = column_ids;
	copy->index = index;
	copy->query = query->Copy();
	copy->radius = radius->Copy();
	copy->row_count = row_count;
	copy->search_list_size = search_list_size;
	copy->beam_width = beam_width;
	return std::move(copy);
}

namespace {

//! Nodes to visit between two looks at what was found.
constexpr idx_t STEP = 256;
//! A scan of the table is cheaper than visiting more than one in so many rows, and more than some.
constexpr idx_t SCAN_ADVANTAGE = 32;
constexpr idx_t VISIT_MIN = 2000;
//! What lies so near the border may be on either side of it: a share of the radius, and an absolute part.
struct Border {
	double share;
	double least;
};
//! The index and DuckDB round differently, each by some units in the last place.
constexpr Border ROUNDING {1e-5, 1e-6};
//! The index measures from a lossy form of the vectors.
constexpr Border LOSS {0.1, 0.003};

//! A radius as the index measures: rows beyond `outer` are beyond it, rows within `inner` are within.
struct IndexRadius {
	float inner;
	float outer;
};

//! Unset: every row may be within.
std::optional<IndexRadius> EvaluateRadius(ClientContext &context, const RangeScanBindData &bind_data) {
	Value value;
	try {
		value = ExpressionExecutor::EvaluateScalar(context, *bind_data.radius, true);
	} catch (const Exception &) { // NOLINT: the condition above evaluates it again and reports it
		return std::nullopt;
	}
	if (value.IsNull() || !value.DefaultTryCastAs(LogicalType::DOUBLE)) {
		return std::nullopt;
	}
	auto radius = value.GetValue<double>();
	const auto &configuration = *bind_data.index->Configuration();
	const auto metric = configuration.metric;
	if (metric == lm_diskann::Metric::L2SQ) {
		// array_distance is the square root of what the index measures.
		radius = radius < 0 ? -1 : radius * radius;
	}
	// Vectors that are zero, or not finite, have the distance 2 under cosine, and no index holds them.
	if (metric == lm_diskann::Metric::COSINE && radius >= 2) {
		return std::nullopt;
	}
	const auto &border = configuration.vectors == lm_diskann::VectorStorage::NATIVE ? ROUNDING : LOSS;
	const auto width = std::abs(radius) * border.share + border.least;
	if (!std::isfinite(radius) || radius + width > double(std::numeric_limits<float>::max())) {
		return std::nullopt;
	}
	return IndexRadius {float(radius - width), float(radius + width)};
}

class RangeScanState : public GlobalTableFunctionState {
public:
	RangeScanState(ClientContext &context_p, const RangeScanBindData &bind_data_p, const TableFunctionInitInput &input);

	void Next(DataChunk &output) {
		rows.Next([this] { return NextCandidates(); }, output);
	}
	InsertionOrderPreservingMap<string> Counters() const;

private:
	void StartSearch();
	std::vector<row_t> NextCandidates();
	void SearchNearest(std::vector<row_t> &found);
	void SearchRange(std::vector<row_t> &found);
	bool HasEnough() const;

	ClientContext &context;
	const RangeScanBindData &bind_data;
	IndexedRows rows;

	std::shared_ptr<lm_diskann::AnnIndex> core;
	std::vector<float> query;
	std::optional<lm_diskann::SearchCursor> cursor;
	IndexRadius radius {0, 0};
	//! Everything within the radius was found.
	bool is_complete = false;
	idx_t visited_max = 0;
	//! Rows so near the radius that the condition above may refuse them.
	idx_t border_count = 0;
};

RangeScanState::RangeScanState(ClientContext &context_p, const RangeScanBindData &bind_data_p,
                               const TableFunctionInitInput &input)
    : context(context_p), bind_data(bind_data_p),
      rows(context, *bind_data.index, bind_data.table, input.column_indexes, nullptr, nullptr) {
	StartSearch();
}

void RangeScanState::StartSearch() {
	core = rows.OpenIndex();
	if (!core) {
		return;
	}
	const auto &configuration = *bind_data.index->Configuration();
	query = EvaluateQueryVector(context, *bind_data.query, configuration);
	const auto index_radius = EvaluateRadius(context, bind_data);
	if (query.empty() || !index_radius) {
		rows.FallBack(query.empty() ? "the query vector is NULL, not finite, or zero under cosine"
		                            : "every row may be within the radius");
		return;
	}
	// The product with an infinite vector may be the smallest of all.
	if (configuration.metric == lm_diskann::Metric::IP && core->Summary().unindexed_count > 0) {
		rows.FallBack("rows that the index does not hold may be within the radius");
		return;
	}
	radius = *index_radius;
}

std::vector<row_t> RangeScanState::NextCandidates() {
	if (!cursor) {
		cursor.emplace(core->Search(query.data(), MaxValue<idx_t>(bind_data.row_count, 1), bind_data.search_list_size,
		                            bind_data.beam_width));
	}
	std::vector<row_t> found;
	while (found.empty() && !is_complete && !HasEnough() && rows.FallbackReason().empty()) {
		if (context.interrupted) {
			throw InterruptException();
		}
		if (bind_data.row_count > 0) {
			SearchNearest(found);
		} else {
			SearchRange(found);
		}
	}
	return found;
}

//! The nearest rows, in order, until there are as many as are wanted.
void RangeScanState::SearchNearest(std::vector<row_t> &found) {
	const auto ask = MinValue<idx_t>(bind_data.row_count + border_count, STANDARD_VECTOR_SIZE);
	const auto neighbors = cursor->Next(ask);
	is_complete = neighbors.size() < ask;
	for (const auto &neighbor : neighbors) {
		if (neighbor.distance > radius.outer) {
			is_complete = true;
			continue;
		}
		border_count += neighbor.distance > radius.inner ? 1 : 0;
		found.push_back(neighbor.row_id.value);
	}
}

//! All rows within the radius, as they are met.
void RangeScanState::SearchRange(std::vector<row_t> &found) {
	const auto row_count = rows.Storage().GetTotalRows();
	if (visited_max > MaxValue<idx_t>(VISIT_MIN, row_count / SCAN_ADVANTAGE)) {
		rows.FallBack("a scan is cheaper: so many rows may be within the radius");
		return;
	}
	visited_max += STEP;
	for (const auto &neighbor : cursor->NextWithin(radius.outer, visited_max, is_complete)) {
		found.push_back(neighbor.row_id.value);
	}
}

bool RangeScanState::HasEnough() const {
	return bind_data.row_count > 0 && rows.EmittedCount() >= bind_data.row_count + border_count;
}

InsertionOrderPreservingMap<string> RangeScanState::Counters() const {
	const auto counters = cursor ? cursor->Counters() : lm_diskann::SearchCounters();
	InsertionOrderPreservingMap<string> result;
	// EXPLAIN ANALYZE names every scan TABLE_SCAN.
	result["Type"] = "LM_DISKANN_INDEX_SCAN";
	ReportSearch(counters, rows.FallbackReason(), result);
	return result;
}

unique_ptr<GlobalTableFunctionState> InitGlobal(ClientContext &context, TableFunctionInitInput &input) {
	return make_uniq<RangeScanState>(context, input.bind_data->Cast<RangeScanBindData>(), input);
}

void Scan(ClientContext &, TableFunctionInput &input, DataChunk &output) {
	input.global_state->Cast<RangeScanState>().Next(output);
}

unique_ptr<NodeStatistics> Cardinality(ClientContext &, const FunctionData *bind_data_p) {
	const auto &bind_data = bind_data_p->Cast<RangeScanBindData>();
	const auto table_rows = bind_data.table.GetStorage().GetTotalRows();
	// Nobody knows; where it is more than that, the scan turns into one of the table.
	return make_uniq<NodeStatistics>(MinValue<idx_t>(table_rows, MaxValue<idx_t>(table_rows / SCAN_ADVANTAGE, 1)));
}

InsertionOrderPreservingMap<string> ToString(TableFunctionToStringInput &input) {
	const auto &bind_data = input.bind_data->Cast<RangeScanBindData>();
	InsertionOrderPreservingMap<string> result;
	result["Table"] = bind_data.table.name;
	result["Index"] = bind_data.index->Name();
	result["Metric"] = lm_diskann::MetricName(bind_data.index->Configuration()->metric);
	result["Range"] = "distance up to " + bind_data.radius->ToString();
	if (bind_data.row_count > 0) {
		result["k"] = std::to_string(bind_data.row_count);
	}
	result["L"] = std::to_string(MaxValue<idx_t>(bind_data.search_list_size, bind_data.row_count));
	return result;
}

InsertionOrderPreservingMap<string> DynamicToString(TableFunctionDynamicToStringInput &input) {
	if (!input.global_state) {
		return InsertionOrderPreservingMap<string>();
	}
	return input.global_state->Cast<RangeScanState>().Counters();
}

} // namespace

TableFunction RangeScanFunction() {
	// All that makes seq_scan's other services safe is the same.
	auto function = IndexScanFunction();
	function.init_global = InitGlobal;
	function.function = Scan;
	function.cardinality = Cardinality;
	function.to_string = ToString;
	function.dynamic_to_string = DynamicToString;
	return function;
}

} // namespace duckdb
