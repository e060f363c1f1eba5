#include "adapter/advise.hpp"

#include "adapter/accounted_memory_file.hpp"
#include "adapter/errors.hpp"
#include "adapter/row_function.hpp"
#include "adapter/row_scan.hpp"
#include "adapter/settings.hpp"
#include "adapter/table_build.hpp"

#include "base/error.hpp"
#include "base/random.hpp"
#include "index/advice.hpp"

#include "duckdb/catalog/catalog.hpp"
#include "duckdb/catalog/catalog_entry/duck_table_entry.hpp"
#include "duckdb/common/exception/binder_exception.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/main/extension/extension_loader.hpp"
#include "duckdb/parallel/task_scheduler.hpp"
#include "duckdb/parser/qualified_name.hpp"
#include "duckdb/storage/data_table.hpp"

#include <algorithm>
#include <unordered_set>

namespace duckdb {

namespace {

constexpr const char *FUNCTION = "lm_diskann_advise";
//! Rows that are sampled, and the bytes of their vectors.
constexpr idx_t SAMPLE_ROWS_MAX = 8000, SAMPLE_BYTES_MAX = idx_t(48) << 20;
constexpr double RECALL_DEFAULT = 0.95;

struct AdviseBindData : public TableFunctionData {
	explicit AdviseBindData(DuckTableEntry &table_p) : table(table_p) {
	}

	DuckTableEntry &table;
	IndexedColumn column;
	lm_diskann::IndexConfiguration configuration;
	double recall = RECALL_DEFAULT;
};

string RequireText(const TableFunctionBindInput &input, idx_t argument, const char *meaning) {
	if (input.inputs[argument].IsNull()) {
		throw BinderException("%s needs the name of a %s, found NULL", FUNCTION, meaning);
	}
	return StringValue::Get(input.inputs[argument]);
}

DuckTableEntry &RequireTable(ClientContext &context, const string &text) {
	const auto name = QualifiedName::Parse(text);
	auto &entry = Catalog::GetEntry<TableCatalogEntry>(context, name.catalog, name.schema, name.name);
	if (!entry.IsDuckTable()) {
		throw BinderException("%s: \"%s\" is not a table of DuckDB's own, which an LM_DISKANN index needs", FUNCTION,
		                      text);
	}
	return entry.Cast<DuckTableEntry>();
}

IndexedColumn RequireColumn(DuckTableEntry &table, const string &name) {
	if (!table.ColumnExists(name)) {
		throw BinderException("%s: table \"%s\" has no column \"%s\"", FUNCTION, table.name, name);
	}
	const auto &definition = table.GetColumn(name);
	IndexedColumn column;
	if (definition.Generated() || !ReadVectorColumnType(definition.Type(), column.type)) {
		throw BinderException("%s: column \"%s\" has type %s; only FLOAT[N] and TINYINT[N] with N from 1 to 16384 can "
		                      "be indexed",
		                      FUNCTION, name, definition.Type().ToString());
	}
	column.logical_type = definition.Type();
	column.storage_column = definition.StorageOid();
	return column;
}

unique_ptr<FunctionData> Bind(ClientContext &context, TableFunctionBindInput &input, vector<LogicalType> &types,
                              vector<string> &names) {
	auto bind_data = make_uniq<AdviseBindData>(RequireTable(context, RequireText(input, 0, "table")));
	bind_data->column = RequireColumn(bind_data->table, RequireText(input, 1, "column"));
	std::vector<std::pair<std::string, std::string>> options;
	for (const auto &parameter : input.named_parameters) {
		if (parameter.first != "recall") {
			options.emplace_back(parameter.first, parameter.second.ToString());
		} else if (!parameter.second.IsNull()) {
			bind_data->recall = parameter.second.GetValue<double>();
		}
	}
	if (!(bind_data->recall >= lm_diskann::TARGET_RECALL_MIN && bind_data->recall <= lm_diskann::TARGET_RECALL_MAX)) {
		throw BinderException("%s: recall must be a number between 0.5 and 0.999, found %s", FUNCTION,
		                      Value(bind_data->recall).ToString());
	}
	std::sort(options.begin(), options.end());
	try {
		bind_data->configuration = lm_diskann::Configure(
		    lm_diskann::ParseOptions(options), bind_data->column.type.element_type, bind_data->column.type.dims);
	} catch (const lm_diskann::UsageError &error) {
		throw BinderException("%s: %s", FUNCTION, error.what());
	}
	const auto add = [&](const char *name, const LogicalType &type) { SetColumns({{name, type}}, types, names); };
	add("L", LogicalType::BIGINT);
	for (const auto name : {"recall", "blocks", "milliseconds_cached", "reads_cache_1_percent",
	                        "reads_cache_10_percent", "reads_cache_50_percent"}) {
		add(name, LogicalType::DOUBLE);
	}
	add("is_recommended", LogicalType::BOOLEAN);
	for (const auto name : {"row_count", "sample_rows", "disk_bytes", "build_memory_bytes"}) {
		add(name, LogicalType::BIGINT);
	}
	add("build_seconds", LogicalType::DOUBLE);
	add("R", LogicalType::BIGINT);
	add("codes", LogicalType::VARCHAR);
	add("block_size_bytes", LogicalType::BIGINT);
	return std::move(bind_data);
}

//! Vectors of rows chosen at random, in random order.
struct Sample {
	idx_t row_count = 0;
	std::vector<lm_diskann::RowId> row_ids;
	std::vector<float> floats;
	std::vector<int8_t> bytes;

	lm_diskann::VectorBatch Batch() const {
		lm_diskann::VectorBatch batch;
		batch.row_ids = row_ids.data();
		batch.floats = floats.empty() ? nullptr : floats.data();
		batch.bytes = bytes.empty() ? nullptr : bytes.data();
		batch.count = row_ids.size();
		return batch;
	}
};

Sample TakeSample(ClientContext &context, const AdviseBindData &bind_data) {
	auto &storage = bind_data.table.GetStorage();
	const idx_t dims = bind_data.column.type.dims, total = storage.GetTotalRows();
	const auto wanted = MinValue(SAMPLE_ROWS_MAX, MaxValue<idx_t>(1, SAMPLE_BYTES_MAX / (dims * sizeof(float))));
	lm_diskann::Random random(uint64_t(bind_data.configuration.seed));
	std::vector<row_t> chosen;
	if (total <= wanted * 2) {
		for (const auto row : random.Permutation<uint32_t>(total)) {
			chosen.push_back(row_t(row));
		}
	} else {
		// A row chosen twice counts once.
		std::unordered_set<row_t> seen;
		for (idx_t tries = 0; tries < wanted * 2 && chosen.size() < wanted; tries++) {
			const auto row = row_t(random.Next() % total);
			if (seen.insert(row).second) {
				chosen.push_back(row);
			}
		}
	}
	Sample sample;
	const auto fetched = chosen.size();
	FetchRows(context, storage, bind_data.column, chosen, [&](const VectorRows &rows) {
		const auto &batch = rows.Batch();
		const auto count = MinValue<idx_t>(batch.count, wanted - sample.row_ids.size());
		sample.row_ids.insert(sample.row_ids.end(), batch.row_ids, batch.row_ids + count);
		if (batch.floats) {
			sample.floats.insert(sample.floats.end(), batch.floats, batch.floats + count * dims);
		} else if (batch.bytes) {
			sample.bytes.insert(sample.bytes.end(), batch.bytes, batch.bytes + count * dims);
		}
		sample.row_count += batch.count;
	});
	// As many rows of the table have a vector as of those that were fetched.
	sample.row_count = fetched == 0 ? 0 : idx_t(double(total) * double(sample.row_count) / double(fetched) + 0.5);
	return sample;
}

vector<Value> AdviceRow(const AdviseBindData &bind_data, idx_t row_count, const lm_diskann::Advice &advice,
                        optional_ptr<const lm_diskann::AdvicePoint> point, bool is_recommended) {
	const auto &configuration = bind_data.configuration;
	vector<Value> row {point ? CountValue(point->list_size) : Value(LogicalType::BIGINT)};
	const auto add_measured = [&](double value) { row.push_back(point ? MeasuredValue(value) : Value()); };
	const lm_diskann::AdvicePoint none;
	const auto &measured = point ? *point : none;
	add_measured(measured.recall);
	add_measured(measured.blocks);
	add_measured(measured.milliseconds);
	for (const auto reads : measured.blocks_read) {
		add_measured(reads);
	}
	row.push_back(Value::BOOLEAN(is_recommended));
	for (const auto count : {uint64_t(row_count), advice.sample_count, advice.file_bytes, advice.build_bytes}) {
		row.push_back(CountValue(count));
	}
	row.push_back(point ? MeasuredValue(advice.build_seconds) : Value());
	row.push_back(CountValue(configuration.max_degree));
	row.push_back(Value(lm_diskann::CodeFamilyName(configuration.codes)));
	row.push_back(CountValue(configuration.page_size));
	return row;
}

unique_ptr<GlobalTableFunctionState> Init(ClientContext &context, TableFunctionInitInput &input) {
	const auto &bind_data = input.bind_data->Cast<AdviseBindData>();
	const auto sample = TakeSample(context, bind_data);
	const auto account = InstanceState::Get(DatabaseInstance::GetDatabase(context))->Account();
	MemoryShare memory(account);
	lm_diskann::AdviceRequest request;
	request.configuration = bind_data.configuration;
	request.row_count = sample.row_count;
	request.sample = sample.Batch();
	request.thread_count = uint32_t(TaskScheduler::GetScheduler(context).NumberOfThreads());
	request.resources.memory_max = BuildMemoryBudget(context);
	request.resources.set_memory = [&](uint64_t bytes) { memory.Resize(bytes); };
	request.make_file = [&] { return make_uniq<AccountedMemoryFile>(account); };
	request.is_stopped = [&] { return context.interrupted.load(); };
	const auto advice = WithDuckDBErrors(FUNCTION, [&] { return lm_diskann::Advise(request); });
	if (advice.is_stopped) {
		throw InterruptException();
	}
	auto state = make_uniq<RowsState>();
	bool has_recommended = false;
	for (const auto &point : advice.points) {
		const auto is_recommended = !has_recommended && point.recall >= bind_data.recall;
		has_recommended |= is_recommended;
		state->rows.push_back(AdviceRow(bind_data, sample.row_count, advice, &point, is_recommended));
	}
	if (state->rows.empty()) {
		state->rows.push_back(AdviceRow(bind_data, sample.row_count, advice, nullptr, false));
	}
	return std::move(state);
}

} // namespace

void RegisterAdvise(ExtensionLoader &loader) {
	TableFunction function(FUNCTION, {LogicalType::VARCHAR, LogicalType::VARCHAR}, EmitRows, Bind, Init);
	function.named_parameters["recall"] = LogicalType::DOUBLE;
	// The options of CREATE INDEX that change what it would be.
	for (const auto name : {"metric", "codes", "vectors"}) {
		function.named_parameters[name] = LogicalType::VARCHAR;
	}
	for (const auto name : {"r", "l_build", "block_size", "seed"}) {
		function.named_parameters[name] = LogicalType::BIGINT;
	}
	function.named_parameters["alpha"] = LogicalType::DOUBLE;
	loader.RegisterFunction(function);
}

} // namespace duckdb
