#include "query_times.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <sys/resource.h>

namespace lm_diskann {

namespace {

constexpr uint32_t LIST_SIZE = 40, BEAM_WIDTH = 4;

double Microseconds(clockid_t clock) {
	timespec time = {};
	clock_gettime(clock, &time);
	return double(time.tv_sec) * 1e6 + double(time.tv_nsec) / 1e3;
}

long Waits() {
	rusage usage = {};
	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nvcsw;
}

double Quantile(std::vector<double> values, double share) {
	if (values.empty()) {
		return 0;
	}
	const auto position = values.begin() + ptrdiff_t(share * double(values.size() - 1));
	std::nth_element(values.begin(), position, values.end());
	return *position;
}

} // namespace

void QueryTimes::Print(const char *name) const {
	std::printf(
	    "reader, %s: %zu queries, %zu waited; microseconds p50 %.0f, p99 %.0f, p99.9 %.0f; on the processor p50 "
	    "%.0f, p99 %.0f, p99.9 %.0f\n",
	    name, wall.size(), waited, Quantile(wall, 0.5), Quantile(wall, 0.99), Quantile(wall, 0.999), Quantile(cpu, 0.5),
	    Quantile(cpu, 0.99), Quantile(cpu, 0.999));
}

QueryTimes Ask(AnnIndex &index, const BenchRows &rows, const std::function<bool(size_t asked)> &is_over) {
	QueryTimes times;
	const size_t query_count = rows.queries.size() / rows.dims;
	for (size_t asked = 0; !is_over(asked); asked++) {
		const long waits = Waits();
		const double wall = Microseconds(CLOCK_MONOTONIC);
		const double cpu = Microseconds(CLOCK_THREAD_CPUTIME_ID);
		index.Search(rows.queries.data() + asked % query_count * rows.dims, BenchRows::K, LIST_SIZE, BEAM_WIDTH)
		    .Next(BenchRows::K);
		times.cpu.push_back(Microseconds(CLOCK_THREAD_CPUTIME_ID) - cpu);
		times.wall.push_back(Microseconds(CLOCK_MONOTONIC) - wall);
		times.waited += Waits() > waits ? 1 : 0;
	}
	return times;
}

} // namespace lm_diskann
