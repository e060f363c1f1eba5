// The entry point: registers what the adapter offers, and nothing else.

#include "lm_diskann_extension.hpp"

#include "adapter/advise.hpp"
#include "adapter/compat.hpp"
#include "adapter/create_index.hpp"
#include "adapter/functions.hpp"
#include "adapter/garbage.hpp"
#include "adapter/inspect.hpp"
#include "adapter/instance_state.hpp"
#include "adapter/lm_diskann_index.hpp"
#include "adapter/optimize_topk.hpp"
#include "adapter/settings.hpp"

#include "duckdb/execution/index/index_type_set.hpp"
#include "duckdb/main/config.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/main/extension/extension_loader.hpp"

namespace duckdb {

namespace {

void RegisterIndexType(DatabaseInstance &instance) {
	IndexType type;
	type.name = LM_DISKANN_TYPE_NAME;
	type.create_plan = PlanCreateIndex;
	type.create_instance = LmDiskannIndex::CreateInstance;
	DBConfig::GetConfig(instance).GetIndexTypes().RegisterIndexType(type);
}

void LoadInternal(ExtensionLoader &loader) {
	loader.SetDescription("LM_DISKANN: a disk-native approximate nearest-neighbour index");
	auto &instance = loader.GetDatabaseInstance();
	RegisterIndexType(instance);
	RegisterSettings(instance);
	RegisterFunctions(loader);
	RegisterAdvise(loader);
	RegisterInspection(loader);
	RegisterTransactionHooks(instance);
	RegisterTopKRule(instance);
	CollectGarbage(instance);
}

} // namespace

void LmDiskannExtension::Load(ExtensionLoader &loader) {
	LoadInternal(loader);
}

std::string LmDiskannExtension::Name() {
	return "lm_diskann";
}

std::string LmDiskannExtension::Version() const {
	return LMD_VERSION;
}

} // namespace duckdb

extern "C" {

DUCKDB_CPP_EXTENSION_ENTRY(lm_diskann, loader) {
	duckdb::LoadInternal(loader);
}
}
