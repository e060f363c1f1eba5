// The adaptive limit of a search: its bound lies between those of half the list and of half more whatever the
// distances are, and never comes nearer with a longer list; a replay tells what a search does; in an index it finds
// what a plain limit finds with fewer blocks, and is not misled by copies of rows or by rows that were deleted.
#include "index/search_replay.hpp"
#include "unit/index_rows.hpp"
#include "unit/test_vectors.hpp"
#include "vector/distance.hpp"

#include <gtest/gtest.h>
#include <limits>
#include <random>

namespace lm_diskann {
namespace {

constexpr uint32_t DIMS = 24, BEAM_WIDTH = 4;
constexpr size_t ROW_COUNT = 4000, QUERY_COUNT = 400, K = 10;

//! Distances as searches meet them, and worse: many equal, zero, negative (rounding), infinite.
std::vector<float> MakeDistances(std::mt19937_64 &random) {
	std::vector<float> distances;
	const size_t count = random() % 400;
	const float scale = random() % 3 == 0 ? 0 : 1;
	for (size_t i = 0; i < count; i++) {
		const uint64_t kind = random() % 20;
		const float usual = scale * float(random() % 1000) - 0.001F;
		distances.push_back(kind == 0 ? 0 : kind == 1 ? std::numeric_limits<float>::infinity() : usual);
	}
	return distances;
}

float BoundOf(const SearchLimit &limit, const std::vector<float> &distances) {
	SearchBound bound;
	bound.Reset(limit);
	for (const float distance : distances) {
		bound.Offer(distance);
	}
	return bound.Value();
}

TEST(SearchLimit, TheBoundLiesBetweenThoseOfHalfTheListAndHalfMore) {
	for (uint64_t seed = 1; seed <= 300; seed++) {
		SCOPED_TRACE("seed " + std::to_string(seed));
		std::mt19937_64 random(seed);
		const std::vector<float> distances = MakeDistances(random);
		const size_t k = 1 + random() % 60;
		const float dimension = 0.5F + float(random() % 100);
		float former = -std::numeric_limits<float>::infinity();
		for (const uint32_t list_size : {2, 10, 12, 20, 50, 100, 150, 300}) {
			const SearchLimit limit = SearchLimit::For(list_size, k, dimension);
			const float bound = BoundOf(limit, distances);
			EXPECT_GE(bound, BoundOf({(list_size + 1) / 2}, distances));
			EXPECT_LE(bound, BoundOf({list_size + list_size / 2}, distances));
			EXPECT_GE(bound, former) << "a longer list must not end sooner";
			former = bound;
		}
	}
}

TEST(SearchLimit, IsPlainWithoutADimensionAndForLongResults) {
	EXPECT_EQ(SearchLimit::For(100, 10, 0).rank, 0U);
	EXPECT_EQ(SearchLimit::For(100, 100, 20).rank, 0U);
	EXPECT_EQ(SearchLimit::For(8, 1, 20).rank, 0U);
	EXPECT_EQ(SearchLimit::For(100, 1, 20).rank, 10U) << "the nearest row alone says little";
	const SearchLimit limit = SearchLimit::For(160, 10, 4);
	EXPECT_EQ(limit.rank, 10U);
	EXPECT_FLOAT_EQ(limit.growth, 4) << "16 times the rows in a ball of 4 dimensions";
}

TEST(SearchReplay, StopsWhereTheLimitIsReached) {
	RecordedSearch search;
	search.list_size = 40;
	search.answer_count = 2;
	for (size_t i = 0; i < 40; i++) {
		search.steps.push_back({float(i), float(i) + 0.5F, i == 4 || i == 15});
	}
	SearchReplay replay;
	replay.Add(search);
	// The 12 nearest are at 0.5 to 11.5, the thirteenth step was taken for 12.
	EXPECT_EQ(replay.Measure(12, 0).blocks, 12);
	EXPECT_EQ(replay.Measure(12, 0).recall, 0.5F);
	EXPECT_EQ(replay.Measure(20, 0).recall, 1);
	EXPECT_EQ(replay.Measure(50, 0).blocks, 50) << "10 beyond the record";
	// Growth 2 from the tenth, at 9.5: until 19.
	EXPECT_EQ(replay.Measure(20, 2).blocks, 19);
	// A factor beyond all distances: what ends it are the 10, the 8 places beyond them, and half of 8 more.
	EXPECT_EQ(replay.Measure(18, 0.5F).blocks, 22);
}

struct Built {
	explicit Built(std::vector<float> vectors_p, Metric metric = Metric::L2SQ)
	    : vectors(std::move(vectors_p)), count(vectors.size() / DIMS) {
		IndexOptions options;
		options.metric = metric;
		options.max_degree = 8;
		index = BuildIndex(Configure(options, ElementType::FLOAT32, DIMS), vectors);
		EXPECT_TRUE(index->Calibrate(Never));
	}

	//! Those of the rows that are not `is_deleted`.
	size_t CountFound(const float *query, const std::vector<Neighbor> &found,
	                  const std::vector<bool> &is_deleted) const {
		std::vector<float> exact;
		for (size_t i = 0; i < count; i++) {
			if (!is_deleted[i]) {
				exact.push_back(Distance(Metric::L2SQ, query, vectors.data() + i * DIMS, DIMS));
			}
		}
		std::nth_element(exact.begin(), exact.begin() + K - 1, exact.end());
		return size_t(std::count_if(found.begin(), found.end(), [&](const Neighbor &neighbor) {
			return neighbor.distance <= exact[K - 1] && !is_deleted[size_t(neighbor.row_id.value)];
		}));
	}

	std::vector<float> vectors;
	size_t count;
	std::shared_ptr<AnnIndex> index;
};

//! Found answers and expanded nodes of all queries. A search that does not say how many rows it wants is a plain one.
struct Totals {
	size_t found = 0;
	size_t hops = 0;
};
Totals Search(const Built &built, const std::vector<float> &queries, uint32_t list_size, bool is_adaptive) {
	Totals totals;
	for (size_t q = 0; q < queries.size() / DIMS; q++) {
		const float *query = queries.data() + q * DIMS;
		SearchCursor cursor = built.index->Search(query, is_adaptive ? K : 0, list_size, BEAM_WIDTH);
		totals.found += built.CountFound(query, cursor.Next(K), std::vector<bool>(built.count));
		totals.hops += cursor.Counters().hops;
	}
	return totals;
}

std::vector<float> TakeQueries(std::vector<float> &vectors) {
	std::vector<float> queries(vectors.end() - QUERY_COUNT * DIMS, vectors.end());
	vectors.resize(vectors.size() - queries.size());
	return queries;
}

//! Clusters that are wide in 3 dimensions, or in all: rows of the first kind stand out, of the others many are alike.
std::vector<float> MakeMixedVectors(size_t count) {
	constexpr size_t CLUSTER_COUNT = 20, NARROW = 3;
	std::mt19937_64 random(5);
	std::normal_distribution<float> normal;
	std::vector<float> centers(CLUSTER_COUNT * DIMS);
	for (float &value : centers) {
		value = 0.6F * normal(random);
	}
	std::vector<float> vectors(count * DIMS);
	for (size_t i = 0; i < count; i++) {
		const size_t cluster = random() % CLUSTER_COUNT;
		for (size_t j = 0; j < DIMS; j++) {
			const bool is_wide = cluster % 2 == 0 || (j + cluster) % DIMS < NARROW;
			vectors[i * DIMS + j] = centers[cluster * DIMS + j] + normal(random) * (is_wide ? 0.5F : 0.05F);
		}
	}
	return vectors;
}

TEST(SearchLimit, FindsAsMuchWithFewerBlocks) {
	std::vector<float> vectors = MakeMixedVectors(ROW_COUNT + QUERY_COUNT);
	const std::vector<float> queries = TakeQueries(vectors);
	const Built built(std::move(vectors));
	ASSERT_GT(built.index->GetCalibration().dimension, 0);
	const Totals adaptive = Search(built, queries, 32, true);
	for (uint32_t list_size = 32;; list_size += 2) {
		const Totals plain = Search(built, queries, list_size, false);
		if (plain.found >= adaptive.found) {
			EXPECT_LT(double(adaptive.hops), 0.9 * double(plain.hops)) << "list size " << list_size;
			break;
		}
		ASSERT_LT(list_size, 200U);
	}
}

TEST(SearchLimit, WhereAllQueriesAreAlikeTheListDecides) {
	const Built built(MakeClusteredVectors(ROW_COUNT, DIMS, 12, 1));
	EXPECT_EQ(built.index->GetCalibration().dimension, 0);
}

TEST(SearchLimit, CopiesOfRowsAreFoundAndSoIsWhatIsBehindThem) {
	// Nine copies of each row: the tenth nearest is another row.
	std::vector<float> vectors = MakeMixedVectors(500);
	std::vector<float> copies;
	for (size_t i = 0; i < 500; i++) {
		for (size_t copy = 0; copy < 9; copy++) {
			copies.insert(copies.end(), vectors.begin() + ptrdiff_t(i * DIMS),
			              vectors.begin() + ptrdiff_t((i + 1) * DIMS));
		}
	}
	const Built built(std::move(copies));
	EXPECT_GT(built.index->GetCalibration().dimension, 0);
	vectors.resize(QUERY_COUNT * DIMS);
	const Totals plain = Search(built, vectors, 40, false), adaptive = Search(built, vectors, 40, true);
	EXPECT_GE(adaptive.found, plain.found * 98 / 100);
}

TEST(SearchLimit, WhatWasDeletedHidesNoRowBehindIt) {
	constexpr uint32_t LIST_SIZE = 40;
	std::vector<float> vectors = MakeMixedVectors(ROW_COUNT + QUERY_COUNT);
	const std::vector<float> queries = TakeQueries(vectors);
	const Built built(std::move(vectors));
	ASSERT_GT(built.index->GetCalibration().dimension, 0);
	std::vector<bool> is_deleted(built.count);
	std::vector<RowId> deleted;
	size_t found = 0, found_plain = 0;
	for (size_t q = 0; q < QUERY_COUNT; q++) {
		const float *query = queries.data() + q * DIMS;
		// Every other row near the query.
		const std::vector<size_t> nearest = ExactNearest(Metric::L2SQ, built.vectors, DIMS, query, 32);
		for (size_t i = 0; i < nearest.size(); i++) {
			if (i % 2 == 0 && !is_deleted[nearest[i]]) {
				is_deleted[nearest[i]] = true;
				deleted.push_back(RowId(int64_t(nearest[i])));
			}
		}
	}
	built.index->Delete(Span<const RowId>(deleted.data(), deleted.size()));
	for (size_t q = 0; q < QUERY_COUNT; q++) {
		const float *query = queries.data() + q * DIMS;
		found += built.CountFound(query, built.index->Search(query, K, LIST_SIZE, BEAM_WIDTH).Next(K), is_deleted);
		found_plain +=
		    built.CountFound(query, built.index->Search(query, 0, LIST_SIZE, BEAM_WIDTH).Next(K), is_deleted);
	}
	EXPECT_GE(found, found_plain * 98 / 100);
	EXPECT_GE(found, QUERY_COUNT * K * 9 / 10);
}

TEST(SearchLimit, ProductsAreSearchedWithThePlainOne) {
	const Built built(MakeClusteredVectors(1000, DIMS, 5), Metric::IP);
	EXPECT_FALSE(built.index->GetCalibration().IsEmpty());
	EXPECT_EQ(built.index->GetCalibration().dimension, 0);
}

} // namespace
} // namespace lm_diskann
