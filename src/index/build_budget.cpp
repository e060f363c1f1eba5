#include "index/build_budget.hpp"

#include "base/error.hpp"
#include "graph/write.hpp"
#include "vector/quantizer_training.hpp"

#include <algorithm>
#include <cstdio>
#include <thread>

namespace lm_diskann {

namespace {

//! Buffers of one thread: a search, pages of an item, a block of rows.
constexpr uint64_t THREAD_BYTES = uint64_t(512) << 10;
constexpr uint64_t SAMPLE_BYTES_MAX = uint64_t(64) << 20;

std::string Mebibytes(uint64_t bytes) {
	char text[32];
	std::snprintf(text, sizeof(text), "%.1f MiB", double(bytes) / (1 << 20));
	return text;
}

BuildPlan PlanWith(uint32_t bits, bool has_cells, const IndexConfiguration &configuration, const NodeLayout &layout,
                   const BuildRows &rows, uint64_t row_count) {
	const uint64_t dims = configuration.dims;
	const uint64_t reference_bytes = Quantizer::ReferenceCountFor(row_count) * dims * sizeof(float);
	const uint64_t threads = std::max(2U, std::thread::hardware_concurrency());
	// References as they are and rotated, and the rotation.
	const uint64_t fixed_bytes = threads * THREAD_BYTES + 2 * reference_bytes + 8 * dims * sizeof(float);
	const uint64_t space_bytes = BuildSpace::MemoryBytes(bits, dims, row_count);
	const uint64_t vector_bytes = dims * sizeof(float);

	BuildPlan plan;
	plan.bits = bits;
	plan.has_cells = has_cells;
	plan.sample_rows = std::min<uint64_t>({row_count, QuantizerTraining::SampleCount(row_count),
	                                       std::max<uint64_t>(256, SAMPLE_BYTES_MAX / vector_bytes)});
	// Means are sums of doubles. The sample is copied once, and chance may make it larger.
	plan.training_bytes = fixed_bytes + 2 * reference_bytes + plan.sample_rows * vector_bytes * 9 / 4;
	// By row: id, reference, its distance, node. By node: id, reference, position of its row.
	const uint64_t ordering_bytes = row_count * (8 + 2 + 4 + 4 + 8 + 2 + 4);
	plan.arranging_bytes = fixed_bytes + std::max(ordering_bytes, row_count * (4 + 8 + 2) + space_bytes);
	BuildParameters parameters;
	parameters.max_degree = configuration.max_degree;
	parameters.list_size = configuration.l_build;
	parameters.has_cells = has_cells;
	plan.linking_bytes = fixed_bytes + row_count * (8 + 2) + space_bytes +
	                     GraphBuilder::MemoryBytes(parameters, dims, row_count) +
	                     (has_cells ? threads * Cells::ThreadBytes(dims, parameters.list_size) : 0);
	plan.writing_bytes = fixed_bytes + row_count * (8 + 2) +
	                     GraphBuilder::FinalMemoryBytes(configuration.max_degree, row_count) +
	                     GraphWriter::MemoryBytes(layout, row_count) + rows.BucketBytes(row_count);
	return plan;
}

} // namespace

uint64_t BuildPlan::LargestBytes() const {
	return std::max({training_bytes, arranging_bytes, linking_bytes, writing_bytes});
}

BuildPlan PlanBuild(const IndexConfiguration &configuration, const NodeLayout &layout, const BuildRows &rows,
                    uint64_t row_count, uint64_t memory_max, bool has_scratch) {
	const uint64_t rows_bytes = rows.MemoryMin(row_count) + (has_scratch ? 0 : rows.Bytes(row_count));
	uint64_t needed = 0;
	// Cells halve the time of a build, and bits hardly show in its graph.
	for (const auto &[bits, has_cells] : {std::pair(8U, true), {4U, true}, {8U, false}, {4U, false}}) {
		const BuildPlan plan = PlanWith(bits, has_cells, configuration, layout, rows, row_count);
		needed = plan.LargestBytes() + rows_bytes;
		if (needed <= memory_max) {
			return plan;
		}
	}
	throw MemoryError("building it needs at least " + Mebibytes(needed) + " of memory for " +
	                  std::to_string(row_count) + " rows, but lm_diskann_build_memory allows " + Mebibytes(memory_max) +
	                  "; raise it, or choose a smaller R");
}

} // namespace lm_diskann
