#include "measure.hpp"

#include "disk_file.hpp"

#include "base/aligned_buffer.hpp"
#include "base/random.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
#include <numeric>

namespace lm_diskann {

namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
	return std::chrono::duration<double>(Clock::now() - start).count();
}

double ThreadCpuSeconds() {
	timespec time = {};
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
}

double Percentile(std::vector<double> &sorted, double share) {
	return sorted[std::min(sorted.size() - 1, size_t(share * double(sorted.size())))];
}

} // namespace

CurvePoint MeasurePoint(Subject &subject, const DataSet &set, size_t k, size_t list_size, size_t thread_count) {
	CurvePoint point;
	point.list_size = list_size;
	point.thread_count = thread_count;
	std::vector<uint32_t> found(set.query_count * k);
	std::vector<double> milliseconds(set.query_count);
	subject.SetListSize(list_size);
	const SubjectCounters before = subject.Counters();
	std::vector<double> cpu_seconds(set.query_count);
	const Clock::time_point start = Clock::now();
	ForEachItem(set.query_count, thread_count, [&](size_t query, size_t thread) {
		const Clock::time_point query_start = Clock::now();
		const double cpu_start = ThreadCpuSeconds();
		subject.Search(set.Query(query), k, thread, found.data() + query * k);
		cpu_seconds[query] = ThreadCpuSeconds() - cpu_start;
		milliseconds[query] = 1000 * SecondsSince(query_start);
	});
	point.queries_per_second = double(set.query_count) / SecondsSince(start);
	point.queries_per_cpu_second =
	    double(set.query_count) / std::accumulate(cpu_seconds.begin(), cpu_seconds.end(), 0.0);
	point.counters = subject.Counters();
	for (size_t i = 0; i < point.counters.size(); i++) {
		point.counters[i].second = (point.counters[i].second - before[i].second) / double(set.query_count);
	}
	for (size_t query = 0; query < set.query_count; query++) {
		point.recall += set.Recall(query, found.data() + query * k, k) / double(set.query_count);
	}
	std::sort(milliseconds.begin(), milliseconds.end());
	point.p50_ms = Percentile(milliseconds, 0.5);
	point.p99_ms = Percentile(milliseconds, 0.99);
	return point;
}

double MeasureDevice(const std::string &path, size_t block_size, size_t thread_count, double seconds) {
	const DiskFile file(path, DiskFile::Mode::READ_DIRECT);
	const uint64_t block_count = file.Size() / block_size;
	std::atomic<uint64_t> reads {0};
	const Clock::time_point start = Clock::now();
	ForEachItem(thread_count, thread_count, [&](size_t item, size_t) {
		Random random(item + 1);
		AlignedBuffer<uint8_t> buffer(block_size);
		while (SecondsSince(start) < seconds) {
			const ReadRequest request = {random.Next() % block_count * block_size, buffer.span()};
			file.ReadBatch(Span<const ReadRequest>(&request, 1));
			reads++;
		}
	});
	return double(reads) / SecondsSince(start);
}

} // namespace lm_diskann
