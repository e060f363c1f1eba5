// How long the search list of one query is: the one place where session, index and calibration are weighed.
#pragma once

#include "duckdb/common/common.hpp"

#include <optional>

namespace duckdb {

class ClientContext;
class LiveIndex;

struct SearchEffort {
	uint32_t list_size = 0;
	//! The target that list_size was chosen for; unset when it comes from a number the user gave.
	std::optional<double> target_recall;
};

//! For a query of `row_count` nearest rows. In this order: the session's lm_diskann_l_search, its
//! lm_diskann_target_recall, the index's target_recall, the index's L_search. A target needs a calibration; without one
//! (few rows, or built by an earlier version) L_search is used.
SearchEffort ChooseSearchEffort(ClientContext &context, const LiveIndex &index, idx_t row_count);

} // namespace duckdb
