// A calibration tells what searches of the index find and cost: its recall is that of held-out queries against brute
// force, within the error it names and some chance; it is the same on every run, survives publish and open, and turns a
// target into a list size that reaches it.
#include "base/error.hpp"
#include "fuzz/index_image.hpp"
#include "index/index_state.hpp"
#include "unit/index_rows.hpp"
#include "unit/test_vectors.hpp"
#include "vector/distance.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <gmock/gmock.h>

namespace lm_diskann {
namespace {

using testing::HasSubstr;

constexpr uint32_t DIMS = 24;
constexpr size_t ROW_COUNT = 4000, QUERY_COUNT = 100, K = CALIBRATION_K;

struct Built {
	explicit Built(size_t row_count = ROW_COUNT)
	    : vectors(MakeClusteredVectors(row_count + QUERY_COUNT, DIMS, 11)), count(row_count) {
		IndexOptions options;
		options.max_degree = 8;
		configuration = Configure(options, ElementType::FLOAT32, DIMS);
		WithRows(vectors, DIMS, 0, count, [&](const VectorBatch &rows) { index = BuildIndex(configuration, rows); });
	}

	//! Mean recall@k of the queries that are not rows.
	double Recall(uint32_t list_size, size_t k) const {
		size_t found = 0;
		for (size_t q = 0; q < QUERY_COUNT; q++) {
			const float *query = vectors.data() + (count + q) * DIMS;
			std::vector<float> exact;
			for (size_t i = 0; i < count; i++) {
				exact.push_back(Distance(Metric::L2SQ, query, vectors.data() + i * DIMS, DIMS));
			}
			std::nth_element(exact.begin(), exact.begin() + ptrdiff_t(k - 1), exact.end());
			for (const Neighbor &neighbor : index->Search(query, k, list_size, 4).Next(k)) {
				found += neighbor.distance <= exact[k - 1] ? 1 : 0;
			}
		}
		return double(found) / double(QUERY_COUNT * k);
	}

	std::vector<float> vectors;
	size_t count;
	IndexConfiguration configuration;
	std::shared_ptr<AnnIndex> index;
};

TEST(Calibration, ForeseesTheRecallOfQueriesThatAreNotRows) {
	Built built;
	ASSERT_TRUE(built.index->Calibrate(Never));
	const Calibration calibration = built.index->GetCalibration();
	EXPECT_EQ(calibration.sample_count, ROW_COUNT / 50);
	ASSERT_GE(calibration.points.size(), 3U);
	EXPECT_LT(calibration.points.front().recall, 0.97F);
	EXPECT_GT(calibration.points.back().recall, 0.99F);
	for (const CalibrationPoint &point : calibration.points) {
		EXPECT_NEAR(point.recall, built.Recall(point.list_size, K), 0.06) << "list size " << point.list_size;
		EXPECT_GE(point.blocks, K);
	}
}

TEST(Calibration, ATargetIsReachedForSmallAndLargeK) {
	Built built;
	ASSERT_TRUE(built.index->Calibrate(Never));
	const Calibration calibration = built.index->GetCalibration();
	uint32_t former = 0;
	for (const double target : {0.8, 0.9, 0.95, 0.99}) {
		const uint32_t list_size = *calibration.ListSizeFor(target, K);
		EXPECT_GE(list_size, former);
		former = list_size;
		for (const size_t k : {1, 10, 100}) {
			EXPECT_GE(built.Recall(*calibration.ListSizeFor(target, k), k), target - 0.02) << target << " k " << k;
		}
	}
}

TEST(Calibration, IsTheSameOnEveryRunAndChangesNoCounter) {
	Built one, other;
	one.index->Calibrate(Never);
	other.index->Calibrate(Never);
	EXPECT_EQ(one.index->GetCalibration().Serialize(), other.index->GetCalibration().Serialize());
	EXPECT_EQ(one.index->Counters().queries, 0U);
}

TEST(Calibration, LeavesOutFewRowsAndStopsWhenAsked) {
	Built small(150);
	EXPECT_TRUE(small.index->Calibrate(Never));
	EXPECT_TRUE(small.index->GetCalibration().IsEmpty());
	EXPECT_FALSE(small.index->GetCalibration().ListSizeFor(0.9, K).has_value());
	Built built;
	EXPECT_FALSE(built.index->Calibrate([] { return true; }));
	EXPECT_TRUE(built.index->GetCalibration().IsEmpty());
}

TEST(Calibration, DeletedRowsAreNeitherSampledNorFound) {
	Built built;
	std::vector<RowId> deleted;
	for (int64_t i = 0; i < int64_t(ROW_COUNT); i += 2) {
		deleted.push_back(RowId(i));
	}
	built.index->Delete(Span<const RowId>(deleted.data(), deleted.size()));
	ASSERT_TRUE(built.index->Calibrate(Never));
	EXPECT_GT(built.index->GetCalibration().points.back().recall, 0.99F);
}

TEST(Calibration, SurvivesPublishAndOpenAndIsVerified) {
	const fuzz::IndexImage &image = fuzz::Images()[0];
	const auto first = fuzz::OpenImage(image);
	EXPECT_TRUE(first->GetCalibration().IsEmpty());
	Built built;
	built.index->Calibrate(Never);
	const std::vector<uint8_t> bytes = built.index->GetCalibration().Serialize();
	built.index->Publish();
	EXPECT_EQ(FindProblems(*built.index), std::vector<std::string>());
	EXPECT_EQ(Calibration::Deserialize(ConstByteSpan(bytes.data(), bytes.size())).Serialize(), bytes);
}

TEST(Calibration, AWrongByteFormIsRefused) {
	const auto message_of = [](const std::vector<uint8_t> &bytes) -> std::string {
		try {
			Calibration::Deserialize(ConstByteSpan(bytes.data(), bytes.size()));
		} catch (const CorruptionError &error) {
			return error.what();
		}
		return "";
	};
	Calibration calibration;
	calibration.sample_count = 9;
	calibration.dimension = 12.5F;
	calibration.points = {{10, 0.5F, 0.1F, 12}, {20, 0.75F, 0.1F, 22}};
	const std::vector<uint8_t> sound = calibration.Serialize();
	EXPECT_EQ(message_of(sound), "");
	EXPECT_THAT(message_of({1, 2, 3}), HasSubstr("the calibration has 3 bytes"));
	std::vector<uint8_t> shorter(sound.begin(), sound.end() - 4);
	EXPECT_THAT(message_of(shorter), HasSubstr("a calibration of 2 points has 48 bytes"));
	for (const size_t offset : {0, 4, 8, 12}) {
		std::vector<uint8_t> wrong = sound;
		wrong[offset + 3] = 0xFF;
		EXPECT_THAT(message_of(wrong), HasSubstr("the head of the calibration holds version")) << offset;
	}
	for (const float dimension : {-1.0F, 1e30F, NAN}) {
		Calibration wrong = calibration;
		wrong.dimension = dimension;
		EXPECT_THAT(message_of(wrong.Serialize()), HasSubstr("dimension in the calibration must be from 0 to 65536"));
	}
	for (const float recall : {-1.0F, 0.4F, 1.5F, NAN}) {
		Calibration wrong = calibration;
		wrong.points[1].recall = recall;
		EXPECT_THAT(message_of(wrong.Serialize()), HasSubstr("point of list size 20 is not one")) << recall;
	}
}

TEST(Calibration, TheFormOfVersion1HasNoDimension) {
	Calibration calibration;
	calibration.sample_count = 9;
	calibration.dimension = 12.5F;
	calibration.points = {{10, 0.5F, 0.1F, 12}, {20, 0.75F, 0.1F, 22}};
	std::vector<uint8_t> bytes = calibration.Serialize();
	EXPECT_EQ(Calibration::Deserialize(ConstByteSpan(bytes.data(), bytes.size())).dimension, 12.5F);
	bytes[0] = 1;
	bytes.erase(bytes.begin() + 16, bytes.begin() + 20);
	const Calibration former = Calibration::Deserialize(ConstByteSpan(bytes.data(), bytes.size()));
	EXPECT_EQ(former.dimension, 0);
	ASSERT_EQ(former.points.size(), 2U);
	EXPECT_EQ(former.points[1].blocks, 22);
}

TEST(Calibration, ALongerResultNeedsALongerList) {
	Calibration calibration;
	calibration.sample_count = 100;
	calibration.points = {{10, 0.8F, 0.01F, 12}, {40, 0.96F, 0.005F, 50}, {80, 0.99F, 0.001F, 95}};
	EXPECT_EQ(calibration.ListSizeFor(0.9, 10), 40U);
	EXPECT_EQ(calibration.ListSizeFor(0.956, 10), 80U) << "the error is a margin";
	EXPECT_EQ(calibration.ListSizeFor(0.9, 1), 40U);
	EXPECT_EQ(calibration.ListSizeFor(0.9, 40), 40U + 60U);
	EXPECT_EQ(calibration.ListSizeFor(0.999, 10), 160U) << "beyond what was reached";
	EXPECT_EQ(calibration.ListSizeFor(0.9, 1000000), 1000000U);
}

} // namespace
} // namespace lm_diskann
