// Property: with a filter a search returns accepted rows only, as near as without one, all of them if asked; whenever
// the filter is set, no block is visited twice.
#include "unit/partly_merged_index.hpp"

#include <gtest/gtest.h>

namespace lm_diskann {
namespace {

constexpr size_t K = 10;

struct FilteredSearch : public testing::Test, public PartlyMergedIndex {
	FilteredSearch() : PartlyMergedIndex(IndexOptions(), 11, 40) {
	}

	//! The nearest of the rows whose id is a multiple of `step`.
	std::set<int64_t> Exact(const float *query, int64_t step) const {
		std::set<int64_t> rows;
		for (const size_t row : ExactNearest(Metric::L2SQ, vectors, DIMS, query, ROWS)) {
			if (int64_t(row) % step == 0 && rows.size() < K) {
				rows.insert(int64_t(row));
			}
		}
		return rows;
	}
};

std::function<bool(RowId)> MultipleOf(int64_t step) {
	return [step](RowId row_id) { return row_id.value % step == 0; };
}

TEST_F(FilteredSearch, FindsTheNearestAcceptedRows) {
	for (const int64_t step : {2, 10, 50}) {
		size_t hits = 0;
		for (size_t i = 0; i < 40; i++) {
			SearchCursor cursor = index->Search(Query(i), K, 20, 4);
			cursor.SetFilter(MultipleOf(step), 20);
			const std::vector<Neighbor> found = cursor.Next(K);
			ASSERT_EQ(found.size(), K);
			const std::set<int64_t> exact = Exact(Query(i), step);
			for (const Neighbor &neighbor : found) {
				EXPECT_EQ(neighbor.row_id.value % step, 0);
				hits += exact.count(neighbor.row_id.value);
			}
		}
		EXPECT_GE(double(hits) / (40 * K), 0.97) << "one row of " << step;
	}
}

TEST_F(FilteredSearch, SetMidwayVisitsNoBlockTwiceAndReturnsEveryAcceptedRowOnce) {
	SearchCursor cursor = index->Search(Query(0), K, 50, 4);
	std::set<int64_t> rows;
	for (const Neighbor &neighbor : cursor.Next(K)) {
		rows.insert(neighbor.row_id.value);
	}
	cursor.SetFilter(MultipleOf(7), 15);
	size_t accepted = 0;
	for (std::vector<Neighbor> found; !(found = cursor.Next(64)).empty();) {
		for (const Neighbor &neighbor : found) {
			EXPECT_EQ(neighbor.row_id.value % 7, 0);
			EXPECT_TRUE(rows.insert(neighbor.row_id.value).second) << neighbor.row_id.value << " came twice";
			accepted++;
		}
	}
	for (int64_t row = 0; row < int64_t(ROWS); row += 7) {
		EXPECT_EQ(rows.count(row), 1U) << row;
	}
	EXPECT_GE(accepted, ROWS / 7 - K);
	EXPECT_EQ(cursor.Progress().visited, IN_GRAPH);
	// Of rows of the delta that are not accepted no distance is computed, if a bound is known.
	EXPECT_GE(cursor.Counters().distances_exact, IN_GRAPH);
	EXPECT_LE(cursor.Counters().distances_exact, ROWS);
}

TEST_F(FilteredSearch, ALongListBeforeTheFilterMakesTheOneAfterItNoLonger) {
	SearchCursor fresh = index->Search(Query(3), K, 20, 4);
	fresh.SetFilter(MultipleOf(50), 20);
	EXPECT_EQ(fresh.Next(K).size(), K);
	SearchCursor midway = index->Search(Query(3), K, 50, 4);
	EXPECT_EQ(midway.Next(40).size(), 40U);
	midway.SetFilter(MultipleOf(50), 20);
	EXPECT_GT(midway.Next(K - 1).size(), 0U);
	// The beams are others, so that the way may be a little longer.
	EXPECT_LE(midway.Progress().visited, fresh.Progress().visited * 11 / 10);
}

TEST_F(FilteredSearch, StopsWhereItIsToldAndGoesOn) {
	SearchCursor cursor = index->Search(Query(1), K, 10, 4);
	cursor.SetFilter(MultipleOf(100), 20);
	EXPECT_FALSE(cursor.Advance(60));
	const size_t visited = cursor.Progress().visited;
	EXPECT_GE(visited, 60U);
	EXPECT_LT(visited, 60U + 4);
	EXPECT_TRUE(cursor.Advance(ROWS));
	EXPECT_GT(cursor.Progress().visited, visited);
	EXPECT_EQ(cursor.Progress().listed, 20U);
	EXPECT_EQ(cursor.Next(K).size(), K);
}

} // namespace
} // namespace lm_diskann
