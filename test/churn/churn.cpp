// churn PATTERN METRIC DIMS ROWS ROUNDS LIST_SIZES [FILE]: an index whose rows are replaced again and again stays as
// good and as small as one built anew.
//
// PATTERN: window, duplicates or clusters (churn_rows.hpp). LIST_SIZES: one or several, as 16,24,40. FILE:
// little-endian floats, DIMS each, the last 1,000 vectors for queries; without it clustered random vectors. After every
// round the rows are merged, compacted and the file is shrunk, as PRAGMA lm_diskann_compact does. Four times the index
// is held against one built of the same rows: recall@10 may be a point lower at any size, the file 1.3 times as large,
// and a compact may write 1.5 times the blocks for a deleted row that it wrote at first. Exits with 1 when it is worse.
#include "churn/churn_rows.hpp"
#include "unit/index_rows.hpp"
#include "unit/test_vectors.hpp"

#include "base/error.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <exception>

namespace lm_diskann {
namespace {

constexpr size_t K = 10, QUERY_COUNT = 1000, APPEND_ROWS = 2048;
constexpr double RECALL_LOSS_MAX = 0.01, FILE_GROWTH_MAX = 1.3, COMPACT_GROWTH_MAX = 1.5;

//! Of the processor, which other processes do not change much.
double Seconds() {
	return double(std::clock()) / CLOCKS_PER_SEC;
}

struct Arguments {
	ChurnPattern pattern = ChurnPattern::WINDOW;
	IndexOptions options;
	uint32_t dims = 0;
	size_t row_count = 0;
	size_t round_count = 0;
	std::vector<uint32_t> list_sizes;
	std::vector<float> vectors;
};

std::vector<float> ReadFloats(const char *path) {
	std::FILE *file = std::fopen(path, "rb");
	if (!file) {
		throw UsageError(std::string("file \"") + path + "\" cannot be read");
	}
	std::vector<float> values;
	std::vector<float> part(1 << 16);
	for (size_t count = 0; (count = std::fread(part.data(), sizeof(float), part.size(), file)) > 0;) {
		values.insert(values.end(), part.begin(), part.begin() + ptrdiff_t(count));
	}
	std::fclose(file);
	return values;
}

Arguments Parse(int count, char **words) {
	static constexpr const char *PATTERNS[] = {"window", "duplicates", "clusters"};
	if (count < 7 || count > 8) {
		throw UsageError("usage: churn PATTERN METRIC DIMS ROWS ROUNDS LIST_SIZES [FILE]");
	}
	Arguments arguments;
	for (size_t i = 0; i < std::size(PATTERNS); i++) {
		arguments.pattern = std::strcmp(words[1], PATTERNS[i]) == 0 ? ChurnPattern(i) : arguments.pattern;
	}
	arguments.options = ParseOptions({{"metric", words[2]}});
	arguments.dims = uint32_t(std::strtoul(words[3], nullptr, 10));
	arguments.row_count = std::strtoul(words[4], nullptr, 10);
	arguments.round_count = std::strtoul(words[5], nullptr, 10);
	for (const char *word = words[6]; *word != 0;) {
		char *end = nullptr;
		arguments.list_sizes.push_back(uint32_t(std::strtoul(word, &end, 10)));
		if (end == word || (*end != ',' && *end != 0)) {
			throw UsageError(std::string("list sizes must be numbers as in 16,24,40, found \"") + words[6] + "\"");
		}
		word = *end == ',' ? end + 1 : end;
	}
	arguments.vectors = count == 8 ? ReadFloats(words[7])
	                               : MakeClusteredVectors(arguments.row_count * 2 + QUERY_COUNT, arguments.dims, 3, 60);
	return arguments;
}

struct Built {
	std::shared_ptr<AnnIndex> index;
	double seconds = 0;
};

Built Build(const Arguments &arguments, const ChurnRows &rows) {
	const double start = Seconds();
	IndexBuilder builder(Configure(arguments.options, ElementType::FLOAT32, arguments.dims));
	rows.ForEachBatch(rows.All(), APPEND_ROWS, [&](const VectorBatch &batch) { builder.Add(batch); });
	builder.Start(std::make_unique<MemoryFile>(), Uuid {1});
	while (builder.Work() != WorkState::FINISHED) {
	}
	Built built;
	built.index = builder.Finish(std::make_shared<PageCache>(uint64_t(1) << 30));
	built.index->Confirm(built.index->Publish().generation);
	built.seconds = Seconds() - start;
	return built;
}

//! Seconds and written blocks of all rounds so far.
struct Effort {
	double merge_seconds = 0, compact_seconds = 0;
	uint64_t inserted = 0, deleted = 0, merge_blocks = 0, compact_blocks = 0, shrink_blocks = 0;

	//! Blocks that a compact wrote for a deleted row since `before`.
	double CompactBlocksSince(const Effort &before) const {
		return double(compact_blocks - before.compact_blocks) / double(deleted - before.deleted);
	}
};

void Change(AnnIndex &index, ChurnRows &rows, Effort &effort) {
	const ChurnRows::Round round = rows.Next();
	const auto &written = index.Counters().blocks_written;
	index.Delete(Span<const RowId>(round.deleted.data(), round.deleted.size()));
	rows.ForEachBatch(round.inserted, APPEND_ROWS, [&](const VectorBatch &batch) { index.Append(batch); });
	const double start = Seconds();
	const uint64_t before = written;
	while (index.Merge(index.MergeBatchRows(), Never)) {
	}
	const double merged = Seconds();
	const uint64_t after_merge = written;
	while (index.Compact(Never)) {
	}
	const uint64_t after_compact = written;
	effort.compact_seconds += Seconds() - merged;
	index.Confirm(index.Publish().generation);
	for (int round = 0; round < 2; round++) {
		while (index.Shrink(Never)) {
		}
		index.Confirm(index.Publish().generation);
	}
	index.Scrub();
	effort.merge_seconds += merged - start;
	effort.inserted += round.inserted.size();
	effort.deleted += round.deleted.size();
	effort.merge_blocks += after_merge - before;
	effort.compact_blocks += after_compact - after_merge;
	effort.shrink_blocks += written - after_compact;
}

bool Compare(const Arguments &arguments, size_t round, AnnIndex &index, const ChurnRows &rows, const Effort &effort) {
	const Built fresh = Build(arguments, rows);
	const std::vector<double> recall = rows.Recall(index, K, arguments.list_sizes);
	const std::vector<double> fresh_recall = rows.Recall(*fresh.index, K, arguments.list_sizes);
	const double growth = double(index.Summary().file_size_bytes) / double(fresh.index->Summary().file_size_bytes);
	bool is_good = growth <= FILE_GROWTH_MAX;
	std::printf("round %zu: %zu rows, recall@%zu", round, rows.Count(), K);
	for (size_t i = 0; i < recall.size(); i++) {
		std::printf(" %.4f (fresh %.4f) at L %u,", recall[i], fresh_recall[i], unsigned(arguments.list_sizes[i]));
		is_good = is_good && recall[i] >= fresh_recall[i] - RECALL_LOSS_MAX;
	}
	std::printf(" file %.2f x fresh; merge %.0f rows/s (build %.0f), blocks written: %.2f an insert, %.2f a delete, "
	            "%.2f moved a row; compact %.1f s\n",
	            growth, double(effort.inserted) / effort.merge_seconds, double(rows.Count()) / fresh.seconds,
	            double(effort.merge_blocks) / double(effort.inserted),
	            double(effort.compact_blocks) / double(effort.deleted),
	            double(effort.shrink_blocks) / double(effort.inserted), effort.compact_seconds);
	std::fflush(stdout);
	return is_good;
}

int Run(Arguments arguments) {
	ChurnRows rows(arguments.pattern, arguments.options.metric, std::move(arguments.vectors), arguments.dims,
	               QUERY_COUNT, arguments.row_count);
	const std::shared_ptr<AnnIndex> index = Build(arguments, rows).index;
	Effort effort, effort_before;
	double first_compact_blocks = 0;
	bool is_good = true;
	const size_t part = std::max<size_t>(1, arguments.round_count / 4);
	for (size_t round = 1; round <= arguments.round_count; round++) {
		Change(*index, rows, effort);
		if (round % part == 0) {
			is_good = Compare(arguments, round, *index, rows, effort) && is_good;
			const double compact_blocks = effort.CompactBlocksSince(effort_before);
			effort_before = effort;
			first_compact_blocks = round == part ? compact_blocks : first_compact_blocks;
			if (compact_blocks > COMPACT_GROWTH_MAX * first_compact_blocks) {
				std::printf("violation: a compact writes %.1f blocks for a deleted row, %.1f at first\n",
				            compact_blocks, first_compact_blocks);
				return 1;
			}
		}
	}
	for (const std::string &problem : FindProblems(*index)) {
		std::printf("violation: %s\n", problem.c_str());
		is_good = false;
	}
	if (RowIdsOf(*index) != rows.All()) {
		std::printf("violation: the index holds other rows than were left\n");
		is_good = false;
	}
	return is_good ? 0 : 1;
}

} // namespace
} // namespace lm_diskann

int main(int argument_count, char **arguments) {
	try {
		return lm_diskann::Run(lm_diskann::Parse(argument_count, arguments));
	} catch (const std::exception &error) {
		std::fprintf(stderr, "%s\n", error.what());
		return 2;
	}
}
