// What a commit waits for: Append of 2,048 vectors of 768 dimensions, by the wall clock.
//
//   append_bench [options of Google Benchmark]
//
// `waiting`: rows that are in the delta already. 24,576 of them take 72 MiB, more than should be in RAM: writing them
// out is due, and somebody else's. The mean is disturbed by whatever else the machine does, the median less so.
#include "bench_rows.hpp"
#include "storage/memory_file.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>

namespace lm_diskann {

namespace {

constexpr size_t BUILT_ROWS = 500, APPEND_ROWS = 2048, DIMS = 768;

class Subject {
public:
	Subject() : rows(Metric::L2SQ, APPEND_ROWS, DIMS, "", "") {
		IndexOptions options;
		IndexBuilder builder(Configure(options, ElementType::FLOAT32, DIMS));
		rows.ForEachBatch(0, BUILT_ROWS, BUILT_ROWS, [&](const VectorBatch &batch) { builder.Add(batch); });
		builder.Start(std::make_unique<MemoryFile>(), Uuid());
		RunPhases(builder, 1);
		index = builder.Finish(std::make_shared<PageCache>(uint64_t(64) << 20));
		index->Publish();
		for (size_t row = 0; row < APPEND_ROWS; row++) {
			vectors.resize(vectors.size() + DIMS);
			rows.Vector(row, vectors.data() + row * DIMS);
		}
		row_ids.resize(APPEND_ROWS);
	}

	//! Seconds that appending the vectors once more, as new rows, took.
	double Append() {
		for (RowId &row_id : row_ids) {
			row_id = RowId(next_row++);
		}
		VectorBatch batch;
		batch.row_ids = row_ids.data();
		batch.floats = vectors.data();
		batch.count = APPEND_ROWS;
		const auto start = std::chrono::steady_clock::now();
		index->Append(batch);
		return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
	}
	void DeleteLast() const {
		index->Delete(Span<const RowId>(row_ids.data(), row_ids.size()));
	}

private:
	BenchRows rows;
	std::shared_ptr<AnnIndex> index;
	std::vector<float> vectors;
	std::vector<RowId> row_ids;
	int64_t next_row = BUILT_ROWS;
};

void Append(benchmark::State &state) {
	Subject subject;
	for (int64_t waiting = 0; waiting < state.range(0); waiting += APPEND_ROWS) {
		subject.Append();
	}
	std::vector<double> seconds;
	for (auto iteration : state) {
		(void)iteration;
		seconds.push_back(subject.Append());
		state.SetIterationTime(seconds.back());
		subject.DeleteLast();
	}
	std::sort(seconds.begin(), seconds.end());
	state.counters["median_ms"] = 1000 * seconds[seconds.size() / 2];
	state.counters["p99_ms"] = 1000 * seconds[seconds.size() * 99 / 100];
}

BENCHMARK(Append)->ArgName("waiting")->Arg(0)->Arg(24576)->Iterations(300)->UseManualTime()->Unit(
    benchmark::kMillisecond);

} // namespace
} // namespace lm_diskann

BENCHMARK_MAIN();
