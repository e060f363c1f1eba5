// Recall against queries per second, and what the device can do.
#pragma once

#include "subject.hpp"

namespace lm_diskann {

//! All queries once with one list size.
struct CurvePoint {
	size_t list_size = 0;
	size_t thread_count = 0;
	double recall = 0;
	double queries_per_second = 0;
	//! The same by the time that the threads had a processor: other work on the machine hardly shows in it.
	double queries_per_cpu_second = 0;
	double p50_ms = 0;
	double p99_ms = 0;
	//! Per query.
	SubjectCounters counters;
};

//! Runs every query once. Recall is that of the `k` nearest.
CurvePoint MeasurePoint(Subject &subject, const DataSet &set, size_t k, size_t list_size, size_t thread_count);

//! Reads of `block_size` bytes a second at random places of the file at `path`, past the page cache of the operating
//! system, by `thread_count` threads for `seconds`. Throws FileError.
double MeasureDevice(const std::string &path, size_t block_size, size_t thread_count, double seconds);

} // namespace lm_diskann
