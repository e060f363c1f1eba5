#include "adapter/garbage.hpp"

#include "adapter/compat.hpp"
#include "adapter/errors.hpp"
#include "adapter/instance_state.hpp"

#include "duckdb/catalog/catalog_entry/duck_table_entry.hpp"
#include "duckdb/catalog/catalog_entry/schema_catalog_entry.hpp"
#include "duckdb/catalog/duck_catalog.hpp"
#include "duckdb/execution/index/unbound_index.hpp"
#include "duckdb/logging/log_manager.hpp"
#include "duckdb/main/attached_database.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/main/database_manager.hpp"
#include "duckdb/storage/data_table.hpp"
#include "duckdb/storage/storage_manager.hpp"
#include "duckdb/storage/table/data_table_info.hpp"

#include <filesystem>
#include <unordered_set>

namespace duckdb {

namespace {

bool MayHaveGarbage(AttachedDatabase &db) {
	return !db.IsSystem() && !db.IsReadOnly() && db.GetCatalog().IsDuckCatalog() && HasIndexFiles(db) &&
	       !FileSystem::IsRemoteFile(db.GetStorageManager().GetDBPath());
}

//! File names that indexes of committed tables name. Bound ones are known to this process, and their paths listed.
//! False when an index has a marker in which no file name can be found, of a later version perhaps.
bool CollectNames(AttachedDatabase &db, std::unordered_set<string> &names) {
	vector<shared_ptr<DataTableInfo>> tables;
	db.GetCatalog().Cast<DuckCatalog>().ScanSchemas([&](SchemaCatalogEntry &schema) {
		schema.Scan(CatalogType::TABLE_ENTRY, [&](CatalogEntry &entry) {
			if (entry.type == CatalogType::TABLE_ENTRY) {
				tables.push_back(entry.Cast<DuckTableEntry>().GetStorage().GetDataTableInfo());
			}
		});
	});
	bool is_complete = true;
	for (const auto &table : tables) {
		VisitIndexes(table->GetIndexes(), [&](Index &index) {
			if (!index.IsBound() && index.GetIndexType() == LM_DISKANN_TYPE_NAME) {
				const auto &options = index.Cast<UnboundIndex>().GetStorageInfo().options;
				const auto file = options.find("file");
				if (file != options.end()) {
					names.insert(file->second.ToString());
				} else if (!options.empty()) {
					is_complete = false;
				}
			}
			return false;
		});
	}
	return is_complete;
}

void CollectGarbageOf(AttachedDatabase &db) {
	const auto folder = IndexFolder(db);
	// Behind a link may be the folder of another database, whose indexes this catalog does not know.
	std::error_code error;
	if (std::filesystem::is_symlink(folder, error)) {
		return;
	}
	auto &fs = AllowedFileSystem(db.GetDatabase(), folder);
	if (!fs.DirectoryExists(folder)) {
		return;
	}
	// List first: a file that comes later is none of those.
	vector<string> candidates;
	fs.ListFiles(folder, [&](const string &name, bool is_folder) {
		if (!is_folder && IsIndexFileName(name)) {
			candidates.push_back(name);
		}
	});
	std::unordered_set<string> names;
	if (candidates.empty() || !CollectNames(db, names)) {
		return;
	}
	for (const auto &name : candidates) {
		const auto path = fs.JoinPath(folder, name);
		if (names.count(name) == 0 && !PathInUse::IsListed(path)) {
			DUCKDB_LOG_INFO(db.GetDatabase(), "LM_DISKANN: removing file \"" + path + "\", which no index names");
			RemoveUnlessOpen(fs, path);
		}
	}
}

} // namespace

void CollectGarbage(DatabaseInstance &instance) noexcept {
	try {
		const auto state = InstanceState::Get(instance);
		for (auto &db : instance.GetDatabaseManager().GetDatabases()) {
			if (state->MarkCollected(db) && MayHaveGarbage(*db)) {
				CollectGarbageOf(*db);
			}
		}
	} catch (...) {
		// An orphan costs disk, not answers; the next open tries again.
		try {
			LMD_LOG_WARN(instance, "LM_DISKANN: files that no index names could not be removed: " + HandledErrorText());
		} catch (...) { // NOLINT: nothing is left to do
		}
	}
}

} // namespace duckdb
