// What changes of any size write: blocks of the graph and bytes of the file, for a row.
//
//   write_cost_bench BUILT DIMS INSERTS DELETES [--data FILE] [--folder FOLDER]
//
// INSERTS and DELETES: numbers of rows, with commas. An index of BUILT rows is built. Then each number of rows is
// appended, published, merged and published again; then each is deleted, published, compacted and
// published again. Rows are made (made_vectors.hpp), or the first of a file of float32. What is counted does not depend
// on the machine or on what else it does.
#include "bench_rows.hpp"

#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace lm_diskann {

namespace {

constexpr size_t APPEND_ROWS = 2048, DELETE_STRIDE = 7919;

bool Never() {
	return false;
}

struct Arguments {
	size_t built = 0, dims = 0;
	std::vector<size_t> inserts, deletes;
	std::string data, folder = "/tmp";
};

class Subject {
public:
	Subject(const Arguments &arguments, const BenchRows &rows_p) : rows(rows_p), row_count(arguments.built) {
		IndexBuilder builder(Configure(IndexOptions(), ElementType::FLOAT32, uint32_t(rows.dims)));
		rows.ForEachBatch(0, row_count, APPEND_ROWS, [&](const VectorBatch &batch) { builder.Add(batch); });
		builder.Start(std::make_unique<CountedFile>(arguments.folder + "/write_cost_bench.lmdsk", bytes_written),
		              Uuid());
		RunPhases(builder, 1);
		index = builder.Finish(std::make_shared<PageCache>(uint64_t(1) << 30));
		Publish();
		std::printf("build: %.0f bytes a row\n", double(bytes_written) / double(row_count));
	}

	void Insert(size_t count) {
		rows.ForEachBatch(row_count, count, APPEND_ROWS, [&](const VectorBatch &batch) { index->Append(batch); });
		row_count += count;
		Report("insert", count, [&] {
			while (index->Merge(index->MergeBatchRows(), Never)) {
			}
		});
	}
	//! Rows all over the index, none of them twice.
	void Delete(size_t count) {
		for (size_t i = 0; i < count; i++) {
			const RowId row_id(int64_t(deleted_count++ * DELETE_STRIDE % row_count));
			index->Delete(Span<const RowId>(&row_id, 1));
		}
		Report("delete", count, [&] {
			while (index->Compact(Never)) {
			}
		});
	}

private:
	uint64_t Publish() {
		const uint64_t before = bytes_written;
		index->Confirm(index->Publish().generation);
		return bytes_written - before;
	}
	template <class FUNCTION>
	void Report(const char *name, size_t count, FUNCTION &&take_over) {
		const uint64_t unmerged = Publish();
		const uint64_t bytes_before = bytes_written;
		const uint64_t blocks_before = index->Counters().blocks_written;
		take_over();
		const uint64_t blocks = index->Counters().blocks_written - blocks_before;
		Publish();
		const uint64_t merged = bytes_written - bytes_before;
		std::printf("%s of %zu: published %.3f MB (%.0f bytes a row); taken over %.2f blocks a row, %.3f MB (%.0f "
		            "bytes a row)\n",
		            name, count, double(unmerged) / 1e6, double(unmerged) / double(count),
		            double(blocks) / double(count), double(merged) / 1e6, double(merged) / double(count));
		std::fflush(stdout);
	}

	const BenchRows &rows;
	size_t row_count;
	size_t deleted_count = 0;
	std::atomic<uint64_t> bytes_written {0};
	std::shared_ptr<AnnIndex> index;
};

std::vector<size_t> ParseCounts(const std::string &text) {
	std::vector<size_t> counts;
	std::istringstream stream(text);
	for (std::string word; std::getline(stream, word, ',');) {
		if (const size_t count = std::strtoull(word.c_str(), nullptr, 10)) {
			counts.push_back(count);
		}
	}
	return counts;
}

Arguments Parse(int argc, char **argv) {
	if (argc < 5) {
		throw std::runtime_error("usage: write_cost_bench BUILT DIMS INSERTS DELETES [--data FILE] [--folder FOLDER]");
	}
	Arguments arguments;
	arguments.built = std::strtoull(argv[1], nullptr, 10);
	arguments.dims = std::strtoull(argv[2], nullptr, 10);
	arguments.inserts = ParseCounts(argv[3]);
	arguments.deletes = ParseCounts(argv[4]);
	for (int i = 5; i + 1 < argc; i += 2) {
		const std::string name = argv[i];
		(name == "--data" ? arguments.data : arguments.folder) = argv[i + 1];
	}
	return arguments;
}

void Run(const Arguments &arguments) {
	size_t count = arguments.built;
	for (const size_t inserted : arguments.inserts) {
		count += inserted;
	}
	const BenchRows rows(Metric::L2SQ, count, arguments.dims, arguments.data, "");
	if (rows.count != count) {
		throw std::runtime_error("the file holds only " + std::to_string(rows.count) + " rows");
	}
	Subject subject(arguments, rows);
	for (const size_t inserted : arguments.inserts) {
		subject.Insert(inserted);
	}
	for (const size_t deleted : arguments.deletes) {
		subject.Delete(deleted);
	}
}

} // namespace
} // namespace lm_diskann

int main(int argc, char **argv) {
	try {
		lm_diskann::Run(lm_diskann::Parse(argc, argv));
	} catch (const std::exception &error) {
		std::fprintf(stderr, "%s\n", error.what());
		return 1;
	}
	return 0;
}
