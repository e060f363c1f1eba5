#include "bench_rows.hpp"

#include "base/error.hpp"
#include "vector/distance.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <queue>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace lm_diskann {

namespace {

void Check(bool is_good) {
	if (!is_good) {
		throw FileError(std::strerror(errno));
	}
}

std::vector<float> ReadFloats(const std::string &path, size_t count_max) {
	std::ifstream file(path, std::ios::binary | std::ios::ate);
	if (!file) {
		throw FileError("\"" + path + "\" cannot be read");
	}
	std::vector<float> values(std::min<size_t>(count_max, size_t(file.tellg()) / sizeof(float)));
	file.seekg(0);
	file.read(reinterpret_cast<char *>(values.data()), std::streamsize(values.size() * sizeof(float)));
	return values;
}

} // namespace

CountedFile::CountedFile(const std::string &path, std::atomic<uint64_t> &bytes_written_p)
    : handle(open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0644)), bytes_written(bytes_written_p) {
	Check(handle >= 0);
	unlink(path.c_str());
}

CountedFile::~CountedFile() {
	close(handle);
}

void CountedFile::Read(uint64_t offset, ByteSpan target) const {
	Check(pread(handle, target.data(), target.size(), off_t(offset)) == ssize_t(target.size()));
}

void CountedFile::Write(uint64_t offset, ConstByteSpan source) {
	Check(pwrite(handle, source.data(), source.size(), off_t(offset)) == ssize_t(source.size()));
	bytes_written += source.size();
}

void CountedFile::Resize(uint64_t size_bytes) {
	Check(ftruncate(handle, off_t(size_bytes)) == 0);
}

void CountedFile::Sync() {
	Check(fdatasync(handle) == 0);
}

uint64_t CountedFile::Size() const {
	struct stat status = {};
	Check(fstat(handle, &status) == 0);
	return uint64_t(status.st_size);
}

double CpuSeconds() {
	rusage usage = {};
	getrusage(RUSAGE_SELF, &usage);
	return double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       1e-6 * double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

BenchRows::BenchRows(Metric metric_p, size_t count_p, size_t dims_p, const std::string &rows_path,
                     const std::string &queries_path)
    : metric(metric_p), count(count_p), dims(dims_p) {
	if (rows_path.empty()) {
		made = std::make_unique<MadeVectors>(count, dims, 1);
		queries.resize(QUERIES * dims);
		for (size_t i = 0; i < QUERIES; i++) {
			made->Make(count + i, queries.data() + i * dims);
		}
	} else {
		values = ReadFloats(rows_path, count * dims);
		count = values.size() / dims;
		if (!queries_path.empty()) {
			queries = ReadFloats(queries_path, QUERIES * dims);
		}
	}
	FindExact();
}

void BenchRows::Vector(size_t row, float *vector) const {
	if (made) {
		made->Make(row, vector);
	} else {
		std::memcpy(vector, values.data() + row * dims, dims * sizeof(float));
	}
}

void BenchRows::ForEachBatch(size_t first, size_t batch_count, size_t batch_rows,
                             const std::function<void(const VectorBatch &batch)> &take) const {
	std::vector<float> vectors(batch_rows * dims);
	std::vector<RowId> row_ids(batch_rows);
	for (size_t end = first + batch_count; first < end; first += batch_rows) {
		VectorBatch batch;
		batch.row_ids = row_ids.data();
		batch.floats = vectors.data();
		batch.count = std::min(batch_rows, end - first);
		for (size_t i = 0; i < batch.count; i++) {
			row_ids[i] = RowId(int64_t(first + i));
			Vector(first + i, vectors.data() + i * dims);
		}
		take(batch);
	}
}

void BenchRows::FindExact() {
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

double BenchRows::Recall(const std::function<std::vector<size_t>(const float *query)> &search) const {
	size_t found = 0;
	for (size_t i = 0; i < exact.size(); i++) {
		for (const size_t row : search(queries.data() + i * dims)) {
			found += size_t(std::count(exact[i].begin(), exact[i].end(), row));
		}
	}
	return double(found) / double(K * exact.size());
}

double BenchRows::Recall(AnnIndex &index, uint32_t list_size, double &blocks) const {
	uint64_t visited = 0;
	const double recall = Recall([&](const float *query) {
		SearchCursor cursor = index.Search(query, K, list_size, 4);
		std::vector<size_t> rows;
		for (const Neighbor &neighbor : cursor.Next(K)) {
			rows.push_back(size_t(neighbor.row_id.value));
		}
		visited += cursor.Counters().distances_exact;
		return rows;
	});
	blocks = double(visited) / double(exact.size());
	return recall;
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

} // namespace lm_diskann
