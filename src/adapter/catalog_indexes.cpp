#include "adapter/catalog_indexes.hpp"

#include "adapter/errors.hpp"

#include "duckdb/catalog/catalog.hpp"
#include "duckdb/catalog/catalog_entry/duck_index_entry.hpp"
#include "duckdb/catalog/catalog_entry/duck_table_entry.hpp"
#include "duckdb/catalog/catalog_entry/schema_catalog_entry.hpp"
#include "duckdb/common/exception/catalog_exception.hpp"
#include "duckdb/storage/data_table.hpp"

namespace duckdb {

const char *const DESTROYED_INDEX_REASON =
    "a rolled-back change of its entry destroyed it; drop it and create it again";

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

vector<CatalogIndex> FindIndexes(ClientContext &context, const string &name) {
	const auto entries = ListIndexes(context);
	vector<CatalogIndex> found;
	// As it is first: DuckDB's parser of qualified names knows no quotation mark inside a name.
	for (const auto &entry : entries) {
		if (StringUtil::CIEquals(entry.index_name, name)) {
			found.push_back(entry);
		}
	}
	if (!found.empty()) {
		return found;
	}
	const auto wanted = QualifiedName::Parse(name);
	for (const auto &entry : entries) {
		if (StringUtil::CIEquals(entry.index_name, wanted.name) &&
		    (wanted.schema.empty() || StringUtil::CIEquals(entry.schema_name, wanted.schema)) &&
		    (wanted.catalog.empty() || StringUtil::CIEquals(entry.database_name, wanted.catalog))) {
			found.push_back(entry);
		}
	}
	if (found.empty()) {
		throw CatalogException("LM_DISKANN index \"%s\" does not exist; see lm_diskann_index_info()", name);
	}
	return found;
}

CatalogIndex FindOneIndex(ClientContext &context, const string &name, const char *caller) {
	auto found = FindIndexes(context, name);
	if (found.size() > 1) {
		throw InvalidInputException("%s: %llu indexes are called \"%s\"; write database.schema.name", caller,
		                            found.size(), name);
	}
	if (!found[0].index.live) {
		throw InvalidInputException("%s%s", IndexMessagePrefix(name), DESTROYED_INDEX_REASON);
	}
	return found[0];
}

} // namespace duckdb
