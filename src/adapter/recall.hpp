// lm_diskann_recall(): how good and how fast the answers of an index are, measured against the exact ones.
#pragma once

#include "adapter/lm_diskann_index.hpp"

#include <optional>

namespace duckdb {

class ClientContext;
class DuckTableEntry;

struct RecallReport {
	idx_t k = 0;
	//! Rows that were searched for: fewer than were asked for when the table has no more with a vector in the index.
	idx_t sample_count = 0;
	uint32_t search_list_size = 0;
	//! Of the k nearest rows the share that was found; unset without samples, like the rest.
	std::optional<double> recall;
	double latency_mean_ms = 0;
	double latency_p99_ms = 0;
	double blocks_read_mean = 0;
	double cache_hits_mean = 0;
	double hops_mean = 0;
};

//! Searches for the vectors of `sample_count` rows, chosen by the seed of the index, and compares with one scan of the
//! table. A sampled row is no answer to itself. Memory: the samples and k rows for each. Throws InterruptException, and
//! InvalidInputException when the index is not ready.
RecallReport MeasureRecall(ClientContext &context, DuckTableEntry &table, const TableIndex &index, idx_t k,
                           idx_t sample_count);

} // namespace duckdb
