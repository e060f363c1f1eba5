// How long queries of one reader take: by the clock, which shows the longest waits, and on the processor, which a busy
// machine does not disturb.
#pragma once

#include "bench_rows.hpp"

#include <functional>

namespace lm_diskann {

struct QueryTimes {
	//! Microseconds, one a query.
	std::vector<double> wall, cpu;
	//! Queries that gave the processor up of their own accord: they waited for a lock or the disk.
	size_t waited = 0;

	void Print(const char *name) const;
};

//! Asks for the K nearest of the queries of `rows`, again and again, until `is_over(number of queries asked)`.
QueryTimes Ask(AnnIndex &index, const BenchRows &rows, const std::function<bool(size_t asked)> &is_over);

} // namespace lm_diskann
