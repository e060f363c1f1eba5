#include "adapter/search_report.hpp"

namespace duckdb {

void ReportSearch(const lm_diskann::SearchCounters &counters, const string &fallback_reason,
                  InsertionOrderPreservingMap<string> &result) {
	result["Blocks Read"] = std::to_string(counters.blocks_read);
	result["Cache Hits"] = std::to_string(counters.cache_hits);
	result["Hops"] = std::to_string(counters.hops);
	result["Exact Distances"] = std::to_string(counters.distances_exact);
	result["Estimated Distances"] = std::to_string(counters.distances_estimated);
	if (!fallback_reason.empty()) {
		result["Fallback"] = fallback_reason;
	}
}

} // namespace duckdb
