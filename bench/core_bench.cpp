// One step of the benchmark; bench/run.mjs puts the steps together. Prints JSON.
//
//   core_bench build NAME DATA INDEX THREADS             builds and stores one index
//   core_bench search DATA ROUNDS THREADS NAME=INDEX...  recall and speed of stored indexes, side by side
//   core_bench device FILE BLOCK_SIZE THREADS            random reads a second
//
// Other work on the machine only ever slows a run down, so each point is the best of ROUNDS runs, and the indexes take
// turns in every round.
#include "measure.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>

namespace lm_diskann {
namespace {

constexpr size_t K = 10;
//! A sweep ends when recall is this high.
constexpr double RECALL_ENOUGH = 0.997;
constexpr size_t LIST_SIZES[] = {10, 12, 14, 16, 20, 24, 32, 40, 48, 64, 80, 100, 140, 200, 300, 500, 800};
constexpr double DEVICE_SECONDS = 1;

struct Candidate {
	std::string name;
	std::unique_ptr<Subject> subject;
	std::vector<CurvePoint> points;
};

double ProcessCpuSeconds() {
	rusage usage = {};
	getrusage(RUSAGE_SELF, &usage);
	return double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       1e-6 * double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

void Build(const std::string &name, const std::string &data, const std::string &index, size_t thread_count) {
	const DataSet set = DataSet::Load(data);
	std::unique_ptr<Subject> subject = MakeSubject(name);
	const double cpu_start = ProcessCpuSeconds();
	const auto start = std::chrono::steady_clock::now();
	subject->Build(set, index, thread_count);
	const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
	const double cpu_seconds = ProcessCpuSeconds() - cpu_start;
	rusage usage = {};
	getrusage(RUSAGE_SELF, &usage);
	std::printf("{\"name\":\"%s\",\"rows\":%u,\"dims\":%u,\"threads\":%zu,\"seconds\":%.3f,"
	            "\"vectors_per_cpu_second\":%.1f,\"peak_rss_bytes\":%ld,\"data_bytes\":%zu,"
	            "\"index_bytes\":%ju}\n",
	            name.c_str(), set.row_count, set.dims, thread_count, seconds, set.row_count / cpu_seconds,
	            usage.ru_maxrss * 1024, set.vectors.size() * sizeof(float),
	            uintmax_t(std::filesystem::file_size(index)));
}

void PrintPoint(const CurvePoint &point) {
	std::printf("{\"list_size\":%zu,\"threads\":%zu,\"recall\":%.5f,\"queries_per_second\":%.1f,"
	            "\"queries_per_cpu_second\":%.1f,\"p50_ms\":%.4f,\"p99_ms\":%.4f",
	            point.list_size, point.thread_count, point.recall, point.queries_per_second,
	            point.queries_per_cpu_second, point.p50_ms, point.p99_ms);
	for (const auto &[counter, value] : point.counters) {
		std::printf(",\"%s\":%.3f", counter.c_str(), value);
	}
	std::printf("}");
}

//! The first round decides how far the sweep goes.
void Sweep(Candidate &candidate, const DataSet &set, size_t thread_count, bool is_first) {
	if (is_first) {
		for (const size_t list_size : LIST_SIZES) {
			candidate.points.push_back(MeasurePoint(*candidate.subject, set, K, list_size, thread_count));
			if (candidate.points.back().recall >= RECALL_ENOUGH) {
				break;
			}
		}
		return;
	}
	for (CurvePoint &point : candidate.points) {
		const CurvePoint again = MeasurePoint(*candidate.subject, set, K, point.list_size, thread_count);
		const double cpu_best = std::max(again.queries_per_cpu_second, point.queries_per_cpu_second);
		if (again.queries_per_second > point.queries_per_second) {
			point = again;
		}
		point.queries_per_cpu_second = cpu_best;
	}
}

void Search(const std::string &data, size_t round_count, size_t thread_count, const std::vector<std::string> &indexes) {
	const DataSet set = DataSet::Load(data);
	std::vector<Candidate> candidates;
	for (const std::string &index : indexes) {
		const size_t equals = index.find('=');
		const std::string name = index.substr(0, equals);
		candidates.push_back({name, MakeSubject(name), {}});
		candidates.back().subject->Open(set, index.substr(equals + 1));
	}
	for (size_t round = 0; round < round_count; round++) {
		for (Candidate &candidate : candidates) {
			Sweep(candidate, set, thread_count, round == 0);
		}
	}
	std::printf("[");
	for (const Candidate &candidate : candidates) {
		std::printf("%s{\"name\":\"%s\",\"points\":[", &candidate == &candidates[0] ? "" : ",", candidate.name.c_str());
		for (const CurvePoint &point : candidate.points) {
			std::printf("%s", &point == &candidate.points[0] ? "" : ",");
			PrintPoint(point);
		}
		std::printf("]}\n");
	}
	std::printf("]\n");
}

int Run(const std::vector<std::string> &arguments) {
	const std::string step = arguments.empty() ? "" : arguments[0];
	if (step == "build" && arguments.size() == 5) {
		Build(arguments[1], arguments[2], arguments[3], std::stoul(arguments[4]));
	} else if (step == "search" && arguments.size() >= 5) {
		Search(arguments[1], std::stoul(arguments[2]), std::stoul(arguments[3]),
		       std::vector<std::string>(arguments.begin() + 4, arguments.end()));
	} else if (step == "device" && arguments.size() == 4) {
		std::printf("%.0f\n",
		            MeasureDevice(arguments[1], std::stoul(arguments[2]), std::stoul(arguments[3]), DEVICE_SECONDS));
	} else {
		std::cerr << "see bench/core_bench.cpp for the arguments\n";
		return 2;
	}
	return 0;
}

} // namespace
} // namespace lm_diskann

int main(int argc, char **argv) {
	try {
		return lm_diskann::Run(std::vector<std::string>(argv + 1, argv + argc));
	} catch (const std::exception &error) {
		std::cerr << "core_bench: " << error.what() << "\n";
		return 1;
	}
}
