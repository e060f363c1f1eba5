// A build within a budget: the file is the same byte for byte wherever the rows lay, in whatever order they came and
// however many threads built; a budget that is too small is refused, a scratch file that fails ends the build; and the
// rounded vectors that edges are chosen with keep the distances.
#include "base/error.hpp"
#include "base/random.hpp"
#include "graph/build_space.hpp"
#include "index/ann_index.hpp"
#include "index/build_budget.hpp"
#include "storage/memory_file.hpp"
#include "unit/index_rows.hpp"
#include "unit/test_vectors.hpp"
#include "vector/distance.hpp"

#include <gtest/gtest.h>
#include <numeric>
#include <thread>

namespace lm_diskann {
namespace {

constexpr uint32_t DIMS = 256;
constexpr size_t ROWS = 1500;

//! Lets the test see the bytes after the index is gone, count what is written, and fail the n-th write.
class WatchedFile : public File {
public:
	struct Watch {
		MemoryFile bytes;
		uint64_t written_bytes = 0;
		int64_t writes_left = INT64_MAX;
	};

	explicit WatchedFile(std::shared_ptr<Watch> watch_p) : watch(std::move(watch_p)) {
	}
	void Read(uint64_t offset, ByteSpan target) const override {
		watch->bytes.Read(offset, target);
	}
	void Write(uint64_t offset, ConstByteSpan source) override {
		if (watch->writes_left-- <= 0) {
			throw FileError("no space is left");
		}
		watch->bytes.Write(offset, source);
		watch->written_bytes += source.size();
	}
	void Resize(uint64_t size_bytes) override {
		watch->bytes.Resize(size_bytes);
	}
	void Sync() override {
	}
	uint64_t Size() const override {
		return watch->bytes.Size();
	}

private:
	std::shared_ptr<Watch> watch;
};

struct Build {
	explicit Build(uint64_t memory_max_p) : memory_max(memory_max_p) {
	}

	//! Adds the rows in the given order, builds with so many threads, and closes the index again.
	void Run(const std::vector<float> &vectors, const std::vector<uint32_t> &order, size_t thread_count) {
		BuildResources resources;
		resources.memory_max = memory_max;
		resources.set_memory = [this](uint64_t bytes) { told_max = std::max(told_max, bytes); };
		resources.create_scratch = [this] { return std::make_unique<WatchedFile>(scratch); };
		IndexBuilder builder(configuration, resources);
		for (const uint32_t row : order) {
			const RowId row_id(row);
			VectorBatch batch;
			batch.row_ids = &row_id;
			batch.floats = vectors.data() + size_t(row) * DIMS;
			batch.count = 1;
			builder.Add(batch);
		}
		builder.Start(std::make_unique<WatchedFile>(file), Uuid());
		double progress = 0;
		std::vector<std::thread> threads;
		for (size_t i = 1; i < thread_count; i++) {
			threads.emplace_back([&] {
				while (builder.Work() != WorkState::FINISHED) {
					std::this_thread::yield();
				}
			});
		}
		while (builder.Work() != WorkState::FINISHED) {
			EXPECT_GE(builder.Progress(), progress);
			progress = builder.Progress();
			EXPECT_LE(progress, 1);
		}
		for (std::thread &thread : threads) {
			thread.join();
		}
		EXPECT_EQ(builder.Progress(), 1);
		const auto index = builder.Finish(std::make_shared<PageCache>(uint64_t(8) << 20));
		index->Publish();
		EXPECT_EQ(FindProblems(*index), std::vector<std::string>());
	}

	std::vector<uint8_t> NodePages() const {
		std::vector<uint8_t> bytes(ROWS * size_t(configuration.page_size));
		file->bytes.Read(FILE_HEAD_SIZE, ByteSpan(bytes.data(), bytes.size()));
		return bytes;
	}

	IndexConfiguration configuration = Configure(IndexOptions(), ElementType::FLOAT32, DIMS);
	uint64_t memory_max;
	uint64_t told_max = 0;
	std::shared_ptr<WatchedFile::Watch> file = std::make_shared<WatchedFile::Watch>();
	std::shared_ptr<WatchedFile::Watch> scratch = std::make_shared<WatchedFile::Watch>();
};

BuildPlan PlanFor(size_t row_count, uint64_t memory_max) {
	const IndexConfiguration configuration = Configure(IndexOptions(), ElementType::FLOAT32, DIMS);
	const NodeLayout layout =
	    NodeLayout::Create(configuration.page_size, configuration.dims, configuration.element_type,
	                       configuration.vectors, configuration.max_degree, configuration.codes);
	const BuildRows rows(configuration.element_type, configuration.dims, nullptr);
	return PlanBuild(configuration, layout, rows, row_count, memory_max, true);
}

//! The least memory that suffices.
uint64_t LeastMemory() {
	for (uint64_t memory = uint64_t(1) << 20;; memory += uint64_t(1) << 16) {
		try {
			PlanFor(ROWS, memory);
			return memory;
		} catch (const MemoryError &) {
			continue;
		}
	}
}

std::vector<uint32_t> InOrder() {
	std::vector<uint32_t> order(ROWS);
	std::iota(order.begin(), order.end(), 0U);
	return order;
}

TEST(BoundedBuild, MemoryOrderAndThreadsDoNotChangeTheFile) {
	const std::vector<float> vectors = MakeClusteredVectors(ROWS, DIMS, 5);
	ASSERT_TRUE(PlanFor(ROWS, LeastMemory()).has_cells);
	Build free_build(UINT64_MAX);
	free_build.Run(vectors, InOrder(), 1);
	EXPECT_EQ(free_build.scratch->written_bytes, 0);
	Build bounded(LeastMemory());
	bounded.Run(vectors, Random(3).Permutation<uint32_t>(ROWS), 3);
	EXPECT_EQ(bounded.NodePages(), free_build.NodePages());
	EXPECT_LE(bounded.told_max, bounded.memory_max);
	// Rows go to the scratch file once as they come, and once by node.
	const uint64_t row_bytes = ROWS * uint64_t(DIMS) * sizeof(float);
	EXPECT_GT(bounded.scratch->written_bytes, row_bytes / 2);
	EXPECT_LE(bounded.scratch->written_bytes + bounded.file->written_bytes, 3 * bounded.file->bytes.Size());
}

TEST(BoundedBuild, GivesUpBitsBeforeCellsAndCellsLast) {
	constexpr size_t COUNT = 100000;
	uint64_t memory = PlanFor(COUNT, UINT64_MAX).LargestBytes() * 2;
	std::vector<std::pair<uint32_t, bool>> plans;
	for (; memory > 0; memory -= uint64_t(1) << 16) {
		try {
			const BuildPlan plan = PlanFor(COUNT, memory);
			EXPECT_LE(plan.LargestBytes(), memory);
			if (plans.empty() || plans.back() != std::pair(plan.bits, plan.has_cells)) {
				plans.emplace_back(plan.bits, plan.has_cells);
			}
		} catch (const MemoryError &) {
			break;
		}
	}
	const std::vector<std::pair<uint32_t, bool>> expected = {{8, true}, {4, true}, {4, false}};
	EXPECT_EQ(plans, expected);
}

TEST(BoundedBuild, LessThanTheLeastMemoryIsRefusedWithWhatIsNeeded) {
	const std::vector<float> vectors = MakeClusteredVectors(ROWS, DIMS, 5);
	Build build(LeastMemory() / 2);
	try {
		build.Run(vectors, InOrder(), 1);
		FAIL() << "nothing was thrown";
	} catch (const MemoryError &error) {
		const std::string text = error.what();
		EXPECT_NE(text.find("building it needs at least"), std::string::npos) << text;
		EXPECT_NE(text.find("lm_diskann_build_memory allows"), std::string::npos) << text;
	}
}

TEST(BoundedBuild, AScratchFileThatIsFullEndsTheBuild) {
	const std::vector<float> vectors = MakeClusteredVectors(ROWS, DIMS, 5);
	const uint64_t least_memory = LeastMemory();
	for (const int64_t writes : {0, 1, 20, 28}) {
		Build build(least_memory);
		build.scratch->writes_left = writes;
		EXPECT_THROW(build.Run(vectors, InOrder(), 1), FileError) << writes;
	}
}

//! Squared Euclidean distances as RobustPrune needs them, in double precision.
double PlainDistance(Metric metric, const float *a, const float *b, size_t dims, double norm_max) {
	const double product = -ReferenceDistance(Metric::IP, a, b, dims);
	const double norm_a = -ReferenceDistance(Metric::IP, a, a, dims);
	const double norm_b = -ReferenceDistance(Metric::IP, b, b, dims);
	if (metric == Metric::COSINE) {
		return 2 - 2 * product / std::sqrt(norm_a * norm_b);
	}
	const double squared = norm_a + norm_b - 2 * product;
	const double extra = std::sqrt(norm_max * norm_max - norm_a) - std::sqrt(norm_max * norm_max - norm_b);
	return metric == Metric::IP ? squared + extra * extra : squared;
}

class RoundedVectors : public testing::TestWithParam<std::tuple<Metric, uint32_t>> {};

TEST_P(RoundedVectors, KeepDistances) {
	const auto [metric, bits] = GetParam();
	constexpr size_t COUNT = 200;
	for (const size_t dims : {3, 100, 384}) {
		const std::vector<float> vectors = MakeClusteredVectors(COUNT, dims, 8);
		const Quantizer quantizer = Quantizer::Train(metric, CodeFamily::TWO_BIT, dims, vectors, COUNT, 1);
		float norm_max = 0;
		for (size_t i = 0; i < COUNT; i++) {
			const float *vector = vectors.data() + i * dims;
			norm_max = std::max(norm_max, std::sqrt(InnerProduct(vector, vector, dims)) * 1.001F);
		}
		BuildSpace space(quantizer, bits, norm_max, COUNT);
		std::vector<float> scratch;
		for (uint32_t i = 0; i < COUNT; i++) {
			space.Set(NodeId(i), vectors.data() + i * dims, scratch);
		}
		BuildSpace::Point point;
		BuildDistance distance(space);
		double errors = 0;
		double distances = 0;
		for (uint32_t i = 0; i < COUNT; i++) {
			space.Load(NodeId(i), point);
			const auto distance_to = [&](uint32_t other) {
				const NodeId node(other);
				float result = 0;
				space.Distances(point, Span<const NodeId>(&node, 1), &result);
				return result;
			};
			EXPECT_LE(distance_to(i), 1e-4F * norm_max * norm_max);
			for (uint32_t j = 0; j < i; j++) {
				const double exact =
				    PlainDistance(metric, vectors.data() + i * dims, vectors.data() + j * dims, dims, norm_max);
				const double rounded = distance_to(j);
				const NodeId node(i);
				float other_way = 0;
				distance(NodeId(j), Span<const NodeId>(&node, 1), &other_way);
				EXPECT_NEAR(rounded, double(other_way), 1e-4 * norm_max * norm_max);
				errors += std::fabs(rounded - exact);
				distances += exact;
			}
		}
		EXPECT_LT(errors, distances * (bits == 8 ? 0.01 : 0.15)) << dims;
	}
}

INSTANTIATE_TEST_SUITE_P(BoundedBuild, RoundedVectors,
                         testing::Combine(testing::Values(Metric::L2SQ, Metric::COSINE, Metric::IP),
                                          testing::Values(8U, 4U)));

} // namespace
} // namespace lm_diskann
