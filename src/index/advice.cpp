#include "index/advice.hpp"

#include "base/error.hpp"
#include "graph/node.hpp"
#include "storage/format.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace lm_diskann {

namespace {

//! The smaller sample is so much smaller.
constexpr uint64_t SAMPLE_RATIO = 4;
constexpr size_t TIMED_QUERY_COUNT = 64;
constexpr uint32_t TIMED_LIST_SIZE = 64, BEAM_WIDTH = 4;

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
	return std::chrono::duration<double>(Clock::now() - start).count();
}

//! One index over the first rows of the sample.
struct SampleIndex {
	uint64_t row_count = 0;
	double build_seconds = 0;
	std::shared_ptr<PageCache> cache;
	std::shared_ptr<AnnIndex> index;
	Calibration calibration;
};

class Adviser {
public:
	explicit Adviser(const AdviceRequest &request_p) : request(request_p) {
	}

	//! False: it was stopped.
	bool Build(uint64_t row_count, SampleIndex &built) const {
		IndexBuilder builder(request.configuration, request.resources);
		VectorBatch batch = request.sample;
		batch.count = row_count;
		builder.Add(batch);
		builder.Start(request.make_file(), Uuid());
		const auto start = Clock::now();
		WorkState work = WorkState::WORKED;
		while (work != WorkState::FINISHED && !request.is_stopped()) {
			work = builder.Work();
		}
		if (work != WorkState::FINISHED) {
			return false;
		}
		built.build_seconds = SecondsSince(start);
		built.row_count = builder.RowCount();
		built.cache = std::make_shared<PageCache>(UINT64_MAX);
		built.index = builder.Finish(built.cache);
		const bool is_calibrated = built.index->Calibrate(request.is_stopped);
		built.calibration = built.index->GetCalibration();
		return is_calibrated;
	}

	//! Blocks visited and read, and seconds, of a search.
	struct Cost {
		double visited = 0, read = 0, seconds = 0;
	};
	Cost Search(const SampleIndex &built) const {
		Cost cost;
		const auto start = Clock::now();
		const size_t dims = request.configuration.dims, step = std::max<size_t>(1, built.row_count / TIMED_QUERY_COUNT);
		std::vector<float> query(dims);
		size_t count = 0;
		for (size_t row = 0; row < built.row_count; row += step, count++) {
			for (size_t i = 0; i < dims; i++) {
				query[i] = request.sample.floats ? request.sample.floats[row * dims + i]
				                                 : float(request.sample.bytes[row * dims + i]);
			}
			if (!IsIndexable(request.configuration.metric, query.data(), dims)) {
				continue;
			}
			SearchCursor cursor = built.index->Search(query.data(), CALIBRATION_K, TIMED_LIST_SIZE, BEAM_WIDTH);
			cursor.Next(CALIBRATION_K);
			const SearchCounters counters = cursor.Counters();
			cost.visited += double(counters.blocks_read + counters.cache_hits);
			cost.read += double(counters.blocks_read);
		}
		cost.seconds = SecondsSince(start);
		return cost;
	}

	void Draw(const SampleIndex &quarter, const SampleIndex &whole, Advice &advice) const {
		const auto rows = double(request.row_count), sampled = double(whole.row_count);
		advice.build_seconds = whole.build_seconds * (rows / sampled) * std::log(rows) / std::log(sampled) /
		                       std::max<double>(1, request.thread_count);
		// Once for the cache, once for the clock.
		Search(whole);
		const Cost cached = Search(whole);
		double shares_read[ADVICE_CACHE_SHARE_COUNT] = {};
		for (size_t i = 0; i < ADVICE_CACHE_SHARE_COUNT; i++) {
			const auto file_bytes = double(IndexFileBytes(request.configuration, whole.row_count));
			whole.cache->SetBudget(uint64_t(ADVICE_CACHE_SHARES[i] * file_bytes));
			Search(whole);
			const Cost limited = Search(whole);
			shares_read[i] = limited.read / std::max(1.0, limited.visited);
		}
		// Logarithmic distance of the whole table beyond the sample, in steps from the quarter to the sample.
		const double steps = rows > sampled && whole.row_count > quarter.row_count
		                         ? std::log(rows / sampled) / std::log(sampled / double(quarter.row_count))
		                         : 0;
		const auto &before = quarter.calibration.points;
		const auto &last = whole.calibration.points;
		for (size_t i = 0; i < last.size(); i++) {
			// Beyond its own end the quarter finds all, and each place in the list costs a block.
			const CalibrationPoint former =
			    i < before.size() ? before[i]
			                      : CalibrationPoint {last[i].list_size, before.empty() ? last[i].recall : 1.0F, 0,
			                                          before.empty() ? last[i].blocks
			                                                         : before.back().blocks + float(last[i].list_size) -
			                                                               float(before.back().list_size)};
			AdvicePoint point;
			point.list_size = last[i].list_size;
			point.recall = std::clamp(last[i].recall + steps * (last[i].recall - former.recall), 0.0, 1.0);
			point.blocks = std::max<double>(point.list_size, last[i].blocks + steps * (last[i].blocks - former.blocks));
			point.milliseconds = 1000 * cached.seconds * point.blocks / std::max(1.0, cached.visited);
			for (size_t share = 0; share < ADVICE_CACHE_SHARE_COUNT; share++) {
				point.blocks_read[share] = point.blocks * shares_read[share];
			}
			advice.points.push_back(point);
		}
	}

private:
	const AdviceRequest &request;
};

uint64_t BlobSlots(uint64_t bytes, uint64_t page_size) {
	return (bytes + page_size - sizeof(PageHead) - 1) / (page_size - sizeof(PageHead));
}

} // namespace

uint64_t IndexFileBytes(const IndexConfiguration &configuration, uint64_t row_count) {
	const NodeLayout layout =
	    NodeLayout::Create(configuration.page_size, configuration.dims, configuration.element_type,
	                       configuration.vectors, configuration.max_degree, configuration.codes);
	const uint64_t page_size = configuration.page_size, fanout = (page_size - sizeof(PageHead)) / sizeof(uint64_t);
	uint64_t slots = layout.PageCount(row_count);
	// The row map: a tree over row ids.
	for (uint64_t entries = row_count; entries > 1; entries = (entries + fanout - 1) / fanout) {
		slots += (entries + fanout - 1) / fanout;
	}
	const uint64_t references = Quantizer::ReferenceCountFor(row_count);
	slots += BlobSlots(references * configuration.dims * sizeof(float), page_size);
	slots += BlobSlots(references * sizeof(uint32_t), page_size);
	// Pages of nodes, calibration, free list, meta page.
	return FILE_HEAD_SIZE + (slots + 4) * page_size;
}

Advice Advise(const AdviceRequest &request) {
	Advice advice;
	advice.sample_count = request.sample.count;
	advice.file_bytes = IndexFileBytes(request.configuration, request.row_count);
	advice.build_bytes = IndexBuilder::MemoryBytes(request.configuration, request.row_count);
	const Adviser adviser(request);
	SampleIndex quarter, whole;
	if (request.sample.count == 0) {
		return advice;
	}
	if (!adviser.Build(std::max<uint64_t>(1, request.sample.count / SAMPLE_RATIO), quarter) ||
	    !adviser.Build(request.sample.count, whole)) {
		advice.is_stopped = true;
		return advice;
	}
	if (whole.row_count > 0) {
		adviser.Draw(quarter, whole, advice);
	}
	return advice;
}

} // namespace lm_diskann
