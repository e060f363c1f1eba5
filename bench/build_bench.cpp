// What a build costs: vectors per second of CPU time, memory, bytes written, and the graph that comes of it.
//
//   build_bench ROWS DIMS [--data FILE] [--queries FILE] [--cosine] [--memory PERCENT] [--threads N] [--folder FOLDER]
//               [--hnswlib]
//
// Rows are made (made_vectors.hpp), or the first of a file of float32. PERCENT is lm_diskann_build_memory in parts of
// the index (0: no limit). With --hnswlib the same rows go into hnswlib (M = 16, ef_construction = 200) on one thread.
// CPU time is of all threads, so it says the same on a busy machine.
#include "made_vectors.hpp"

#include "index/ann_index.hpp"
#include "vector/distance.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <queue>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace lm_diskann {

//! hnswlib_build.cpp; false: it was not there when this program was built. `search` gets the k nearest rows.
bool BuildHnswlib(size_t count, size_t dims, const std::function<void(size_t, float *)> &vector_of,
                  std::function<std::vector<size_t>(const float *, size_t k, size_t ef)> &search);

namespace {

std::atomic<uint64_t> bytes_written {0};

//! A file of the operating system that counts what is written.
class PosixFile : public File {
public:
	explicit PosixFile(const std::string &path) : handle(open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0644)) {
		unlink(path.c_str());
		Check(handle >= 0);
	}
	~PosixFile() override {
		close(handle);
	}
	void Read(uint64_t offset, ByteSpan target) const override {
		Check(pread(handle, target.data(), target.size(), off_t(offset)) == ssize_t(target.size()));
	}
	void Write(uint64_t offset, ConstByteSpan source) override {
		Check(pwrite(handle, source.data(), source.size(), off_t(offset)) == ssize_t(source.size()));
		bytes_written += source.size();
	}
	void Resize(uint64_t size_bytes) override {
		Check(ftruncate(handle, off_t(size_bytes)) == 0);
	}
	void Sync() override {
		Check(fdatasync(handle) == 0);
	}
	uint64_t Size() const override {
		struct stat status = {};
		Check(fstat(handle, &status) == 0);
		return uint64_t(status.st_size);
	}

private:
	static void Check(bool is_good) {
		if (!is_good) {
			throw std::runtime_error(std::strerror(errno));
		}
	}
	int handle;
};

double CpuSeconds() {
	rusage usage = {};
	getrusage(RUSAGE_SELF, &usage);
	return double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       1e-6 * double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

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

std::vector<float> ReadFloats(const std::string &path, size_t count_max) {
	std::ifstream file(path, std::ios::binary | std::ios::ate);
	std::vector<float> values(std::min<size_t>(count_max, size_t(file.tellg()) / sizeof(float)));
	file.seekg(0);
	file.read(reinterpret_cast<char *>(values.data()), std::streamsize(values.size() * sizeof(float)));
	return values;
}

//! The rows, the queries, and the exact answers.
struct DataSet {
	explicit DataSet(const Arguments &arguments)
	    : metric(arguments.is_cosine ? Metric::COSINE : Metric::L2SQ), count(arguments.rows), dims(arguments.dims) {
		if (arguments.data.empty()) {
			made = std::make_unique<MadeVectors>(count, dims, 1);
			queries.resize(QUERIES * dims);
			for (size_t i = 0; i < QUERIES; i++) {
				made->Make(count + i, queries.data() + i * dims);
			}
		} else {
			values = ReadFloats(arguments.data, count * dims);
			count = values.size() / dims;
			queries = ReadFloats(arguments.queries, QUERIES * dims);
		}
		FindExact();
	}

	void Vector(size_t row, float *vector) const {
		if (made) {
			made->Make(row, vector);
		} else {
			std::memcpy(vector, values.data() + row * dims, dims * sizeof(float));
		}
	}

	void FindExact() {
		std::vector<std::priority_queue<std::pair<float, size_t>>> nearest(queries.size() / dims);
		std::vector<float> vector(dims);
		for (size_t row = 0; row < count; row++) {
			Vector(row, vector.data());
			for (size_t i = 0; i < nearest.size(); i++) {
				nearest[i].emplace(Distance(metric, queries.data() + i * dims, vector.data(), dims), row);
				if (nearest[i].size() > K) {
					nearest[i].pop();
				}
			}
		}
		for (auto &queue : nearest) {
			exact.emplace_back();
			for (; !queue.empty(); queue.pop()) {
				exact.back().push_back(queue.top().second);
			}
		}
	}

	template <class SEARCH>
	double Recall(SEARCH &&search) const {
		size_t found = 0;
		for (size_t i = 0; i < exact.size(); i++) {
			for (const size_t row : search(queries.data() + i * dims)) {
				found += size_t(std::count(exact[i].begin(), exact[i].end(), row));
			}
		}
		return double(found) / double(K * exact.size());
	}

	static constexpr size_t QUERIES = 200, K = 10;
	Metric metric;
	size_t count;
	size_t dims;
	std::unique_ptr<MadeVectors> made;
	std::vector<float> values;
	std::vector<float> queries;
	std::vector<std::vector<size_t>> exact;
};

void AddRows(const DataSet &data, IndexBuilder &builder) {
	constexpr size_t BATCH = 1024;
	std::vector<float> vectors(BATCH * data.dims);
	std::vector<RowId> row_ids(BATCH);
	for (size_t first = 0; first < data.count; first += BATCH) {
		VectorBatch batch;
		batch.row_ids = row_ids.data();
		batch.floats = vectors.data();
		batch.count = std::min(BATCH, data.count - first);
		for (size_t i = 0; i < batch.count; i++) {
			row_ids[i] = RowId(int64_t(first + i));
			data.Vector(first + i, vectors.data() + i * data.dims);
		}
		builder.Add(batch);
	}
}

void RunPhases(IndexBuilder &builder, size_t thread_count) {
	std::vector<std::thread> threads;
	for (size_t i = 0; i < thread_count; i++) {
		threads.emplace_back([&] {
			while (builder.Work() != WorkState::FINISHED) {
				std::this_thread::yield();
			}
		});
	}
	for (std::thread &thread : threads) {
		thread.join();
	}
}

void BenchIndex(const Arguments &arguments, const DataSet &data) {
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
	resources.create_scratch = [&] { return std::make_unique<PosixFile>(arguments.folder + "/build_bench.scratch"); };
	std::ofstream("/proc/self/clear_refs") << "5";
	const uint64_t resident = StatusBytes("VmRSS:");
	const auto start = std::chrono::steady_clock::now();
	const double cpu_start = CpuSeconds();
	IndexBuilder builder(configuration, resources);
	AddRows(data, builder);
	const double cpu_added = CpuSeconds();
	builder.Start(std::make_unique<PosixFile>(arguments.folder + "/build_bench.lmdsk"), Uuid());
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
		uint64_t blocks = 0;
		const double recall = data.Recall([&](const float *query) {
			SearchCursor cursor = index->Search(query, DataSet::K, list_size, 4);
			std::vector<size_t> rows;
			for (const Neighbor &neighbor : cursor.Next(DataSet::K)) {
				rows.push_back(size_t(neighbor.row_id.value));
			}
			blocks += cursor.Counters().distances_exact;
			return rows;
		});
		std::printf("  L %3u: recall@10 %.4f, %.1f blocks\n", list_size, recall,
		            double(blocks) / double(data.exact.size()));
	}
}

void BenchHnswlib(const DataSet &data) {
	std::function<std::vector<size_t>(const float *, size_t, size_t)> search;
	const double start = CpuSeconds();
	const auto vector_of = [&](size_t row, float *vector) { data.Vector(row, vector); };
	if (!BuildHnswlib(data.count, data.dims, vector_of, search)) {
		std::printf("hnswlib was not there when this program was built\n");
		return;
	}
	const double cpu = CpuSeconds() - start;
	std::printf("hnswlib: %.1f s CPU, %.0f vectors per CPU second\n", cpu, double(data.count) / cpu);
	for (const size_t ef : {10, 16, 24, 32, 48, 64, 100}) {
		std::printf("  ef %3zu: recall@10 %.4f\n", ef,
		            data.Recall([&](const float *query) { return search(query, DataSet::K, ef); }));
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
		const lm_diskann::DataSet data(arguments);
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
