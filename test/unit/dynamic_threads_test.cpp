// Property: searches beside everything else never see a row twice or a deleted one, and whatever runs at once leaves a
// sound index. The thread sanitizer runs these tests (make sanitize).
#include "unit/dynamic_index_fixture.hpp"

#include "storage/memory_file.hpp"

#include <atomic>
#include <thread>

namespace lm_diskann {
namespace {

using namespace dynamic_index_test;

TEST(DynamicIndexThreads, SearchesBesideEverythingSeeEachLiveRowAtMostOnce) {
	const std::vector<float> vectors = MakeClusteredVectors(4000, DIMS, 3);
	const Subject subject(Metric::L2SQ, vectors, 0, 1000);
	AnnIndex &index = *subject.index;
	std::atomic<bool> is_done {false};
	//! Rows below it were deleted; rows from `appended` on are not there yet.
	std::atomic<int64_t> deleted {0}, appended {1000};
	std::vector<std::thread> threads;
	for (size_t thread = 0; thread < 2; thread++) {
		threads.emplace_back([&, thread] {
			for (size_t q = thread; !is_done; q++) {
				const int64_t first = deleted;
				SearchCursor cursor = index.Search(vectors.data() + q % 4000 * DIMS, K, 40, 4);
				std::set<int64_t> met;
				for (size_t part = 0; part < 3; part++) {
					for (const Neighbor &neighbor : cursor.Next(K)) {
						EXPECT_TRUE(met.insert(neighbor.row_id.value).second) << neighbor.row_id.value;
						EXPECT_GE(neighbor.row_id.value, first);
						EXPECT_LT(neighbor.row_id.value, appended + 50);
					}
				}
				// As long as enough of the rows are left that were there when it began.
				if (deleted < first + 500) {
					EXPECT_EQ(met.size(), 3 * K);
				}
			}
		});
	}
	threads.emplace_back([&] {
		while (!is_done) {
			index.Merge(64, Never);
			index.Compact(Never);
		}
	});
	threads.emplace_back([&] {
		while (!is_done) {
			index.Confirm(index.Publish().generation);
			std::this_thread::yield();
		}
	});
	for (size_t row = 1000; row < 4000; row += 50) {
		subject.Append(row, 50);
		appended = int64_t(row + 50);
		subject.Delete(row - 1000, 50);
		deleted = int64_t(row - 950);
	}
	is_done = true;
	for (std::thread &thread : threads) {
		thread.join();
	}
	subject.MergeAll();
	while (index.Compact(Never)) {
	}
	EXPECT_TRUE(index.IsHealthy()) << index.Why();
	EXPECT_EQ(index.CollectRows().size(), 1000U);
	EXPECT_EQ(FindProblems(index), std::vector<std::string>());
}

//! Runs `step` again and again on a thread of its own until the end.
class Repeating {
public:
	explicit Repeating(std::function<void()> step)
	    : thread([this, step] {
		      while (!is_done) {
			      step();
			      std::this_thread::yield();
		      }
	      }) {
	}
	~Repeating() {
		is_done = true;
		thread.join();
	}

private:
	std::atomic<bool> is_done {false};
	std::thread thread;
};

TEST(DynamicIndexThreads, ThoroughSearchesBesideMergesFindAllRows) {
	constexpr size_t BUILT = 100, COUNT = 2100;
	const std::vector<float> vectors = MakeClusteredVectors(COUNT, DIMS, 3);
	const Subject subject(Metric::L2SQ, vectors, 0, BUILT);
	AnnIndex &index = *subject.index;
	subject.Append(BUILT, COUNT - BUILT);
	std::atomic<bool> is_merged {false};
	bool is_last = false;
	const Repeating forgetting([&] { subject.cache->Shrink(0); });
	std::thread merging([&] {
		subject.MergeAll();
		is_merged = true;
	});
	for (size_t q = 0; !is_last; q = (q + 1) % COUNT) {
		is_last = is_merged;
		std::vector<bool> is_found(COUNT);
		for (const Neighbor &neighbor : index.Search(vectors.data() + q * DIMS, 1, 2 * COUNT, 4).Next(COUNT)) {
			is_found[size_t(neighbor.row_id.value)] = true;
		}
		for (size_t row = 0; row < COUNT; row++) {
			EXPECT_TRUE(is_found[row]) << "query " << q << " missed row " << row;
		}
	}
	merging.join();
}

TEST(DynamicIndexThreads, AllOperationsAtOnceLeaveASoundIndex) {
	constexpr size_t COUNT = 2600, BUILT = 800, STEP = 40;
	const std::vector<float> vectors = MakeClusteredVectors(COUNT, DIMS, 3);
	auto subject = std::make_unique<Subject>(Metric::L2SQ, vectors, 0, BUILT, std::make_unique<MemoryFile>());
	std::shared_ptr<AnnIndex> index = subject->index;
	std::atomic<size_t> query {0};
	const auto search = [&] {
		const float *vector = vectors.data() + query++ % COUNT * DIMS;
		EXPECT_EQ(index->Search(vector, K, LIST_SIZE, 4).Next(K).size(), K);
	};
	{
		const Repeating searching(search);
		const Repeating merging([&] { index->Merge(64, Never); });
		const Repeating compacting([&] {
			index->Compact(Never);
			index->Shrink(Never);
		});
		const Repeating publishing([&] {
			index->Confirm(index->Publish().generation);
			index->Scrub();
		});
		const Repeating looking([&] {
			EXPECT_LE(index->CollectRows().size(), COUNT);
			EXPECT_EQ(FindProblems(*index), std::vector<std::string>());
			index->CurrentActivity();
			index->Summary();
		});
		const Repeating warming([&] {
			index->WarmUp(Never);
			subject->cache->Shrink(0);
		});
		const Repeating building([&] { const Subject other(Metric::COSINE, vectors, 0, 100); });
		for (size_t row = BUILT; row < COUNT; row += STEP) {
			subject->Append(row, STEP);
			subject->Delete(row - BUILT, STEP);
			for (size_t i = 0; i < 10; i++) {
				search();
			}
		}
	}
	EXPECT_TRUE(index->IsHealthy()) << index->Why();
	EXPECT_EQ(index->CollectRows().size(), BUILT);
	// Closed under a search: the cursor keeps what it needs.
	SearchCursor cursor = index->Search(vectors.data(), K, LIST_SIZE, 4);
	const std::weak_ptr<AnnIndex> closed = index;
	index.reset();
	subject.reset();
	EXPECT_EQ(cursor.Next(K).size(), K);
	EXPECT_FALSE(closed.expired());
}

} // namespace
} // namespace lm_diskann
