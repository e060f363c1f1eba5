#include "adapter/search_effort.hpp"

#include "adapter/live_index.hpp"
#include "adapter/settings.hpp"

namespace duckdb {

SearchEffort ChooseSearchEffort(ClientContext &context, const LiveIndex &index, idx_t row_count) {
	SearchEffort effort;
	const auto &configuration = *index.Configuration();
	effort.list_size = configuration.l_search;
	if (const auto session_size = SessionSearchListSize(context)) {
		effort.list_size = *session_size;
		return effort;
	}
	auto target = SessionTargetRecall(context);
	if (!target && configuration.target_recall > 0) {
		target = lm_diskann::TargetRecallShare(configuration.target_recall);
	}
	const auto core = target ? index.Core() : nullptr;
	if (!core) {
		return effort;
	}
	if (const auto list_size = core->GetCalibration().ListSizeFor(*target, row_count)) {
		effort.list_size = *list_size;
		effort.target_recall = target;
	}
	return effort;
}

} // namespace duckdb
