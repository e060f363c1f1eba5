// Property: an index that rows were merged into and taken out of answers as well as one built of the same rows, holds
// exactly these rows, and keeps no trace of the others.
#include "unit/dynamic_index_fixture.hpp"

#include "storage/memory_file.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

namespace lm_diskann {
namespace {

using namespace dynamic_index_test;

class DynamicIndex : public testing::TestWithParam<Metric> {
protected:
	//! Recall may be so much below that of a fresh index.
	static constexpr double RECALL_LOSS_MAX = 0.015;

	const std::vector<float> vectors = MakeClusteredVectors(8000, DIMS, 3);
	const std::vector<float> queries = MakeClusteredVectors(200, DIMS, 4);
};

TEST_P(DynamicIndex, MergedRowsAreFoundAsBuiltOnesAre) {
	const Subject built(GetParam(), vectors, 0, 6000);
	const Subject merged(GetParam(), vectors, 0, 3000);
	merged.Append(3000, 3000);
	merged.MergeAll();
	EXPECT_EQ(merged.index->Summary().delta_count, 0U);
	EXPECT_EQ(merged.index->Summary().row_count, 6000U);
	EXPECT_EQ(FindProblems(*merged.index), std::vector<std::string>());
	EXPECT_EQ(RowIdsOf(*merged.index), RowIdsOf(*built.index));
	EXPECT_GE(merged.Recall(queries, 0, 6000), built.Recall(queries, 0, 6000) - RECALL_LOSS_MAX);
}

TEST_P(DynamicIndex, ASlidingWindowKeepsItsRecall) {
	constexpr size_t WINDOW = 2000, STEP = 200, ROUNDS = 12;
	const Subject subject(GetParam(), vectors, 0, WINDOW);
	for (size_t round = 1; round <= ROUNDS; round++) {
		subject.Delete((round - 1) * STEP, STEP);
		subject.Append(WINDOW + (round - 1) * STEP, STEP);
		subject.MergeAll();
		subject.CompactAndShrink();
		EXPECT_EQ(subject.index->Summary().tombstone_count, 0U);
	}
	const size_t first = ROUNDS * STEP;
	const Subject fresh(GetParam(), vectors, first, WINDOW);
	EXPECT_EQ(FindProblems(*subject.index), std::vector<std::string>());
	EXPECT_EQ(RowIdsOf(*subject.index), RowIdsOf(*fresh.index));
	EXPECT_GE(subject.Recall(queries, first, WINDOW), fresh.Recall(queries, first, WINDOW) - RECALL_LOSS_MAX);
	EXPECT_LE(subject.disk->SizeBytes(), fresh.disk->SizeBytes() * 13 / 10);
}

INSTANTIATE_TEST_SUITE_P(Index, DynamicIndex, testing::Values(Metric::L2SQ, Metric::COSINE, Metric::IP));

//! Choosing anew with every repair, by codes, lost two points of recall in ten rounds of 5 % of imdb-pvdbow-384-cos.
TEST(DynamicIndexFile, ARepairKeepsTheEdgesToLiveRowsThatWereChosen) {
	const std::vector<float> vectors = MakeClusteredVectors(1500, DIMS, 11);
	const Subject subject(Metric::COSINE, vectors, 0, 1500);
	const std::vector<NodeSummary> before = subject.index->ReadNodes(NodeId(0), 1500);
	std::set<NodeId> dead;
	subject.Delete(0, 300);
	for (const NodeSummary &node : before) {
		if (node.row_id->value < 300) {
			dead.insert(node.node);
		}
	}
	while (subject.index->Compact(Never)) {
	}
	std::map<NodeId, NodeSummary> after;
	for (NodeSummary &node : subject.index->ReadNodes(NodeId(0), 1500)) {
		after[node.node] = std::move(node);
	}
	size_t repaired_count = 0, chosen_count = 0, lost_count = 0;
	for (const NodeSummary &node : before) {
		if (dead.count(node.node) > 0) {
			continue;
		}
		const std::vector<NodeId> &now = after.at(node.node).neighbors;
		for (size_t i = 0; i < node.neighbors.size(); i++) {
			const bool is_there = std::find(now.begin(), now.end(), node.neighbors[i]) != now.end();
			if (dead.count(node.neighbors[i]) > 0) {
				EXPECT_FALSE(is_there);
				repaired_count++;
			} else if (!node.is_fill[i]) {
				chosen_count++;
				lost_count += is_there ? 0 : 1;
			}
		}
	}
	// Some give their place to an anchor that is taken over.
	EXPECT_LT(1000 * lost_count, chosen_count);
	EXPECT_GT(repaired_count, 1000U);
}

TEST(DynamicIndexFile, ACompactAndAScrubLeaveNoTraceOfADeletedVector) {
	const std::vector<float> vectors = MakeClusteredVectors(1200, DIMS, 3);
	const Subject subject(Metric::L2SQ, vectors, 0, 1000);
	subject.Append(1000, 200);
	subject.index->Publish();
	const auto is_in_file = [&](size_t row) {
		const std::vector<uint8_t> image = subject.disk->Image();
		const auto *bytes = reinterpret_cast<const uint8_t *>(vectors.data() + row * DIMS);
		return std::search(image.begin(), image.end(), bytes, bytes + DIMS * sizeof(float)) != image.end();
	};
	ASSERT_TRUE(is_in_file(17) && is_in_file(1100));
	subject.Delete(17, 1);
	subject.Delete(1100, 1);
	subject.MergeAll();
	while (subject.index->Compact(Never)) {
	}
	subject.index->Confirm(subject.index->Publish().generation);
	subject.index->Scrub();
	EXPECT_FALSE(is_in_file(17));
	EXPECT_FALSE(is_in_file(1100));
	EXPECT_TRUE(is_in_file(18) && is_in_file(1101));
	EXPECT_EQ(FindProblems(*subject.index), std::vector<std::string>());
}

TEST(DynamicIndexFile, TheFileFollowsTheNumberOfRowsDownAndUp) {
	constexpr size_t COUNT = 3000, LEFT = 500;
	const std::vector<float> vectors = MakeClusteredVectors(COUNT, DIMS, 3);
	const Subject subject(Metric::L2SQ, vectors, 0, COUNT);
	const uint64_t full_bytes = subject.disk->SizeBytes();
	const Subject small(Metric::L2SQ, vectors, 0, LEFT);
	for (size_t round = 0; round < 3; round++) {
		// The last rows stay: their blocks lie at the end of the file.
		subject.Delete(0, COUNT - LEFT);
		subject.CompactAndShrink();
		EXPECT_LE(subject.disk->SizeBytes(), small.disk->SizeBytes() * 13 / 10);
		subject.Append(0, COUNT - LEFT);
		subject.MergeAll();
		subject.CompactAndShrink();
		EXPECT_LE(subject.disk->SizeBytes(), full_bytes * 13 / 10);
	}
	EXPECT_EQ(FindProblems(*subject.index), std::vector<std::string>());
	EXPECT_EQ(subject.index->CollectRows().size(), COUNT);
}

TEST(DynamicIndexFile, AShrinkCanBeStoppedAtAnyBatchAndGoesOn) {
	const std::vector<float> vectors = MakeClusteredVectors(3000, DIMS, 3);
	const Subject subject(Metric::L2SQ, vectors, 0, 3000);
	subject.Delete(0, 1500);
	while (subject.index->Compact(Never)) {
	}
	subject.index->Confirm(subject.index->Publish().generation);
	size_t questions = 0;
	size_t stops = 0;
	while (subject.index->Shrink([&] { return ++questions % 2 == 0; })) {
		stops++;
		subject.index->Confirm(subject.index->Publish().generation);
		EXPECT_EQ(FindProblems(*subject.index), std::vector<std::string>());
	}
	EXPECT_GE(stops, 2U);
	EXPECT_EQ(subject.index->CollectRows().size(), 1500U);
}

//! Calls `on_write` before each write.
class WatchedFile : public MemoryFile {
public:
	explicit WatchedFile(const std::function<void()> &on_write_p) : on_write(on_write_p) {
	}
	void Write(uint64_t offset, ConstByteSpan source) override {
		if (on_write) {
			on_write();
		}
		MemoryFile::Write(offset, source);
	}

private:
	const std::function<void()> &on_write;
};

TEST(DynamicIndexFile, ARowDeletedWhileItIsMergedIsNoAnswer) {
	constexpr int64_t DELETED = 1007;
	const std::vector<float> vectors = MakeClusteredVectors(1100, DIMS, 3);
	std::function<void()> on_write;
	const Subject subject(Metric::L2SQ, vectors, 0, 1000, std::make_unique<WatchedFile>(on_write));
	subject.Append(1000, 100);
	size_t search_count = 0;
	const auto search = [&] {
		for (const Neighbor &neighbor :
		     subject.index->Search(vectors.data() + DELETED * DIMS, K, LIST_SIZE, 4).Next(K)) {
			EXPECT_NE(neighbor.row_id.value, DELETED);
		}
		search_count++;
	};
	bool is_deleted = false;
	const auto delete_while_planning = [&] {
		if (!is_deleted) {
			subject.Delete(DELETED, 1);
			is_deleted = true;
			on_write = search;
		}
		return false;
	};
	subject.index->Merge(BATCH_ROWS, delete_while_planning);
	on_write = nullptr;
	search();
	EXPECT_GE(search_count, 2U) << "nothing was written while the merge was applied";
	EXPECT_EQ(FindProblems(*subject.index), std::vector<std::string>());
}

TEST(DynamicIndexFile, RowsDeletedWhileTheyArePublishedLeaveNoLostSlots) {
	const std::vector<float> vectors = MakeClusteredVectors(1150, DIMS, 3);
	std::function<void()> on_write;
	const Subject subject(Metric::L2SQ, vectors, 0, 1000, std::make_unique<WatchedFile>(on_write));
	subject.Append(1000, 100);
	subject.index->Publish();
	subject.Append(1100, 50);
	on_write = [&] { subject.Delete(1000, 150); };
	const Marker marker = subject.index->Publish();
	on_write = nullptr;
	EXPECT_EQ(subject.index->Summary().delta_count, 0U);
	EXPECT_EQ(FindProblems(*subject.index), std::vector<std::string>());
	subject.index->Publish();
	subject.index->Confirm(marker.generation);
	EXPECT_EQ(FindProblems(*subject.index), std::vector<std::string>());
}

} // namespace
} // namespace lm_diskann
