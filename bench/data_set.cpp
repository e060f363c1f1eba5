#include "data_set.hpp"

#include "base/error.hpp"
#include "vector/distance.hpp"

#include <algorithm>
#include <atomic>
#include <fstream>
#include <thread>
#include <utility>

namespace lm_diskann {

namespace {

constexpr uint32_t MAGIC = 0x31424D4C; // "LMB1"
constexpr uint32_t COMPUTED_ANSWERS = 100;

struct RawHead {
	uint32_t magic, rows, dims, metric, queries, answers;
};

template <class T>
std::vector<T> ReadArray(std::ifstream &file, size_t count) {
	std::vector<T> values(count);
	file.read(reinterpret_cast<char *>(values.data()), std::streamsize(count * sizeof(T)));
	return values;
}

} // namespace

DataSet DataSet::Load(const std::string &path) {
	std::ifstream file(path, std::ios::binary);
	const std::vector<RawHead> heads = ReadArray<RawHead>(file, 1);
	const RawHead &head = heads[0];
	if (!file || head.magic != MAGIC) {
		throw FileError("\"" + path + "\" is not a file of vectors for the benchmark");
	}
	DataSet set;
	set.metric = Metric(head.metric);
	set.row_count = head.rows;
	set.dims = head.dims;
	set.query_count = head.queries;
	set.answer_count = head.answers;
	set.vectors = ReadArray<float>(file, size_t(head.rows) * head.dims);
	set.queries = ReadArray<float>(file, size_t(head.queries) * head.dims);
	set.answers = ReadArray<uint32_t>(file, size_t(head.queries) * head.answers);
	if (!file) {
		throw FileError("\"" + path + "\" ends early");
	}
	if (set.answer_count == 0) {
		set.ComputeAnswers();
	}
	return set;
}

void DataSet::ComputeAnswers() {
	answer_count = std::min(COMPUTED_ANSWERS, row_count);
	answers.resize(size_t(query_count) * answer_count);
	std::atomic<uint32_t> next {0};
	auto work = [&] {
		std::vector<std::pair<float, uint32_t>> distances(row_count);
		for (uint32_t query = next++; query < query_count; query = next++) {
			for (uint32_t row = 0; row < row_count; row++) {
				distances[row] = {Distance(metric, Query(query), Vector(row), dims), row};
			}
			std::partial_sort(distances.begin(), distances.begin() + answer_count, distances.end());
			for (uint32_t i = 0; i < answer_count; i++) {
				answers[size_t(query) * answer_count + i] = distances[i].second;
			}
		}
	};
	std::thread other(work);
	work();
	other.join();
}

double DataSet::Recall(size_t query, const uint32_t *found, size_t k) const {
	const uint32_t *exact = answers.data() + query * answer_count;
	size_t hits = 0;
	for (size_t i = 0; i < k; i++) {
		hits += std::find(exact, exact + k, found[i]) != exact + k ? 1 : 0;
	}
	return double(hits) / double(k);
}

} // namespace lm_diskann
