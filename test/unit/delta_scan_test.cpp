// Property: what a scan of the delta gives within a distance, or as the nearest, is what brute force finds, however
// many of its chunks are rounded, and also when their rows are gone from the delta by then.
#include "index/delta_scan.hpp"

#include "base/error.hpp"
#include "unit/test_vectors.hpp"
#include "vector/distance.hpp"

#include <gtest/gtest.h>

#include <future>

namespace lm_diskann {
namespace {

constexpr uint32_t DIMS = 24;
constexpr size_t CHUNK = Delta::CHUNK_ROWS;
constexpr size_t ROWS = 5 * CHUNK + 100;

std::vector<uint8_t> NoBlobs(const BlobRef &) {
	throw FileError("nothing left RAM");
}

bool IsBefore(const Neighbor &a, const Neighbor &b) {
	return a.distance < b.distance || (a.distance == b.distance && a.row_id < b.row_id);
}

class DeltaScanTest : public testing::TestWithParam<Metric> {
protected:
	DeltaScanTest()
	    : configuration(Configure(IndexOptions(), ElementType::FLOAT32, DIMS)),
	      vectors(MakeClusteredVectors(ROWS, DIMS, 7)), query(MakeClusteredVectors(1, DIMS, 8)),
	      delta(ElementType::FLOAT32, DIMS, NoBlobs) {
		configuration.metric = GetParam();
		for (size_t row = 0; row < ROWS; row++) {
			delta.Put(RowId(int64_t(row)), vectors.data() + row * DIMS);
		}
	}

	DeltaScan Scan() const {
		return DeltaScan(delta, configuration, query.data());
	}
	//! Rounds all full chunks but one.
	void RoundMost() const {
		for (size_t i = 0; i + 1 < ROWS / CHUNK; i++) {
			Scan();
		}
	}
	//! All rows of the delta, nearest first.
	std::vector<Neighbor> Exact() const {
		std::vector<Neighbor> rows;
		delta.ForEach([&](RowId row_id, const uint8_t *vector) {
			const auto *floats = reinterpret_cast<const float *>(vector);
			rows.push_back({Distance(configuration.metric, query.data(), floats, DIMS), row_id});
		});
		std::sort(rows.begin(), rows.end(), IsBefore);
		return rows;
	}
	//! `taken` holds the first rows of `expected`, once each and with their distances; distances of many rows at once
	//! differ in the last bits.
	static void ExpectFirst(std::vector<Neighbor> taken, const std::vector<Neighbor> &expected, size_t count) {
		std::sort(taken.begin(), taken.end(), IsBefore);
		ASSERT_GE(taken.size(), count);
		for (size_t i = 0; i < count; i++) {
			ASSERT_EQ(taken[i].row_id, expected[i].row_id) << i;
			ASSERT_NEAR(taken[i].distance, expected[i].distance, 1e-5 * (1 + std::fabs(expected[i].distance))) << i;
		}
	}

	IndexConfiguration configuration;
	std::vector<float> vectors;
	std::vector<float> query;
	Delta delta;
};

TEST_P(DeltaScanTest, TakesWhatIsWithinADistance) {
	for (size_t row = 0; row < ROWS; row += 7) {
		delta.Erase(RowId(int64_t(row)));
	}
	delta.Put(RowId(5), vectors.data());
	const std::vector<Neighbor> exact = Exact();
	for (size_t scans = 0; scans <= ROWS / CHUNK; scans++) {
		DeltaScan scan = Scan();
		std::vector<Neighbor> taken;
		ASSERT_EQ(scan.LeftCount(), exact.size());
		for (const size_t count : {size_t(1), size_t(10), size_t(50), exact.size() / 2, exact.size()}) {
			// Between two rows, for the last bits of their distances.
			const float limit = count < exact.size() ? (exact[count - 1].distance + exact[count].distance) / 2
			                                         : std::numeric_limits<float>::infinity();
			scan.TakeWithin(limit, taken);
			ExpectFirst(taken, exact, count);
			ASSERT_EQ(scan.LeftCount() + taken.size(), exact.size());
		}
	}
}

TEST_P(DeltaScanTest, ComputesFewDistancesOnceChunksAreRounded) {
	const std::vector<Neighbor> exact = Exact();
	EXPECT_EQ(Scan().EstimatedCount(), CHUNK) << "a scan rounds one chunk";
	RoundMost();
	DeltaScan scan = Scan();
	EXPECT_EQ(scan.EstimatedCount(), ROWS / CHUNK * CHUNK);
	EXPECT_EQ(scan.ExactCount(), ROWS % CHUNK);
	std::vector<Neighbor> taken;
	scan.TakeWithin(exact[9].distance, taken);
	EXPECT_LE(scan.ExactCount() - ROWS % CHUNK, 100U);
}

TEST_P(DeltaScanTest, TakesAllRowsOnceByTheirBounds) {
	RoundMost();
	DeltaScan scan = Scan();
	std::vector<Neighbor> taken;
	while (scan.LeftCount() > 0) {
		const size_t before = taken.size();
		scan.TakeLowest(100, taken);
		ASSERT_EQ(taken.size(), std::min(before + 100, ROWS));
	}
	scan.TakeLowest(1, taken);
	scan.TakeWithin(std::numeric_limits<float>::infinity(), taken);
	ASSERT_EQ(taken.size(), ROWS);
	ExpectFirst(taken, Exact(), ROWS);
}

TEST_P(DeltaScanTest, KeepsRowsThatLeaveTheDelta) {
	RoundMost();
	const std::vector<Neighbor> exact = Exact();
	DeltaScan scan = Scan();
	for (size_t row = 0; row < ROWS; row++) {
		delta.Erase(RowId(int64_t(row)));
	}
	EXPECT_TRUE(scan.Scanned(RowId(0)));
	EXPECT_FALSE(scan.Scanned(RowId(ROWS)));
	std::vector<Neighbor> taken;
	scan.TakeWithin(std::numeric_limits<float>::infinity(), taken);
	ASSERT_EQ(taken.size(), ROWS);
	ExpectFirst(taken, exact, ROWS);
}

TEST_P(DeltaScanTest, DropsRowsThatAreNotAccepted) {
	RoundMost();
	DeltaScan scan = Scan();
	scan.Filter([](RowId row_id) { return row_id.value % 10 == 3; });
	EXPECT_EQ(scan.LeftCount(), ROWS / 10);
	std::vector<Neighbor> taken;
	scan.TakeLowest(20, taken);
	scan.TakeWithin(std::numeric_limits<float>::infinity(), taken);
	EXPECT_EQ(taken.size(), ROWS / 10);
	for (const Neighbor &neighbor : taken) {
		EXPECT_EQ(neighbor.row_id.value % 10, 3);
	}
	DeltaScan dropped = Scan();
	dropped.DropAll();
	taken.clear();
	dropped.TakeWithin(std::numeric_limits<float>::infinity(), taken);
	EXPECT_TRUE(taken.empty());
	EXPECT_EQ(dropped.LeftCount(), 0U);
}

TEST_P(DeltaScanTest, ManyThreadsMayRoundTheSameChunk) {
	const std::vector<Neighbor> exact = Exact();
	std::vector<std::future<std::vector<Neighbor>>> threads;
	for (size_t i = 0; i < 4; i++) {
		threads.push_back(std::async(std::launch::async, [&] {
			std::vector<Neighbor> taken;
			for (size_t scans = 0; scans < 10; scans++) {
				taken.clear();
				Scan().TakeWithin(exact[20].distance, taken);
			}
			return taken;
		}));
	}
	for (auto &thread : threads) {
		ExpectFirst(thread.get(), exact, 20);
	}
}

INSTANTIATE_TEST_SUITE_P(Metrics, DeltaScanTest, testing::ValuesIn({Metric::L2SQ, Metric::COSINE, Metric::IP}));

} // namespace
} // namespace lm_diskann
