// Property: a search within a radius returns rows within it only, none twice, nearly all there are, in the graph and in
// the delta, whatever the radius; given up in steps it comes to the same rows.
#include "unit/partly_merged_index.hpp"

#include <gtest/gtest.h>

namespace lm_diskann {
namespace {

constexpr size_t QUERIES = 20;
constexpr size_t ALL = SIZE_MAX;

IndexOptions WithMetric(Metric metric) {
	IndexOptions options;
	options.metric = metric;
	return options;
}

struct RangeSearch : public testing::TestWithParam<Metric>, public PartlyMergedIndex {
	RangeSearch() : PartlyMergedIndex(WithMetric(GetParam()), 21, QUERIES) {
	}

	float DistanceOf(size_t query, size_t row) const {
		return float(ReferenceDistance(GetParam(), Query(query), vectors.data() + row * DIMS, DIMS));
	}
	//! Halfway between the n-th nearest row and the next: no rounding decides what is within.
	float RadiusOf(size_t query, size_t row_count) const {
		const auto nearest = ExactNearest(GetParam(), vectors, DIMS, Query(query), row_count + 1);
		return (DistanceOf(query, nearest[row_count - 1]) + DistanceOf(query, nearest[row_count])) / 2;
	}
	//! All steps of a search; fails for a row that is found twice.
	std::set<int64_t> Find(size_t query, float radius, size_t step) {
		auto cursor = index->Search(Query(query), 1, 100, 4);
		std::set<int64_t> rows;
		bool is_complete = false;
		for (size_t visit_max = step; !is_complete; visit_max += step) {
			for (const auto &neighbor : cursor.NextWithin(radius, visit_max, is_complete)) {
				EXPECT_TRUE(rows.insert(neighbor.row_id.value).second) << "row " << neighbor.row_id.value << " twice";
				EXPECT_LE(neighbor.distance, radius);
			}
			if (step == ALL) {
				EXPECT_TRUE(is_complete);
				break;
			}
		}
		visits = cursor.Progress().visited;
		return rows;
	}

	size_t visits = 0;
};

TEST_P(RangeSearch, FindsNearlyAllRowsWithinAndNoOther) {
	for (const size_t row_count : {1, 10, 150, 1500}) {
		size_t found = 0;
		for (size_t query = 0; query < QUERIES; query++) {
			const float radius = RadiusOf(query, row_count);
			const auto rows = Find(query, radius, ALL);
			found += rows.size();
			for (const int64_t row : rows) {
				EXPECT_LT(DistanceOf(query, size_t(row)), radius * (1 + 1e-5F * (radius < 0 ? -1.0F : 1.0F)));
			}
		}
		EXPECT_GE(double(found), 0.98 * double(row_count * QUERIES)) << row_count << " rows within";
	}
}

TEST_P(RangeSearch, VisitsLittleMoreThanItFinds) {
	for (size_t query = 0; query < QUERIES; query++) {
		Find(query, RadiusOf(query, 10), ALL);
		EXPECT_LT(visits, 400U);
	}
}

TEST_P(RangeSearch, StepsComeToTheSameRows) {
	for (size_t query = 0; query < QUERIES; query++) {
		const float radius = RadiusOf(query, 200);
		EXPECT_EQ(Find(query, radius, 16), Find(query, radius, ALL));
	}
}

TEST_P(RangeSearch, LeavesDeletedRowsOut) {
	std::vector<RowId> deleted;
	for (size_t row = 0; row < ROWS; row += 2) {
		deleted.push_back(RowId(int64_t(row)));
	}
	index->Delete(deleted);
	for (size_t query = 0; query < QUERIES; query++) {
		for (const int64_t row : Find(query, RadiusOf(query, 100), ALL)) {
			EXPECT_EQ(row % 2, 1);
		}
	}
}

INSTANTIATE_TEST_SUITE_P(Metrics, RangeSearch, testing::Values(Metric::L2SQ, Metric::COSINE, Metric::IP));

} // namespace
} // namespace lm_diskann
