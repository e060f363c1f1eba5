// What a build costs: vectors per second of CPU time, memory, bytes written, and the graph that comes of it.
//
//   build_bench ROWS DIMS [--data FILE] [--queries FILE] [--cosine] [--memory PERCENT] [--threads N] [--folder FOLDER]
//               [--hnswlib]
//
// Rows are made (made_vectors.hpp), or the first of a file of float32. PERCENT is lm_diskann_build_memory in parts of
// the index (0: no limit). With --hnswlib the same rows go into hnswlib (M = 16, ef_construction = 200) on one thread.
// CPU time is of all threads, so it says the same on a busy machine.
#include "bench_rows.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

namespace lm_diskann {

namespace {

//! "VmHWM" or "VmRSS" in bytes.
uint64_t StatusBytes(const std::string &name) {
	std::ifstream status("/proc/self/status");
	for (std::string line; std::getline(status, line);) {
		if (line.compare(0, name.size(), name) == 0) {
			return std::strtoull(line.c_str() + name.size() + 1, nullptr, 10) * 1024;
		}
	}
	return 0;
}

struct Arguments {
	size_t rows = 0, dims = 0, threads = 2;
	double memory_percent = 0;
	bool is_cosine = false, has_hnswlib = false;
	std::string data, queries, folder = "/tmp";
};

void BenchIndex(const Arguments &arguments, const BenchRows &data) {
	IndexOptions options;
	options.metric = data.metric;
	const IndexConfiguration configuration = Configure(options, ElementType::FLOAT32, uint32_t(data.dims));
	BuildResources resources;
	const double index_bytes = double(data.count) * configuration.page_size;
	if (arguments.memory_percent > 0) {
		resources.memory_max = uint64_t(index_bytes * arguments.memory_percent / 100);
	}
	uint64_t told_max = 0;
	resources.set_memory = [&](uint64_t bytes) { told_max = std::max(told_max, bytes); };
	std::atomic<uint64_t> bytes_written {0};
	resources.create_scratch = [&] {
		return std::make_unique<CountedFile>(arguments.folder + "/build_bench.scratch", bytes_written);
	};
	std::ofstream("/proc/self/clear_refs") << "5";
	const uint64_t resident = StatusBytes("VmRSS:");
	const auto start = std::chrono::steady_clock::now();
	const double cpu_start = CpuSeconds();
	IndexBuilder builder(configuration, resources);
	data.ForEachBatch(0, data.count, 1024, [&](const VectorBatch &batch) { builder.Add(batch); });
	const double cpu_added = CpuSeconds();
	builder.Start(std::make_unique<CountedFile>(arguments.folder + "/build_bench.lmdsk", bytes_written), Uuid());
	RunPhases(builder, arguments.threads);
	const double cpu = CpuSeconds() - cpu_added;
	const uint64_t peak = StatusBytes("VmHWM:") - resident;
	const auto index = builder.Finish(std::make_shared<PageCache>(uint64_t(64) << 20));
	index->Publish();
	const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
	std::printf(
	    "lm_diskann %zu x %zu, memory %.0f MiB: %.1f s CPU (rows added: %.1f), %.1f s, %.0f vectors per CPU second\n",
	    data.count, data.dims, double(resources.memory_max) / (1 << 20), cpu, cpu_added - cpu_start, elapsed.count(),
	    double(data.count) / cpu);
	std::printf("  resident memory grew by %.1f MiB, told %.1f MiB; written %.2f x the file of %.0f MiB\n",
	            double(peak) / (1 << 20), double(told_max) / (1 << 20),
	            double(bytes_written) / double(index->Summary().file_size_bytes), index_bytes / (1 << 20));
	for (const uint32_t list_size : {10U, 16U, 24U, 32U, 48U, 64U, 100U}) {
		double blocks = 0;
		const double recall = data.Recall(*index, list_size, blocks);
		std::printf("  L %3u: recall@10 %.4f, %.1f blocks\n", list_size, recall, blocks);
	}
}

void BenchHnswlib(const BenchRows &data) {
	const auto graph = HnswlibGraph::Create(data.metric, data.count, data.dims);
	if (!graph) {
		std::printf("hnswlib was not there when this program was built\n");
		return;
	}
	std::vector<float> vector(data.dims);
	const double start = CpuSeconds();
	for (size_t row = 0; row < data.count; row++) {
		data.Vector(row, vector.data());
		graph->Add(row, vector.data());
	}
	const double cpu = CpuSeconds() - start;
	std::printf("hnswlib: %.1f s CPU, %.0f vectors per CPU second\n", cpu, double(data.count) / cpu);
	for (const size_t ef : {10, 16, 24, 32, 48, 64, 100}) {
		std::printf("  ef %3zu: recall@10 %.4f\n", ef,
		            data.Recall([&](const float *query) { return graph->Search(query, BenchRows::K, ef); }));
	}
}

Arguments Parse(int argc, char **argv) {
	Arguments arguments;
	if (argc < 3) {
		throw std::runtime_error(
		    "usage: build_bench ROWS DIMS [--data FILE --queries FILE] [--cosine] [--memory PERCENT] "
		    "[--threads N] [--folder FOLDER] [--hnswlib]");
	}
	arguments.rows = std::strtoull(argv[1], nullptr, 10);
	arguments.dims = std::strtoull(argv[2], nullptr, 10);
	for (int i = 3; i < argc; i++) {
		const std::string name = argv[i];
		const bool is_switch = name == "--cosine" || name == "--hnswlib";
		const std::string value = is_switch || i + 1 == argc ? "" : argv[++i];
		arguments.is_cosine |= name == "--cosine";
		arguments.has_hnswlib |= name == "--hnswlib";
		if (name == "--data") {
			arguments.data = value;
		} else if (name == "--queries") {
			arguments.queries = value;
		} else if (name == "--memory") {
			arguments.memory_percent = std::atof(value.c_str());
		} else if (name == "--threads") {
			arguments.threads = std::strtoull(value.c_str(), nullptr, 10);
		} else if (name == "--folder") {
			arguments.folder = value;
		}
	}
	return arguments;
}

} // namespace
} // namespace lm_diskann

int main(int argc, char **argv) {
	try {
		const lm_diskann::Arguments arguments = lm_diskann::Parse(argc, argv);
		const lm_diskann::BenchRows data(arguments.is_cosine ? lm_diskann::Metric::COSINE : lm_diskann::Metric::L2SQ,
		                                 arguments.rows, arguments.dims, arguments.data, arguments.queries);
		lm_diskann::BenchIndex(arguments, data);
		if (arguments.has_hnswlib) {
			lm_diskann::BenchHnswlib(data);
		}
	} catch (const std::exception &error) {
		std::fprintf(stderr, "%s\n", error.what());
		return 1;
	}
	return 0;
}
