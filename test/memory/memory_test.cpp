// What builds and queries take from the heap and in mappings, counted at every allocation of this program: a build
// stays within its budget and 5 %, and an open index takes no more for ten times the rows. What is resident, as the
// operating system tells: memory that is freed goes back to it.
#include "index/ann_index.hpp"

#include "base/error.hpp"
#include "storage/memory_file.hpp"
#include "storage/spill.hpp"
#include "unit/test_vectors.hpp"

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <malloc.h>
#include <new>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

namespace {

std::atomic<size_t> live_bytes {0};
std::atomic<size_t> peak_bytes {0};

void Count(size_t bytes) {
	const size_t live = live_bytes += bytes;
	size_t peak = peak_bytes;
	while (live > peak && !peak_bytes.compare_exchange_weak(peak, live)) {
	}
}

void *Counted(void *memory) {
	if (!memory) {
		throw std::bad_alloc();
	}
	Count(malloc_usable_size(memory));
	return memory;
}

//! Not inlined: the compiler would take std::free for the wrong end of a `new`.
[[gnu::noinline]] void Release(void *memory) noexcept {
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

//! In place of the C library's for this program's own calls; malloc has its own way to the system.
extern "C" void *mmap(void *address, size_t size, int protection, int flags, int file, off_t offset) noexcept {
	const auto mapped = syscall(SYS_mmap, address, size, protection, flags, file, offset);
	if (mapped == -1) {
		return MAP_FAILED;
	}
	Count(size);
	return reinterpret_cast<void *>(mapped);
}
extern "C" int munmap(void *address, size_t size) noexcept {
	live_bytes -= size;
	return int(syscall(SYS_munmap, address, size));
}

namespace lm_diskann {
namespace {

//! Anonymous memory of this process that is in RAM.
size_t ResidentBytes() {
	std::ifstream status("/proc/self/status");
	for (std::string line; std::getline(status, line);) {
		if (line.rfind("RssAnon:", 0) == 0) {
			return std::stoul(line.substr(8)) * 1024;
		}
	}
	return 0;
}

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

TEST(Memory, WhatACacheOrASpillFreesGoesBackToTheSystem) {
	constexpr uint64_t BYTES = uint64_t(32) << 20;
	constexpr size_t RECORD_BYTES = 1024;
	const auto held = std::make_shared<PageCache>(BYTES);
	IndexOptions options;
	options.block_size = 4096;
	const IndexConfiguration configuration = Configure(options, ElementType::FLOAT32, 64);
	const std::vector<float> vectors = MakeClusteredVectors(10000, 64, 3);
	const auto index = BuildIndex(configuration, vectors, {}, held);
	index->Publish();
	// Allocations between those of the cache, which hold on to the heap.
	std::vector<std::unique_ptr<std::string>> others;
	for (size_t query = 0; query < vectors.size() / 64; query++) {
		index->Search(vectors.data() + query * 64, 10, 50, 4).Next(10);
		others.push_back(std::make_unique<std::string>(100, 'x'));
	}
	ASSERT_GT(held->UsedBytes(), BYTES * 9 / 10) << "the cache is full";
	size_t before = ResidentBytes();
	held->SetBudget(0);
	EXPECT_LT(ResidentBytes() + BYTES * 8 / 10, before) << "the cache was given up";

	before = ResidentBytes();
	{
		Spill spill(RECORD_BYTES, nullptr);
		const std::vector<uint8_t> record(RECORD_BYTES, 1);
		spill.AddStream();
		for (uint64_t bytes = 0; bytes < BYTES; bytes += RECORD_BYTES) {
			spill.Append(0, record.data(), 1);
			others.push_back(std::make_unique<std::string>(100, 'x'));
		}
		ASSERT_GT(ResidentBytes(), before + BYTES * 9 / 10);
		for (size_t block = 0; block < spill.BlockCount(0); block++) {
			spill.Free(0, block);
		}
		EXPECT_LT(ResidentBytes(), before + BYTES * 3 / 10) << "all blocks were freed";
	}
}

} // namespace
} // namespace lm_diskann
