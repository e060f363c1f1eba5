// Property: what a fixed run of searches costs, in counters, is what test/baseline/search.json says, within 2 % (SIMD
// targets add in orders of their own), so a search that starts to read more is noticed. Better counters are written by
// LMD_WRITE_BASELINE=PATH build/release/test/core_tests --gtest_filter='Baseline.*'.
#include "unit/index_rows.hpp"
#include "unit/test_vectors.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <numeric>
#include <sstream>
#include <string>

namespace lm_diskann {
namespace {

constexpr uint32_t DIMS = 64;
constexpr size_t ROW_COUNT = 4000, QUERY_COUNT = 100, K = 10;
constexpr uint64_t CACHE_BYTES_SMALL = 1 << 20, CACHE_BYTES_LARGE = 64 << 20;
constexpr double TOLERANCE = 0.02;

using Figures = std::map<std::string, double>;

//! Per query. The cache of CACHE_BYTES_SMALL begins empty and holds about a fifteenth of the blocks.
Figures Measure() {
	const std::vector<float> vectors = MakeClusteredVectors(ROW_COUNT, DIMS, 1);
	const std::vector<float> queries = MakeClusteredVectors(QUERY_COUNT, DIMS, 2);
	Figures figures;
	for (const uint32_t list_size : {10U, 40U, 160U}) {
		const auto cache = std::make_shared<PageCache>(CACHE_BYTES_LARGE);
		std::shared_ptr<AnnIndex> index;
		WithRows(vectors, DIMS, 0, ROW_COUNT, [&](const VectorBatch &rows) {
			index = BuildIndex(Configure(IndexOptions(), ElementType::FLOAT32, DIMS), rows,
			                   std::make_unique<MemoryFile>(), cache);
		});
		cache->Shrink(0);
		cache->SetBudget(CACHE_BYTES_SMALL);
		const std::string prefix = "L" + std::to_string(list_size) + "_";
		for (size_t i = 0; i < QUERY_COUNT; i++) {
			const float *query = queries.data() + i * DIMS;
			SearchCursor cursor = index->Search(query, K, list_size, 4);
			const std::vector<Neighbor> found = cursor.Next(K);
			const std::vector<size_t> exact = ExactNearest(Metric::L2SQ, vectors, DIMS, query, K);
			const SearchCounters counters = cursor.Counters();
			figures[prefix + "hops"] += double(counters.hops) / QUERY_COUNT;
			figures[prefix + "blocks_read"] += double(counters.blocks_read) / QUERY_COUNT;
			figures[prefix + "blocks_visited"] += double(counters.blocks_read + counters.cache_hits) / QUERY_COUNT;
			figures[prefix + "distances_estimated"] += double(counters.distances_estimated) / QUERY_COUNT;
			for (const Neighbor &neighbor : found) {
				const bool is_hit = std::find(exact.begin(), exact.end(), size_t(neighbor.row_id.value)) != exact.end();
				figures[prefix + "recall"] += is_hit ? 1.0 / (K * QUERY_COUNT) : 0;
			}
		}
	}
	return figures;
}

std::string ToJson(const Figures &figures) {
	std::ostringstream text;
	for (const auto &[name, value] : figures) {
		text << (text.tellp() == 0 ? "{\n" : ",\n") << "\t\"" << name << "\": " << value;
	}
	text << "\n}\n";
	return text.str();
}

//! One figure a line.
Figures ReadJson(const std::string &path) {
	Figures figures;
	std::ifstream file(path);
	for (std::string line; std::getline(file, line);) {
		char name[64] = {};
		double value = 0;
		if (std::sscanf(line.c_str(), " \"%63[^\"]\": %lf", name, &value) == 2) {
			figures[name] = value;
		}
	}
	return figures;
}

TEST(Baseline, SearchesCostWhatTheyDid) {
	const Figures figures = Measure();
	if (const char *path = std::getenv("LMD_WRITE_BASELINE")) {
		std::ofstream(path) << ToJson(figures);
	}
	const Figures expected = ReadJson(LMD_TEST_DATA "/../baseline/search.json");
	ASSERT_EQ(expected.size(), figures.size());
	for (const auto &[name, value] : expected) {
		ASSERT_EQ(figures.count(name), 1U) << name;
		EXPECT_NEAR(figures.at(name), value, TOLERANCE * value) << name << "; all figures:\n" << ToJson(figures);
	}
}

} // namespace
} // namespace lm_diskann
