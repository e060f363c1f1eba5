#include "index/row_sample.hpp"

#include <algorithm>
#include <numeric>

namespace lm_diskann {

namespace {

constexpr size_t CHUNK_BYTES = 256 * 1024;

} // namespace

RowSample::RowSample(uint32_t dims_p)
    : dims(dims_p), chunk_rows(std::max<size_t>(1, CHUNK_BYTES / (dims * sizeof(float)))) {
}

void RowSample::Add(RowId row_id, const float *vector) {
	const size_t place = row_ids.size() % chunk_rows;
	if (place == 0) {
		chunks.emplace_back(chunk_rows * dims);
	}
	std::copy_n(vector, dims, chunks.back().data() + place * dims);
	row_ids.push_back(row_id);
}

AlignedBuffer<float> RowSample::TakeSorted() {
	std::vector<size_t> order(row_ids.size());
	std::iota(order.begin(), order.end(), size_t(0));
	std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return row_ids[a] < row_ids[b]; });
	AlignedBuffer<float> sorted(order.size() * dims);
	for (size_t i = 0; i < order.size(); i++) {
		const float *vector = chunks[order[i] / chunk_rows].data() + order[i] % chunk_rows * dims;
		std::copy_n(vector, dims, sorted.data() + i * dims);
	}
	chunks = std::vector<AlignedBuffer<float>>();
	row_ids = std::vector<RowId>();
	return sorted;
}

} // namespace lm_diskann
