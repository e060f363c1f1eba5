#include "adapter/functions.hpp"

#include "adapter/lm_diskann_index.hpp"
#include "adapter/verify.hpp"

#include "duckdb/catalog/catalog.hpp"
#include "duckdb/catalog/catalog_entry/duck_index_entry.hpp"
#include "duckdb/catalog/catalog_entry/duck_table_entry.hpp"
#include "duckdb/catalog/catalog_entry/schema_catalog_entry.hpp"
#include "duckdb/common/exception/catalog_exception.hpp"
#include "duckdb/function/table_function.hpp"
#include "duckdb/main/extension/extension_loader.hpp"
#include "duckdb/parser/qualified_name.hpp"
#include "duckdb/storage/data_table.hpp"

namespace duckdb {

namespace {

constexpr const char *DESTROYED_REASON = "a rolled-back change of its entry destroyed it; drop it and create it again";

//! One index this transaction can see, with the table it is on.
struct CatalogIndex {
	string database_name;
	string schema_name;
	string index_name;
	reference<DuckTableEntry> table;
	//! Without `live` when DuckDB destroyed the object but kept the entry (lifecycle trap 21).
	TableIndex index;
};

vector<CatalogIndex> ListIndexes(ClientContext &context) {
	vector<reference<IndexCatalogEntry>> entries;
	for (auto &schema : Catalog::GetAllSchemas(context)) {
		schema.get().Scan(context, CatalogType::INDEX_ENTRY, [&](CatalogEntry &entry) {
			auto &index_entry = entry.Cast<IndexCatalogEntry>();
			if (index_entry.index_type == LM_DISKANN_TYPE_NAME) {
				entries.push_back(index_entry);
			}
		});
	}
	vector<CatalogIndex> result;
	for (auto &entry_ref : entries) {
		auto &entry = entry_ref.get();
		auto &table = entry.catalog.GetEntry<TableCatalogEntry>(context, entry.GetSchemaName(), entry.GetTableName())
		                  .Cast<DuckTableEntry>();
		CatalogIndex found {entry.catalog.GetName(), entry.schema.name, entry.name, table, TableIndex()};
		for (auto &index : GetTableIndexes(context, table.GetStorage())) {
			if (index.live->Name() == entry.name) {
				index.live->RequireCoverage(table.GetStorage().GetTotalRows());
				index.live->IsReady();
				found.index = index;
			}
		}
		result.push_back(std::move(found));
	}
	return result;
}

Value Count(uint64_t count) {
	return Value::BIGINT(NumericCast<int64_t>(count));
}

//! A column of a table function over indexes.
struct InfoColumn {
	const char *name;
	LogicalType type;
};

//! Rows computed at init, emitted in chunks.
struct RowsState : public GlobalTableFunctionState {
	vector<vector<Value>> rows;
	idx_t position = 0;
};

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

void SetColumns(const vector<InfoColumn> &columns, vector<LogicalType> &types, vector<string> &names) {
	for (const auto &column : columns) {
		names.emplace_back(column.name);
		types.push_back(column.type);
	}
}

//===--------------------------------------------------------------------===//
// lm_diskann_index_info()
//===--------------------------------------------------------------------===//
vector<InfoColumn> IndexInfoColumns() {
	return {{"database_name", LogicalType::VARCHAR},
	        {"schema_name", LogicalType::VARCHAR},
	        {"table_name", LogicalType::VARCHAR},
	        {"index_name", LogicalType::VARCHAR},
	        {"metric", LogicalType::VARCHAR},
	        {"element_type", LogicalType::VARCHAR},
	        {"dimensions", LogicalType::BIGINT},
	        {"state", LogicalType::VARCHAR},
	        {"state_reason", LogicalType::VARCHAR},
	        {"row_count", LogicalType::BIGINT},
	        {"unindexed_count", LogicalType::BIGINT},
	        {"delta_count", LogicalType::BIGINT},
	        {"tombstone_count", LogicalType::BIGINT},
	        {"R", LogicalType::BIGINT},
	        {"L_build", LogicalType::BIGINT},
	        {"L_search", LogicalType::BIGINT},
	        {"alpha", LogicalType::DOUBLE},
	        {"codes", LogicalType::VARCHAR},
	        {"block_size_bytes", LogicalType::BIGINT},
	        {"file_path", LogicalType::VARCHAR},
	        {"file_size_bytes", LogicalType::BIGINT},
	        {"cache_bytes", LogicalType::BIGINT},
	        {"generation", LogicalType::BIGINT},
	        {"build_seconds", LogicalType::DOUBLE}};
}

unique_ptr<FunctionData> BindIndexInfo(ClientContext &, TableFunctionBindInput &, vector<LogicalType> &types,
                                       vector<string> &names) {
	SetColumns(IndexInfoColumns(), types, names);
	return nullptr;
}

//! One row; what is not known, because the file cannot be opened or nothing was configured, is NULL.
vector<Value> IndexInfoRow(const CatalogIndex &entry) {
	vector<Value> row {Value(entry.database_name), Value(entry.schema_name), Value(entry.table.get().name),
	                   Value(entry.index_name)};
	if (!entry.index.live) {
		row.resize(IndexInfoColumns().size());
		row[7] = Value(IndexStateName(IndexState::NEEDS_REBUILD));
		row[8] = Value(DESTROYED_REASON);
		return row;
	}
	const auto &live = *entry.index.live;
	const auto &configuration = live.Configuration();
	const auto summary = live.Core() ? std::optional<lm_diskann::IndexSummary>(live.Core()->Summary()) : std::nullopt;
	const auto reason = live.Reason();
	const auto configured = [&](Value value) { return configuration ? std::move(value) : Value(); };
	const auto opened = [&](Value value) { return summary ? std::move(value) : Value(); };
	const auto config = configuration.value_or(lm_diskann::IndexConfiguration());
	const auto counts = summary.value_or(lm_diskann::IndexSummary());
	return {Value(entry.database_name),
	        Value(entry.schema_name),
	        Value(entry.table.get().name),
	        Value(entry.index_name),
	        configured(Value(lm_diskann::MetricName(config.metric))),
	        configured(Value(lm_diskann::ElementTypeName(config.element_type))),
	        configured(Count(config.dims)),
	        Value(IndexStateName(live.State())),
	        reason.empty() ? Value() : Value(reason),
	        opened(Count(counts.row_count)),
	        opened(Count(counts.unindexed_count)),
	        opened(Count(counts.delta_count)),
	        opened(Count(counts.tombstone_count)),
	        configured(Count(config.max_degree)),
	        configured(Count(config.l_build)),
	        configured(Count(config.l_search)),
	        configured(Value::DOUBLE(config.alpha)),
	        configured(Value(lm_diskann::CodeFamilyName(config.codes))),
	        configured(Count(config.page_size)),
	        live.File() ? Value(live.File()->Path()) : Value(),
	        opened(Count(counts.file_size_bytes)),
	        opened(Count(counts.cache_bytes)),
	        opened(Count(counts.generation.value)),
	        opened(Value::DOUBLE(counts.build_seconds))};
}

unique_ptr<GlobalTableFunctionState> InitIndexInfo(ClientContext &context, TableFunctionInitInput &) {
	auto state = make_uniq<RowsState>();
	for (const auto &entry : ListIndexes(context)) {
		state->rows.push_back(IndexInfoRow(entry));
	}
	return std::move(state);
}

//===--------------------------------------------------------------------===//
// lm_diskann_stats()
//===--------------------------------------------------------------------===//
unique_ptr<FunctionData> BindStats(ClientContext &, TableFunctionBindInput &, vector<LogicalType> &types,
                                   vector<string> &names) {
	vector<InfoColumn> columns;
	for (const auto name : {"database_name", "schema_name", "table_name", "index_name"}) {
		columns.push_back({name, LogicalType::VARCHAR});
	}
	for (const auto name : {"queries", "blocks_read", "cache_hits", "hops", "distances_exact", "distances_estimated",
	                        "inserts", "deletes", "merges", "fallbacks"}) {
		columns.push_back({name, LogicalType::BIGINT});
	}
	SetColumns(columns, types, names);
	return nullptr;
}

unique_ptr<GlobalTableFunctionState> InitStats(ClientContext &context, TableFunctionInitInput &) {
	auto state = make_uniq<RowsState>();
	for (const auto &entry : ListIndexes(context)) {
		vector<Value> row {Value(entry.database_name), Value(entry.schema_name), Value(entry.table.get().name),
		                   Value(entry.index_name)};
		if (entry.index.live && entry.index.live->Core()) {
			const auto &counters = entry.index.live->Core()->Counters();
			for (const auto counter : {&counters.queries, &counters.blocks_read, &counters.cache_hits, &counters.hops,
			                           &counters.distances_exact, &counters.distances_estimated, &counters.inserts,
			                           &counters.deletes, &counters.merges, &counters.fallbacks}) {
				row.push_back(Count(counter->load()));
			}
		} else {
			row.resize(row.size() + 10, Value(LogicalType::BIGINT));
		}
		state->rows.push_back(std::move(row));
	}
	return std::move(state);
}

//===--------------------------------------------------------------------===//
// lm_diskann_verify('idx')
//===--------------------------------------------------------------------===//
struct VerifyBindData : public TableFunctionData {
	QualifiedName name;
};

unique_ptr<FunctionData> BindVerify(ClientContext &, TableFunctionBindInput &input, vector<LogicalType> &types,
                                    vector<string> &names) {
	if (input.inputs[0].IsNull()) {
		throw InvalidInputException("lm_diskann_verify needs the name of an index, found NULL");
	}
	auto bind_data = make_uniq<VerifyBindData>();
	bind_data->name = QualifiedName::Parse(StringValue::Get(input.inputs[0]));
	SetColumns({{"index_name", LogicalType::VARCHAR}, {"violation", LogicalType::VARCHAR}}, types, names);
	return std::move(bind_data);
}

unique_ptr<GlobalTableFunctionState> InitVerify(ClientContext &context, TableFunctionInitInput &input) {
	const auto &name = input.bind_data->Cast<VerifyBindData>().name;
	auto state = make_uniq<RowsState>();
	bool is_found = false;
	for (auto &entry : ListIndexes(context)) {
		if (!StringUtil::CIEquals(entry.index_name, name.name) ||
		    (!name.schema.empty() && !StringUtil::CIEquals(entry.schema_name, name.schema)) ||
		    (!name.catalog.empty() && !StringUtil::CIEquals(entry.database_name, name.catalog))) {
			continue;
		}
		is_found = true;
		if (!entry.index.live) {
			state->rows.push_back({Value(entry.index_name), Value(DESTROYED_REASON)});
			continue;
		}
		for (auto &violation : VerifyIndex(context, entry.table, entry.index)) {
			state->rows.push_back({Value(entry.index_name), Value(std::move(violation))});
		}
	}
	if (!is_found) {
		throw CatalogException("LM_DISKANN index \"%s\" does not exist; see lm_diskann_index_info()", name.ToString());
	}
	return std::move(state);
}

} // namespace

void RegisterFunctions(ExtensionLoader &loader) {
	loader.RegisterFunction(TableFunction("lm_diskann_index_info", {}, EmitRows, BindIndexInfo, InitIndexInfo));
	loader.RegisterFunction(TableFunction("lm_diskann_stats", {}, EmitRows, BindStats, InitStats));
	loader.RegisterFunction(
	    TableFunction("lm_diskann_verify", {LogicalType::VARCHAR}, EmitRows, BindVerify, InitVerify));
}

} // namespace duckdb
