// The settings lm_diskann_*: registration, validation, and reading them with their defaults.
#pragma once

#include "adapter/filter_strategy.hpp"

#include "duckdb/common/common.hpp"

#include <optional>

namespace duckdb {

class ClientContext;
class DatabaseInstance;

void RegisterSettings(DatabaseInstance &instance);

//! Bytes one CREATE INDEX may reserve.
uint64_t BuildMemoryBudget(ClientContext &context);
//! The session's search list size; unset: that of the index.
std::optional<uint32_t> SessionSearchListSize(ClientContext &context);
//! The session's target recall; unset: that of the index, if it has one.
std::optional<double> SessionTargetRecall(ClientContext &context);
//! Blocks read at once per hop.
uint32_t BeamWidth(ClientContext &context);
//! How a filter is evaluated; AUTO: as it costs least.
FilterStrategy FilterStrategyOf(ClientContext &context);
//! False: a damaged index stays as it is.
bool IsAutoRebuildEnabled(ClientContext &context);
//! False: plan as if no index of this type existed.
bool IsIndexScanEnabled(ClientContext &context);

} // namespace duckdb
