// AnnIndex from outside: build, search, append, delete, publish and open, against brute force. Recall has floors; row
// sets, counts and persistence are exact. The same rows give the same file bytes for any number of threads.
#include "index/ann_index.hpp"

#include "base/error.hpp"
#include "unit/index_rows.hpp"
#include "unit/test_vectors.hpp"

#include <cstring>
#include <gtest/gtest.h>
#include <thread>

namespace lm_diskann {
namespace {

constexpr uint64_t CACHE_BYTES = 64 << 20;

//! A File that lets the test keep the bytes after the index is gone.
class SharedFile : public File {
public:
	explicit SharedFile(std::shared_ptr<MemoryFile> target_p) : target(std::move(target_p)) {
	}
	void Read(uint64_t offset, ByteSpan bytes) const override {
		target->Read(offset, bytes);
	}
	void Write(uint64_t offset, ConstByteSpan bytes) override {
		target->Write(offset, bytes);
	}
	void Resize(uint64_t size_bytes) override {
		target->Resize(size_bytes);
	}
	void Sync() override {
		target->Sync();
	}
	uint64_t Size() const override {
		return target->Size();
	}

private:
	std::shared_ptr<MemoryFile> target;
};

std::vector<RowId> MakeRowIds(size_t count, int64_t first = 0) {
	std::vector<RowId> row_ids;
	for (size_t i = 0; i < count; i++) {
		row_ids.push_back(RowId(first + int64_t(i)));
	}
	return row_ids;
}

struct Fixture {
	Fixture(const IndexOptions &options, uint32_t dims, const std::vector<float> &vectors_p, size_t thread_count = 2)
	    : configuration(Configure(options, ElementType::FLOAT32, dims)), vectors(vectors_p),
	      bytes(std::make_shared<MemoryFile>()), cache(std::make_shared<PageCache>(CACHE_BYTES)) {
		IndexBuilder builder(configuration);
		const size_t count = vectors.size() / dims;
		const std::vector<RowId> row_ids = MakeRowIds(count);
		for (size_t i = 0; i < count; i += 1000) {
			VectorBatch batch;
			batch.row_ids = row_ids.data() + i;
			batch.floats = vectors.data() + i * dims;
			batch.count = std::min<size_t>(1000, count - i);
			builder.Add(batch);
		}
		Uuid uuid = {};
		uuid[0] = 7;
		builder.Start(std::make_unique<SharedFile>(bytes), uuid);
		std::vector<std::thread> threads;
		for (size_t i = 0; i < thread_count; i++) {
			threads.emplace_back([&] {
				while (builder.Work() != WorkState::FINISHED) {
					std::this_thread::yield();
				}
			});
		}
		for (std::thread &thread : threads) {
			thread.join();
		}
		index = builder.Finish(cache);
		marker = index->Publish();
	}

	void Reopen() {
		index.reset();
		index = AnnIndex::Open(std::make_unique<SharedFile>(bytes), marker, configuration, cache);
	}

	double Recall(const std::vector<float> &queries, size_t k, uint32_t l_search) {
		const size_t dims = configuration.dims;
		size_t found = 0;
		const size_t query_count = queries.size() / dims;
		for (size_t i = 0; i < query_count; i++) {
			const float *query = queries.data() + i * dims;
			const std::vector<size_t> exact = ExactNearest(configuration.metric, vectors, dims, query, k);
			for (const Neighbor &neighbor : index->Search(query, k, l_search, 4).Next(k)) {
				found += size_t(std::count(exact.begin(), exact.end(), size_t(neighbor.row_id.value)));
			}
		}
		return double(found) / double(query_count * k);
	}

	IndexConfiguration configuration;
	std::vector<float> vectors;
	std::shared_ptr<MemoryFile> bytes;
	std::shared_ptr<PageCache> cache;
	std::shared_ptr<AnnIndex> index;
	Marker marker;
};

std::vector<RowId> SearchRows(AnnIndex &index, const float *query, size_t k) {
	std::vector<RowId> rows;
	for (const Neighbor &neighbor : index.Search(query, k, 100, 4).Next(k)) {
		rows.push_back(neighbor.row_id);
	}
	return rows;
}

class EveryMetricAndCode : public testing::TestWithParam<std::tuple<Metric, const char *>> {};

TEST_P(EveryMetricAndCode, FindsTheNearest) {
	const uint32_t dims = 48;
	IndexOptions options = ParseOptions({{"codes", std::get<1>(GetParam())}});
	options.metric = std::get<0>(GetParam());
	Fixture fixture(options, dims, MakeClusteredVectors(3000, dims, 1));
	EXPECT_GE(fixture.Recall(MakeClusteredVectors(50, dims, 2), 10, 100), 0.95);
	EXPECT_EQ(FindProblems(*fixture.index), std::vector<std::string>());
}

INSTANTIATE_TEST_SUITE_P(Index, EveryMetricAndCode,
                         testing::Combine(testing::Values(Metric::L2SQ, Metric::COSINE, Metric::IP),
                                          testing::Values("auto", "ternary", "1bit", "2bit", "4bit")));

TEST(AnnIndex, LossyOwnVectorsStillFindTheNearest) {
	const uint32_t dims = 64;
	for (const char *form : {"f16", "int8"}) {
		Fixture fixture(ParseOptions({{"vectors", form}}), dims, MakeClusteredVectors(2000, dims, 1));
		EXPECT_GE(fixture.Recall(MakeClusteredVectors(50, dims, 2), 10, 100), 0.93) << form;
		EXPECT_EQ(FindProblems(*fixture.index), std::vector<std::string>());
	}
}

TEST(AnnIndex, SmallNodesShareAPage) {
	const uint32_t dims = 16;
	Fixture fixture(ParseOptions({{"R", "16"}, {"codes", "2bit"}}), dims, MakeClusteredVectors(3001, dims, 1));
	EXPECT_LT(fixture.index->Summary().file_size_bytes, 3001 * fixture.configuration.page_size / 3);
	EXPECT_GE(fixture.Recall(MakeClusteredVectors(50, dims, 2), 10, 100), 0.95);
	EXPECT_EQ(FindProblems(*fixture.index), std::vector<std::string>());
}

TEST(AnnIndex, SameInputGivesTheSameFileForAnyThreadCount) {
	const uint32_t dims = 24;
	const std::vector<float> vectors = MakeClusteredVectors(2500, dims, 3);
	const Fixture one(IndexOptions(), dims, vectors, 1);
	const Fixture five(IndexOptions(), dims, vectors, 5);
	// Everything but the build time, which is in the roots: compare the node pages.
	const uint64_t size = FILE_HEAD_SIZE + uint64_t(2500) * one.configuration.page_size;
	std::vector<uint8_t> a(size);
	std::vector<uint8_t> b(size);
	one.bytes->Read(FILE_HEAD_SIZE, ByteSpan(a.data(), size - FILE_HEAD_SIZE));
	five.bytes->Read(FILE_HEAD_SIZE, ByteSpan(b.data(), size - FILE_HEAD_SIZE));
	EXPECT_EQ(a, b);
}

TEST(AnnIndex, ReopenedIndexGivesTheSameAnswers) {
	const uint32_t dims = 32;
	Fixture fixture(IndexOptions(), dims, MakeClusteredVectors(2000, dims, 1));
	const std::vector<float> queries = MakeClusteredVectors(20, dims, 9);
	std::vector<std::vector<RowId>> before;
	for (size_t i = 0; i < 20; i++) {
		before.push_back(SearchRows(*fixture.index, queries.data() + i * dims, 10));
	}
	fixture.Reopen();
	for (size_t i = 0; i < 20; i++) {
		EXPECT_EQ(SearchRows(*fixture.index, queries.data() + i * dims, 10), before[i]);
	}
}

TEST(AnnIndex, AppendedAndDeletedRowsAreRightAtOnceAndAfterReopen) {
	const uint32_t dims = 16;
	Fixture fixture(IndexOptions(), dims, MakeClusteredVectors(1000, dims, 1));
	const std::vector<float> appended = MakeClusteredVectors(30, dims, 77);
	const std::vector<RowId> row_ids = MakeRowIds(30, 1000);
	VectorBatch batch;
	batch.row_ids = row_ids.data();
	batch.floats = appended.data();
	batch.count = 30;
	fixture.index->Append(batch);
	const std::vector<RowId> deleted = {RowId(5), RowId(17), RowId(1003), RowId(999999)};
	fixture.index->Delete(deleted);

	for (int round = 0; round < 2; round++) {
		EXPECT_EQ(SearchRows(*fixture.index, appended.data() + 4 * dims, 1).front(), RowId(1004));
		EXPECT_NE(SearchRows(*fixture.index, appended.data() + 3 * dims, 1).front(), RowId(1003));
		EXPECT_NE(SearchRows(*fixture.index, fixture.vectors.data() + 5 * dims, 1).front(), RowId(5));
		const IndexSummary summary = fixture.index->Summary();
		EXPECT_EQ(summary.row_count, 1000 + 30 - 3);
		EXPECT_EQ(summary.delta_count, 29);
		EXPECT_EQ(summary.tombstone_count, 2);
		EXPECT_EQ(summary.covered_rows, 1030);
		EXPECT_EQ(fixture.index->CollectRows().size(), 1027);
		EXPECT_EQ(FindProblems(*fixture.index), std::vector<std::string>());
		fixture.marker = fixture.index->Publish();
		fixture.Reopen();
	}
}

TEST(AnnIndex, AppendOfAPresentRowReplacesIt) {
	const uint32_t dims = 8;
	Fixture fixture(IndexOptions(), dims, MakeClusteredVectors(300, dims, 1));
	const std::vector<float> far(dims, 1000.0F);
	const RowId row_id(42);
	VectorBatch batch;
	batch.row_ids = &row_id;
	batch.floats = far.data();
	batch.count = 1;
	fixture.index->Append(batch);
	EXPECT_EQ(SearchRows(*fixture.index, far.data(), 1).front(), row_id);
	EXPECT_NE(SearchRows(*fixture.index, fixture.vectors.data() + 42 * dims, 1).front(), row_id);
	EXPECT_EQ(fixture.index->Summary().row_count, 300);
	// A vector that cannot be indexed takes the row out.
	const std::vector<float> nan(dims, NAN);
	batch.floats = nan.data();
	fixture.index->Append(batch);
	EXPECT_EQ(fixture.index->Summary().row_count, 299);
	EXPECT_EQ(fixture.index->Summary().unindexed_count, 1);
}

TEST(AnnIndex, PublishWithoutChangeIsFree) {
	Fixture fixture(IndexOptions(), 8, MakeClusteredVectors(100, 8, 1));
	const uint64_t size = fixture.bytes->Size();
	EXPECT_EQ(fixture.index->Publish(), fixture.marker);
	EXPECT_EQ(fixture.bytes->Size(), size);
	EXPECT_FALSE(fixture.index->HasUnpublishedChanges());
}

TEST(AnnIndex, CursorReturnsEveryRowOnce) {
	const uint32_t dims = 12;
	Fixture fixture(IndexOptions(), dims, MakeClusteredVectors(1500, dims, 1));
	SearchCursor cursor = fixture.index->Search(fixture.vectors.data(), 10, 10, 4);
	std::set<int64_t> rows;
	while (true) {
		const std::vector<Neighbor> next = cursor.Next(64);
		for (const Neighbor &neighbor : next) {
			EXPECT_TRUE(rows.insert(neighbor.row_id.value).second);
		}
		if (next.size() < 64) {
			break;
		}
	}
	EXPECT_EQ(rows.size(), 1500);
}

TEST(AnnIndex, DuplicatesStayReachable) {
	const uint32_t dims = 8;
	std::vector<float> vectors(800 * dims, 1.0F);
	const std::vector<float> others = MakeClusteredVectors(400, dims, 5);
	vectors.insert(vectors.end(), others.begin(), others.end());
	Fixture fixture(IndexOptions(), dims, vectors);
	EXPECT_EQ(SearchRows(*fixture.index, vectors.data(), 700).size(), 700);
	EXPECT_GE(fixture.Recall(std::vector<float>(others.begin(), others.begin() + 50 * dims), 10, 100), 0.95);
}

TEST(AnnIndex, EmptyAndTinyIndexesWork) {
	const uint32_t dims = 3;
	for (const size_t count : {0, 1, 2, 5}) {
		for (const Metric metric : {Metric::L2SQ, Metric::COSINE, Metric::IP}) {
			IndexOptions options;
			options.metric = metric;
			Fixture fixture(options, dims, MakeClusteredVectors(count, dims, 1));
			const std::vector<float> query = {1, 2, 3};
			EXPECT_EQ(SearchRows(*fixture.index, query.data(), 10).size(), count);
			fixture.Reopen();
			EXPECT_EQ(SearchRows(*fixture.index, query.data(), 10).size(), count);
			EXPECT_EQ(FindProblems(*fixture.index), std::vector<std::string>());
		}
	}
}

TEST(AnnIndex, Int8ColumnsWork) {
	const uint32_t dims = 32;
	const std::vector<float> floats = MakeClusteredVectors(1000, dims, 1);
	std::vector<int8_t> bytes(floats.size());
	std::vector<float> rounded(floats.size());
	for (size_t i = 0; i < floats.size(); i++) {
		bytes[i] = int8_t(std::clamp(std::lround(floats[i] * 40), -127L, 127L));
		rounded[i] = bytes[i];
	}
	for (const Metric metric : {Metric::L2SQ, Metric::COSINE, Metric::IP}) {
		IndexOptions options;
		options.metric = metric;
		const IndexConfiguration configuration = Configure(options, ElementType::INT8, dims);
		const std::vector<RowId> row_ids = MakeRowIds(1000);
		VectorBatch batch;
		batch.row_ids = row_ids.data();
		batch.bytes = bytes.data();
		batch.count = 1000;
		const auto index = BuildIndex(configuration, batch);
		size_t found = 0;
		for (size_t i = 0; i < 20; i++) {
			const float *query = rounded.data() + i * 50 * dims;
			const std::vector<size_t> exact = ExactNearest(metric, rounded, dims, query, 10);
			for (const RowId row_id : SearchRows(*index, query, 10)) {
				found += size_t(std::count(exact.begin(), exact.end(), size_t(row_id.value)));
			}
		}
		EXPECT_GE(found, 190) << MetricName(metric);
	}
}

TEST(AnnIndex, AnInterruptedOrRefusedBuildThrowsEverywhere) {
	const std::vector<float> vectors = MakeClusteredVectors(500, 8, 1);
	const std::vector<RowId> row_ids = MakeRowIds(500);
	VectorBatch batch;
	batch.row_ids = row_ids.data();
	batch.floats = vectors.data();
	batch.count = 500;
	BuildResources resources;
	resources.set_memory = [](uint64_t) { throw MemoryError("the host has no room"); };
	IndexBuilder builder(Configure(IndexOptions(), ElementType::FLOAT32, 8), resources);
	builder.Add(batch);
	builder.Start(std::make_unique<MemoryFile>(), Uuid());
	EXPECT_THROW(builder.Work(), MemoryError);
	EXPECT_THROW(builder.Work(), MemoryError);
}

TEST(AnnIndex, OpenRefusesAnotherConfigurationAndGeneration) {
	Fixture fixture(IndexOptions(), 8, MakeClusteredVectors(100, 8, 1));
	IndexConfiguration other = fixture.configuration;
	other.l_search = 55;
	EXPECT_THROW(AnnIndex::Open(std::make_unique<SharedFile>(fixture.bytes), fixture.marker, other, fixture.cache),
	             CorruptionError);
	Marker marker = fixture.marker;
	marker.generation = Generation(marker.generation.value + 1);
	EXPECT_THROW(
	    AnnIndex::Open(std::make_unique<SharedFile>(fixture.bytes), marker, fixture.configuration, fixture.cache),
	    CorruptionError);
}

TEST(AnnIndex, SearchesRunBesideChanges) {
	const uint32_t dims = 16;
	Fixture fixture(IndexOptions(), dims, MakeClusteredVectors(1000, dims, 1));
	const std::vector<float> appended = MakeClusteredVectors(500, dims, 8);
	std::atomic<bool> is_done {false};
	std::vector<std::thread> readers;
	for (int reader = 0; reader < 2; reader++) {
		readers.emplace_back([&] {
			while (!is_done) {
				EXPECT_EQ(SearchRows(*fixture.index, appended.data(), 10).size(), 10);
			}
		});
	}
	for (int64_t i = 0; i < 500; i++) {
		const RowId row_id(1000 + i);
		VectorBatch batch;
		batch.row_ids = &row_id;
		batch.floats = appended.data() + i * dims;
		batch.count = 1;
		fixture.index->Append(batch);
		const RowId deleted(i);
		fixture.index->Delete(Span<const RowId>(&deleted, 1));
		if (i % 50 == 0) {
			fixture.index->Confirm(fixture.index->Publish().generation);
		}
	}
	is_done = true;
	for (std::thread &reader : readers) {
		reader.join();
	}
	EXPECT_EQ(fixture.index->CollectRows().size(), 1000);
	EXPECT_EQ(FindProblems(*fixture.index), std::vector<std::string>());
}

} // namespace
} // namespace lm_diskann
