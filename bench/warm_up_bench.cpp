// What warming up saves: blocks read by the first queries after an index was opened, in the long run, and after a scan
// of all blocks, in turns with an index that is not warmed up.
//
//   warm_up_bench ROWS DIMS DATA QUERIES LIST_SIZE [--cosine]
//
// DATA and QUERIES are files of float32; queries are 200, then rows of the index. Counts do not depend on the machine.
#include "bench_rows.hpp"

#include "storage/memory_file.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace lm_diskann {

namespace {

constexpr size_t LONG_RUN = 4000;

//! Outlives the index that has it open.
class SharedFile final : public File {
public:
	explicit SharedFile(std::shared_ptr<File> target_p) : target(std::move(target_p)) {
	}
	void Read(uint64_t offset, ByteSpan bytes) const override {
		target->Read(offset, bytes);
	}
	void Write(uint64_t offset, ConstByteSpan bytes) override {
		target->Write(offset, bytes);
	}
	void Resize(uint64_t size_bytes) override {
		target->Resize(size_bytes);
	}
	void Sync() override {
	}
	uint64_t Size() const override {
		return target->Size();
	}

private:
	std::shared_ptr<File> target;
};

//! Searches and counts the blocks that are read.
class Reader {
public:
	Reader(const BenchRows &data_p, AnnIndex &index_p, uint32_t list_size_p)
	    : data(data_p), index(index_p), list_size(list_size_p), vector(data.dims) {
	}
	void AskQueries(size_t first, size_t end) {
		for (size_t query = first; query < end; query++) {
			Ask(data.queries.data() + query * data.dims);
		}
	}
	void AskRows(size_t first, size_t end) {
		for (size_t i = first; i < end; i++) {
			data.Vector(i * 7919 % data.count, vector.data());
			Ask(vector.data());
		}
	}
	uint64_t Blocks() const {
		return index.Counters().blocks_read;
	}

private:
	void Ask(const float *query) {
		index.Search(query, BenchRows::K, list_size, 1).Next(BenchRows::K);
	}

	const BenchRows &data;
	AnnIndex &index;
	const uint32_t list_size;
	std::vector<float> vector;
};

void Measure(const BenchRows &data, AnnIndex &index, PageCache &cache, uint32_t list_size, bool is_warm) {
	if (is_warm) {
		index.WarmUp([] { return false; });
	}
	const size_t frame_bytes = index.Configuration().page_size + 128;
	std::printf("  %s: %5zu blocks beforehand;", is_warm ? "warm" : "cold", size_t(cache.UsedBytes() / frame_bytes));
	Reader reader(data, index, list_size);
	size_t asked = 0;
	for (const size_t end : {10, 50, 200}) {
		reader.AskQueries(asked, end);
		asked = end;
		std::printf(" %zu queries %zu,", end, size_t(reader.Blocks()));
	}
	reader.AskRows(0, LONG_RUN);
	uint64_t before = reader.Blocks();
	reader.AskRows(LONG_RUN, 2 * LONG_RUN);
	std::printf(" long run %.2f a query;", double(reader.Blocks() - before) / LONG_RUN);
	for (int pass = 0; pass < 2; pass++) {
		index.ReadNodes(NodeId(0), 2 * data.count);
	}
	before = reader.Blocks();
	reader.AskQueries(0, BenchRows::QUERIES);
	std::printf(" %zu queries after a scan %zu\n", BenchRows::QUERIES, size_t(reader.Blocks() - before));
}

void Run(const BenchRows &data, uint32_t list_size) {
	IndexOptions options;
	options.metric = data.metric;
	const IndexConfiguration configuration = Configure(options, ElementType::FLOAT32, uint32_t(data.dims));
	const auto file = std::make_shared<MemoryFile>();
	IndexBuilder builder(configuration);
	data.ForEachBatch(0, data.count, 1024, [&](const VectorBatch &batch) { builder.Add(batch); });
	builder.Start(std::make_unique<SharedFile>(file), Uuid {1});
	RunPhases(builder, 2);
	const Marker marker = builder.Finish(std::make_shared<PageCache>(uint64_t(64) << 20))->Publish();
	for (const uint64_t percent : {2, 16, 110}) {
		const uint64_t budget_bytes = file->Size() * percent / 100;
		std::printf("file %.0f MB, cache %.1f MB\n", double(file->Size()) / 1e6, double(budget_bytes) / 1e6);
		for (const bool is_warm : {false, true}) {
			const auto cache = std::make_shared<PageCache>(budget_bytes);
			const auto index = AnnIndex::Open(std::make_unique<SharedFile>(file), marker, configuration, cache);
			Measure(data, *index, *cache, list_size, is_warm);
		}
	}
}

} // namespace
} // namespace lm_diskann

int main(int argc, char **argv) {
	try {
		if (argc < 6) {
			throw std::runtime_error("usage: warm_up_bench ROWS DIMS DATA QUERIES LIST_SIZE [--cosine]");
		}
		const bool is_cosine = argc > 6 && std::strcmp(argv[6], "--cosine") == 0;
		const lm_diskann::BenchRows data(is_cosine ? lm_diskann::Metric::COSINE : lm_diskann::Metric::L2SQ,
		                                 std::strtoull(argv[1], nullptr, 10), std::strtoull(argv[2], nullptr, 10),
		                                 argv[3], argv[4]);
		lm_diskann::Run(data, uint32_t(std::strtoul(argv[5], nullptr, 10)));
	} catch (const std::exception &error) {
		std::fprintf(stderr, "%s\n", error.what());
		return 1;
	}
	return 0;
}
