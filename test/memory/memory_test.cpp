// What builds and queries take from the heap, counted at every allocation of this program: a build stays within its
// budget and 5 %, and an open index takes no more for ten times the rows.
#include "index/ann_index.hpp"

#include "base/error.hpp"
#include "storage/memory_file.hpp"
#include "unit/test_vectors.hpp"

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <malloc.h>
#include <new>
#include <thread>
#include <unistd.h>

namespace {

std::atomic<size_t> live_bytes {0};
std::atomic<size_t> peak_bytes {0};

void *Counted(void *memory) {
	if (!memory) {
		throw std::bad_alloc();
	}
	const size_t live = live_bytes += malloc_usable_size(memory);
	size_t peak = peak_bytes;
	while (live > peak && !peak_bytes.compare_exchange_weak(peak, live)) {
	}
	return memory;
}

void Release(void *memory) noexcept {
	live_bytes -= memory ? malloc_usable_size(memory) : 0;
	std::free(memory);
}

} // namespace

void *operator new(size_t size) {
	return Counted(std::malloc(size > 0 ? size : 1));
}
void *operator new(size_t size, std::align_val_t alignment) {
	const auto step = size_t(alignment);
	return Counted(std::aligned_alloc(step, (size + step - 1) / step * step));
}
void operator delete(void *memory) noexcept {
	Release(memory);
}
void operator delete(void *memory, size_t) noexcept {
	Release(memory);
}
void operator delete(void *memory, std::align_val_t) noexcept {
	Release(memory);
}
void operator delete(void *memory, size_t, std::align_val_t) noexcept {
	Release(memory);
}

namespace lm_diskann {
namespace {

//! A file on disk, so that its bytes are not on the heap; the name is gone at once.
class UnnamedFile : public File {
public:
	UnnamedFile() : file(std::tmpfile()) {
	}
	~UnnamedFile() override {
		std::fclose(file);
	}
	void Read(uint64_t offset, ByteSpan target) const override {
		ASSERT_EQ(pread(fileno(file), target.data(), target.size(), off_t(offset)), ssize_t(target.size()));
	}
	void Write(uint64_t offset, ConstByteSpan source) override {
		ASSERT_EQ(pwrite(fileno(file), source.data(), source.size(), off_t(offset)), ssize_t(source.size()));
		size_bytes = std::max(size_bytes, offset + source.size());
	}
	void Resize(uint64_t size_bytes_p) override {
		ASSERT_EQ(ftruncate(fileno(file), off_t(size_bytes_p)), 0);
		size_bytes = size_bytes_p;
	}
	void Sync() override {
	}
	uint64_t Size() const override {
		return size_bytes;
	}

private:
	std::FILE *file;
	uint64_t size_bytes = 0;
};

std::shared_ptr<AnnIndex> BuildIndex(const IndexConfiguration &configuration, const std::vector<float> &vectors,
                                     const BuildResources &resources, const std::shared_ptr<PageCache> &cache) {
	IndexBuilder builder(configuration, resources);
	for (size_t row = 0; row < vectors.size() / configuration.dims; row++) {
		const RowId row_id {int64_t(row)};
		VectorBatch batch;
		batch.row_ids = &row_id;
		batch.floats = vectors.data() + row * configuration.dims;
		batch.count = 1;
		builder.Add(batch);
	}
	builder.Start(std::make_unique<UnnamedFile>(), Uuid());
	std::thread other([&] {
		while (builder.Work() != WorkState::FINISHED) {
			std::this_thread::yield();
		}
	});
	while (builder.Work() != WorkState::FINISHED) {
		std::this_thread::yield();
	}
	other.join();
	return builder.Finish(cache);
}

TEST(Memory, ABuildStaysWithinItsBudget) {
	constexpr size_t DIMS = 192;
	constexpr size_t ROWS = 4000;
	IndexOptions options;
	options.l_build = 30;
	const IndexConfiguration configuration = Configure(options, ElementType::FLOAT32, DIMS);
	const std::vector<float> vectors = MakeClusteredVectors(ROWS, DIMS, 3);
	for (uint64_t budget = uint64_t(1) << 20;; budget += budget / 8) {
		BuildResources resources;
		resources.memory_max = budget;
		bool has_scratch = false;
		resources.create_scratch = [&] {
			has_scratch = true;
			return std::make_unique<UnnamedFile>();
		};
		const auto cache = std::make_shared<PageCache>(uint64_t(1) << 20);
		const size_t before = live_bytes;
		peak_bytes = before;
		try {
			BuildIndex(configuration, vectors, resources, cache)->Summary();
		} catch (const MemoryError &) {
			continue;
		}
		EXPECT_LE(peak_bytes - before, budget + budget / 20) << "of a budget of " << budget;
		EXPECT_TRUE(has_scratch);
		return;
	}
}

TEST(Memory, QueriesTakeNoMoreForTenTimesTheRows) {
	constexpr size_t DIMS = 24;
	constexpr uint64_t CACHE_BYTES = uint64_t(2) << 20;
	IndexOptions options = ParseOptions({{"R", "16"}, {"L_build", "20"}});
	options.block_size = 4096;
	const IndexConfiguration configuration = Configure(options, ElementType::FLOAT32, DIMS);
	size_t used[2];
	for (const size_t factor : {1, 10}) {
		const std::vector<float> vectors = MakeClusteredVectors(2500 * factor, DIMS, 3);
		const size_t before = live_bytes;
		const auto cache = std::make_shared<PageCache>(CACHE_BYTES);
		const auto index = BuildIndex(configuration, vectors, {}, cache);
		index->Publish();
		peak_bytes = size_t(live_bytes);
		for (size_t query = 0; query < vectors.size() / DIMS; query += 2 * factor) {
			index->Search(vectors.data() + query * DIMS, 10, 50, 4).Next(10);
		}
		ASSERT_GT(cache->UsedBytes(), CACHE_BYTES * 9 / 10) << "the cache is full";
		used[factor > 1] = peak_bytes - before;
	}
	EXPECT_LT(double(used[1]), 1.05 * double(used[0]));
}

} // namespace
} // namespace lm_diskann
