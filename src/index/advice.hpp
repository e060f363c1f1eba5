// What an index would be before it is built: size and memory by arithmetic, recall, blocks and time from two indexes in
// RAM over samples of the rows, one a quarter of the other, drawn on in the logarithm of the row count.
#pragma once

#include "index/ann_index.hpp"

#include <functional>
#include <memory>
#include <vector>

namespace lm_diskann {

//! Cache sizes as shares of the file at which reads are foreseen.
static constexpr double ADVICE_CACHE_SHARES[] = {0.01, 0.1, 0.5};
static constexpr size_t ADVICE_CACHE_SHARE_COUNT = std::size(ADVICE_CACHE_SHARES);

struct AdviceRequest {
	IndexConfiguration configuration;
	//! Rows the index would hold.
	uint64_t row_count = 0;
	//! A random choice of them in random order; exactly one pointer set. At least two hundred are wanted.
	VectorBatch sample;
	uint32_t thread_count = 1;
	BuildResources resources;
	std::function<std::unique_ptr<File>()> make_file;
	std::function<bool()> is_stopped;
};

struct AdvicePoint {
	uint32_t list_size = 0;
	double recall = 0;
	double blocks = 0;
	//! Of one search with every block in the cache, on this machine.
	double milliseconds = 0;
	//! Blocks of a search that are not in a cache of ADVICE_CACHE_SHARES[i].
	double blocks_read[ADVICE_CACHE_SHARE_COUNT] = {};
};

struct Advice {
	uint64_t sample_count = 0;
	uint64_t file_bytes = 0;
	uint64_t build_bytes = 0;
	double build_seconds = 0;
	//! Empty when there are too few rows to measure.
	std::vector<AdvicePoint> points;
	bool is_stopped = false;
};

//! Bytes of the file of a freshly built index. Exact but for what depends on the file system.
uint64_t IndexFileBytes(const IndexConfiguration &configuration, uint64_t row_count);

//! Throws what IndexBuilder and `make_file` throw. Cost: two builds of at most the sample.
Advice Advise(const AdviceRequest &request);

} // namespace lm_diskann
