// What changes cost: merging rows against building them, and against inserting them into hnswlib.
//
//   merge_bench BUILT MERGED DIMS [--data FILE --queries FILE] [--cosine] [--batch ROWS] [--cache MIB]
//               [--folder FOLDER] [--hnswlib] [--reader]
//
// An index of BUILT rows is built, and MERGED more are appended and merged into it on one thread; then one of all rows
// is built anew. With --reader a thread asks on, and how long its queries take during the merge is told beside what
// they take before it, with nothing in the delta and with all that is to be merged. Rows are made (made_vectors.hpp),
// or the first of a file of float32. CPU time is of all threads, so it says the same on a busy machine.
#include "query_times.hpp"

#include <cstdio>
#include <cstdlib>
#include <future>

namespace lm_diskann {

namespace {

constexpr size_t APPEND_ROWS = 2048, IDLE_QUERIES = 4000;

struct Arguments {
	size_t built = 0, merged = 0, dims = 0;
	uint64_t cache_mib = 1024;
	size_t batch = 0;
	bool is_cosine = false, has_hnswlib = false, has_reader = false;
	std::string data, queries, folder = "/tmp";
};

std::shared_ptr<AnnIndex> Build(const Arguments &arguments, const BenchRows &rows, size_t count,
                                std::atomic<uint64_t> &bytes_written) {
	IndexOptions options;
	options.metric = rows.metric;
	IndexBuilder builder(Configure(options, ElementType::FLOAT32, uint32_t(rows.dims)));
	rows.ForEachBatch(0, count, APPEND_ROWS, [&](const VectorBatch &batch) { builder.Add(batch); });
	builder.Start(std::make_unique<CountedFile>(arguments.folder + "/merge_bench.lmdsk", bytes_written), Uuid());
	RunPhases(builder, 1);
	auto index = builder.Finish(std::make_shared<PageCache>(arguments.cache_mib << 20));
	index->Confirm(index->Publish().generation);
	return index;
}

void PrintRecall(const char *name, AnnIndex &index, const BenchRows &rows) {
	std::printf("%s:", name);
	for (const uint32_t list_size : {16U, 40U, 100U}) {
		double blocks = 0;
		const double recall = rows.Recall(index, list_size, blocks);
		std::printf("  L %u: recall@10 %.4f, %.1f blocks", list_size, recall, blocks);
	}
	std::printf("\n");
}

void AskIdle(const Arguments &arguments, AnnIndex &index, const BenchRows &rows, const char *name) {
	if (arguments.has_reader) {
		Ask(index, rows, [](size_t asked) { return asked == IDLE_QUERIES; }).Print(name);
	}
}

void MergeAll(const Arguments &arguments, AnnIndex &index, const BenchRows &rows) {
	std::atomic<bool> is_over {!arguments.has_reader};
	auto reader =
	    std::async(std::launch::async, [&] { return Ask(index, rows, [&](size_t) { return bool(is_over); }); });
	const size_t batch = arguments.batch > 0 ? arguments.batch : index.MergeBatchRows();
	while (index.Merge(batch, [] { return false; })) {
	}
	is_over = true;
	const QueryTimes times = reader.get();
	if (arguments.has_reader) {
		times.Print("merging");
	}
}

void BenchIndex(const Arguments &arguments, const BenchRows &rows) {
	std::atomic<uint64_t> bytes_written {0};
	const auto index = Build(arguments, rows, arguments.built, bytes_written);
	bytes_written = 0;
	AskIdle(arguments, *index, rows, "idle");
	AskIdle(arguments, *index, rows, "idle again, all blocks cached");
	const double start = CpuSeconds();
	rows.ForEachBatch(arguments.built, arguments.merged, APPEND_ROWS,
	                  [&](const VectorBatch &batch) { index->Append(batch); });
	const double appended = CpuSeconds();
	AskIdle(arguments, *index, rows, "idle, before merging");
	MergeAll(arguments, *index, rows);
	const double merged = CpuSeconds();
	const double blocks = double(index->Counters().blocks_written) / double(arguments.merged);
	index->Confirm(index->Publish().generation);
	const double published = CpuSeconds();
	const uint64_t merge_bytes = bytes_written;

	const double fresh_start = CpuSeconds();
	const auto fresh = Build(arguments, rows, rows.count, bytes_written);
	const double build_rate = double(rows.count) / (CpuSeconds() - fresh_start);
	const double merge_rate = double(arguments.merged) / (published - start);
	std::printf("rows for a CPU second: insert, merge and publish %.0f, build %.0f, ratio %.2f\n", merge_rate,
	            build_rate, merge_rate / build_rate);
	std::printf("  insert %.2f s, merge %.2f s, publish %.2f s; a row: %.2f blocks, %.0f bytes written\n",
	            appended - start, merged - appended, published - merged, blocks,
	            double(merge_bytes) / double(arguments.merged));
	PrintRecall("merged", *index, rows);
	PrintRecall("fresh ", *fresh, rows);
}

void BenchHnswlib(const Arguments &arguments, const BenchRows &rows) {
	const auto graph = HnswlibGraph::Create(rows.metric, rows.count, rows.dims);
	if (!graph) {
		std::printf("hnswlib was not there when this program was built\n");
		return;
	}
	std::vector<float> vector(rows.dims);
	double start = 0;
	for (size_t row = 0; row < rows.count; row++) {
		if (row == arguments.built) {
			start = CpuSeconds();
		}
		rows.Vector(row, vector.data());
		graph->Add(row, vector.data());
	}
	std::printf("hnswlib: %.0f rows inserted for a CPU second\n", double(arguments.merged) / (CpuSeconds() - start));
}

Arguments Parse(int argc, char **argv) {
	Arguments arguments;
	if (argc < 4) {
		throw std::runtime_error("usage: merge_bench BUILT MERGED DIMS [--data FILE --queries FILE] [--cosine] "
		                         "[--batch ROWS] [--cache MIB] [--folder FOLDER] [--hnswlib] [--reader]");
	}
	arguments.built = std::strtoull(argv[1], nullptr, 10);
	arguments.merged = std::strtoull(argv[2], nullptr, 10);
	arguments.dims = std::strtoull(argv[3], nullptr, 10);
	for (int i = 4; i < argc; i++) {
		const std::string name = argv[i];
		const bool is_switch = name == "--cosine" || name == "--hnswlib" || name == "--reader";
		const std::string value = is_switch || i + 1 == argc ? "" : argv[++i];
		arguments.is_cosine |= name == "--cosine";
		arguments.has_hnswlib |= name == "--hnswlib";
		arguments.has_reader |= name == "--reader";
		if (name == "--data") {
			arguments.data = value;
		} else if (name == "--queries") {
			arguments.queries = value;
		} else if (name == "--cache") {
			arguments.cache_mib = std::strtoull(value.c_str(), nullptr, 10);
		} else if (name == "--batch") {
			arguments.batch = std::strtoull(value.c_str(), nullptr, 10);
		} else if (name == "--folder") {
			arguments.folder = value;
		}
	}
	return arguments;
}

int Run(const Arguments &arguments) {
	const BenchRows rows(arguments.is_cosine ? Metric::COSINE : Metric::L2SQ, arguments.built + arguments.merged,
	                     arguments.dims, arguments.data, arguments.queries);
	if (rows.count != arguments.built + arguments.merged) {
		throw std::runtime_error("the file holds only " + std::to_string(rows.count) + " rows");
	}
	BenchIndex(arguments, rows);
	if (arguments.has_hnswlib) {
		BenchHnswlib(arguments, rows);
	}
	return 0;
}

} // namespace
} // namespace lm_diskann

int main(int argc, char **argv) {
	try {
		return lm_diskann::Run(lm_diskann::Parse(argc, argv));
	} catch (const std::exception &error) {
		std::fprintf(stderr, "%s\n", error.what());
		return 1;
	}
}
