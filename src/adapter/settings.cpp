#include "adapter/settings.hpp"

#include "adapter/compat.hpp"
#include "adapter/instance_state.hpp"

#include "index/options.hpp"

#include "duckdb/common/string_util.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/main/config.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/storage/buffer_manager.hpp"

namespace duckdb {

namespace {

constexpr const char *CACHE_SIZE = "lm_diskann_cache_size";
constexpr const char *BUILD_MEMORY = "lm_diskann_build_memory";
constexpr const char *SEARCH_LIST_SIZE = "lm_diskann_l_search";
constexpr const char *TARGET_RECALL = "lm_diskann_target_recall";
constexpr const char *BEAM_WIDTH = "lm_diskann_beam_width";
constexpr const char *ENABLE_INDEX_SCAN = "lm_diskann_enable_index_scan";
constexpr const char *AUTO_REBUILD = "lm_diskann_auto_rebuild";
constexpr const char *DIRECT_IO = "lm_diskann_direct_io";
constexpr const char *FILTER_STRATEGY = "lm_diskann_filter_strategy";

constexpr const char *BUILD_MEMORY_DEFAULT = "50%";
constexpr int64_t BEAM_WIDTH_DEFAULT = 4, BEAM_WIDTH_MAX = 64;

//! '64MB', '1GiB', or a share of memory_limit like '20%'.
uint64_t ParseBytes(const char *setting, const Value &value, uint64_t memory_limit) {
	const auto text = value.IsNull() ? string("NULL") : value.ToString();
	const auto trimmed = StringUtil::Replace(text, " ", "");
	if (!trimmed.empty() && trimmed.back() == '%') {
		double percent = 0;
		if (Value(trimmed.substr(0, trimmed.size() - 1)).DefaultTryCastAs(LogicalType::DOUBLE)) {
			percent =
			    Value(trimmed.substr(0, trimmed.size() - 1)).DefaultCastAs(LogicalType::DOUBLE).GetValue<double>();
		}
		if (percent > 0 && percent <= 100) {
			return uint64_t(double(memory_limit) * (percent / 100));
		}
	} else if (!trimmed.empty() && StringUtil::CharacterIsDigit(trimmed[0])) {
		try {
			return DBConfig::ParseMemoryLimit(trimmed);
		} catch (const Exception &) { // NOLINT: told below, with the name of the setting
		}
	}
	throw InvalidInputException("setting \"%s\" must be a size like '64MB' or a share of memory_limit like '20%%', "
	                            "found \"%s\"",
	                            setting, text);
}

void SetCacheSize(ClientContext &context, SetScope, Value &value) {
	auto &instance = DatabaseInstance::GetDatabase(context);
	const auto memory_limit = BufferManager::GetBufferManager(instance).GetMaxMemory();
	InstanceState::Get(instance)->SetCacheBudget(ParseBytes(CACHE_SIZE, value, memory_limit));
}

void SetBuildMemory(ClientContext &context, SetScope, Value &value) {
	ParseBytes(BUILD_MEMORY, value, BufferManager::GetBufferManager(context).GetMaxMemory());
}

void SetSearchListSize(ClientContext &, SetScope, Value &value) {
	if (value.IsNull()) {
		return;
	}
	const auto size = value.GetValue<int64_t>();
	if (size < lm_diskann::L_SEARCH_MIN || size > lm_diskann::L_SEARCH_MAX) {
		throw InvalidInputException("setting \"%s\" must be between %d and %d, found %d", SEARCH_LIST_SIZE,
		                            lm_diskann::L_SEARCH_MIN, lm_diskann::L_SEARCH_MAX, size);
	}
}

void SetTargetRecall(ClientContext &, SetScope, Value &value) {
	if (value.IsNull()) {
		return;
	}
	const auto share = value.GetValue<double>();
	if (!(share >= lm_diskann::TARGET_RECALL_MIN && share <= lm_diskann::TARGET_RECALL_MAX)) {
		throw InvalidInputException("setting \"%s\" must be between %s and %s, found %s", TARGET_RECALL,
		                            Value(lm_diskann::TARGET_RECALL_MIN).ToString(),
		                            Value(lm_diskann::TARGET_RECALL_MAX).ToString(), value.ToString());
	}
}

void SetBeamWidth(ClientContext &, SetScope, Value &value) {
	if (value.IsNull() || value.GetValue<int64_t>() < 1 || value.GetValue<int64_t>() > BEAM_WIDTH_MAX) {
		throw InvalidInputException("setting \"%s\" must be between 1 and %d, found %s", BEAM_WIDTH, BEAM_WIDTH_MAX,
		                            value.ToString());
	}
}

void SetDirectIo(ClientContext &context, SetScope, Value &value) {
	*InstanceState::Get(DatabaseInstance::GetDatabase(context))->DirectIo() = !value.IsNull() && value.GetValue<bool>();
}

void SetFilterStrategy(ClientContext &, SetScope, Value &value) {
	ParseFilterStrategy(value.IsNull() ? "NULL" : value.ToString());
}

Value Read(ClientContext &context, const char *setting) {
	Value value;
	context.TryGetCurrentSetting(setting, value);
	return value;
}

void AddUnsetOption(DBConfig &config, const char *name, const char *description, const LogicalType &type,
                    set_option_callback_t set) {
	config.AddExtensionOption(name, description, type, Value(type), set);
	MakeUnsetSettingKnown(config, name, Value(type));
}

bool ReadSwitch(ClientContext &context, const char *setting) {
	const auto value = Read(context, setting);
	return value.IsNull() || value.GetValue<bool>();
}

} // namespace

void RegisterSettings(DatabaseInstance &instance) {
	auto &config = DBConfig::GetConfig(instance);
	const auto cache_default = StringUtil::BytesToHumanReadableString(InstanceState::DefaultCacheBudget(instance));
	config.AddExtensionOption(CACHE_SIZE, "Budget of all page caches of LM_DISKANN indexes together, like '64MB'",
	                          LogicalType::VARCHAR, Value(cache_default), SetCacheSize, SetScope::GLOBAL);
	config.AddExtensionOption(BUILD_MEMORY, "Hard budget of one CREATE INDEX ... USING LM_DISKANN, like '4GB' or '50%'",
	                          LogicalType::VARCHAR, Value(BUILD_MEMORY_DEFAULT), SetBuildMemory);
	AddUnsetOption(config, SEARCH_LIST_SIZE, "Overrides L_search of LM_DISKANN indexes for the session (1 to 10000)",
	               LogicalType::BIGINT, SetSearchListSize);
	AddUnsetOption(config, TARGET_RECALL,
	               "Recall that LM_DISKANN searches shall reach (0.5 to 0.999): chooses L from what was measured",
	               LogicalType::DOUBLE, SetTargetRecall);
	config.AddExtensionOption(BEAM_WIDTH, "Blocks an LM_DISKANN search reads at once per hop (1 to 64)",
	                          LogicalType::BIGINT, Value::BIGINT(BEAM_WIDTH_DEFAULT), SetBeamWidth);
	config.AddExtensionOption(DIRECT_IO, "true: read LM_DISKANN index files past the operating system's page cache",
	                          LogicalType::BOOLEAN, Value::BOOLEAN(false), SetDirectIo, SetScope::GLOBAL);
	config.AddExtensionOption(FILTER_STRATEGY,
	                          "How an LM_DISKANN index serves a query with a WHERE: 'auto', 'exact', 'graph' or 'post'",
	                          LogicalType::VARCHAR, Value(FilterStrategyName(FilterStrategy::AUTO)), SetFilterStrategy);
	config.AddExtensionOption(ENABLE_INDEX_SCAN, "false: plan as if no LM_DISKANN index existed", LogicalType::BOOLEAN,
	                          Value::BOOLEAN(true));
	config.AddExtensionOption(AUTO_REBUILD,
	                          "false: never heal a damaged LM_DISKANN index; queries then run exact plans",
	                          LogicalType::BOOLEAN, Value::BOOLEAN(true));
}

uint64_t BuildMemoryBudget(ClientContext &context) {
	auto value = Read(context, BUILD_MEMORY);
	if (value.IsNull()) {
		value = Value(BUILD_MEMORY_DEFAULT);
	}
	return ParseBytes(BUILD_MEMORY, value, BufferManager::GetBufferManager(context).GetMaxMemory());
}

std::optional<uint32_t> SessionSearchListSize(ClientContext &context) {
	const auto value = Read(context, SEARCH_LIST_SIZE);
	if (value.IsNull()) {
		return std::nullopt;
	}
	return uint32_t(value.GetValue<int64_t>());
}

std::optional<double> SessionTargetRecall(ClientContext &context) {
	const auto value = Read(context, TARGET_RECALL);
	return value.IsNull() ? std::nullopt : std::optional<double>(value.GetValue<double>());
}

uint32_t BeamWidth(ClientContext &context) {
	const auto value = Read(context, BEAM_WIDTH);
	return uint32_t(value.IsNull() ? BEAM_WIDTH_DEFAULT : value.GetValue<int64_t>());
}

FilterStrategy FilterStrategyOf(ClientContext &context) {
	const auto value = Read(context, FILTER_STRATEGY);
	return value.IsNull() ? FilterStrategy::AUTO : ParseFilterStrategy(value.ToString());
}

bool IsIndexScanEnabled(ClientContext &context) {
	return ReadSwitch(context, ENABLE_INDEX_SCAN);
}

bool IsAutoRebuildEnabled(ClientContext &context) {
	return ReadSwitch(context, AUTO_REBUILD);
}

} // namespace duckdb
