// Property: a warm-up reads the blocks that searches begin with, before they do, and nothing that costs: no more than
// the share of kept pages, no page of another index beyond it, no answer, no counter, and not for long once it is
// stopped.
#include "base/error.hpp"
#include "sim/sim_file.hpp"
#include "unit/index_rows.hpp"
#include "unit/test_vectors.hpp"

#include <cstring>
#include <gtest/gtest.h>

namespace lm_diskann {
namespace {

//! One node a block.
constexpr uint32_t DIMS = 384;
constexpr size_t ROWS = 1500, QUERIES = 20, K = 10;
constexpr uint32_t LIST_SIZE = 20;
constexpr uint64_t LARGE = uint64_t(256) << 20;

//! An index on a simulated disk, published and closed.
struct ClosedIndex {
	ClosedIndex() : vectors(MakeClusteredVectors(ROWS + QUERIES, DIMS, 5)), disk(SimDisk::Make(1)) {
		configuration = Configure(IndexOptions(), ElementType::FLOAT32, DIMS);
		WithRows(vectors, DIMS, 0, ROWS, [&](const VectorBatch &rows) {
			const auto index = BuildIndex(configuration, rows, disk->OpenFile());
			marker = index->Publish();
			for (const NodeSummary &node : index->ReadNodes(NodeId(0), 2 * ROWS)) {
				if (node.is_entry) {
					entry_pages.push_back(node.page);
				}
			}
		});
	}
	std::shared_ptr<AnnIndex> Open(std::shared_ptr<PageCache> cache) const {
		return AnnIndex::Open(disk->OpenFile(), marker, configuration, std::move(cache));
	}
	//! Bytes of `count` of its blocks in a cache.
	uint64_t CachedBytes(uint64_t count) const {
		return count * (configuration.page_size + 128);
	}
	//! A cache whose share for kept pages is `count` blocks.
	std::shared_ptr<PageCache> MakeCache(uint64_t count) const {
		return std::make_shared<PageCache>(PageCache::KEPT_PARTS * CachedBytes(count));
	}
	//! What one query finds.
	std::vector<int64_t> Ask(AnnIndex &index, size_t query) const {
		std::vector<int64_t> rows;
		for (const Neighbor &found : index.Search(vectors.data() + (ROWS + query) * DIMS, K, LIST_SIZE, 1).Next(K)) {
			rows.push_back(found.row_id.value);
		}
		return rows;
	}

	std::vector<float> vectors;
	std::shared_ptr<SimDisk> disk;
	IndexConfiguration configuration;
	Marker marker;
	std::vector<PageId> entry_pages;
};

const ClosedIndex &Closed() {
	static const ClosedIndex closed;
	return closed;
}

//! Through the cache.
void ReadAllBlocks(AnnIndex &index) {
	EXPECT_EQ(index.ReadNodes(NodeId(0), 2 * ROWS).size(), ROWS);
}

//! Keys begin with it.
constexpr PageCache::FileKey FIRST_FILE = 1;

size_t CountCached(PageCache &cache, const std::vector<PageId> &pages) {
	PageCacheCounters counters;
	for (const PageId page : pages) {
		cache.PinCached(FIRST_FILE, page, PageKind::NODES, counters);
	}
	return counters.hits;
}

TEST(WarmUp, TheFirstSearchesReadLessAndFindTheSame) {
	const ClosedIndex &closed = Closed();
	const auto cold = closed.Open(std::make_shared<PageCache>(LARGE));
	const auto warm_cache = std::make_shared<PageCache>(LARGE);
	const auto warm = closed.Open(warm_cache);
	EXPECT_EQ(warm_cache->UsedBytes(), 0U) << "opening reads no blocks";
	warm->WarmUp(Never);
	EXPECT_EQ(CountCached(*warm_cache, closed.entry_pages), closed.entry_pages.size());
	EXPECT_EQ(warm_cache->UsedBytes(), closed.CachedBytes(2 * closed.entry_pages.size())) << "and as many named most";
	const IndexCounters &counters = warm->Counters();
	EXPECT_EQ(counters.queries + counters.blocks_read + counters.cache_hits + counters.hops, 0U);
	for (size_t query = 0; query < QUERIES; query++) {
		EXPECT_EQ(closed.Ask(*warm, query), closed.Ask(*cold, query));
		EXPECT_LT(counters.blocks_read, cold->Counters().blocks_read);
	}
	// Clusters begin at different entries.
	EXPECT_LE(counters.blocks_read + QUERIES / 2, cold->Counters().blocks_read);
	EXPECT_EQ(counters.hops, cold->Counters().hops);
}

TEST(WarmUp, WhatItReadSurvivesAScanOfTheWholeIndex) {
	const ClosedIndex &closed = Closed();
	const uint64_t count = closed.entry_pages.size() / 4;
	const auto cache = closed.MakeCache(count);
	const auto index = closed.Open(cache);
	index->WarmUp(Never);
	EXPECT_EQ(cache->UsedBytes(), closed.CachedBytes(count)) << "as much as may be kept, and no more";
	const size_t cached = CountCached(*cache, closed.entry_pages);
	EXPECT_EQ(cached, count);
	ReadAllBlocks(*index);
	EXPECT_GE(CountCached(*cache, closed.entry_pages), cached);
	const uint64_t reads = closed.disk->OperationCount();
	index->WarmUp(Never);
	EXPECT_EQ(closed.disk->OperationCount(), reads) << "nothing more may be kept";
}

TEST(WarmUp, TakesNoMoreThanTheShareFromAnotherIndex) {
	const ClosedIndex &closed = Closed();
	const uint64_t share = 20;
	const auto cache = closed.MakeCache(share);
	const auto other = closed.Open(cache);
	ReadAllBlocks(*other);
	const uint64_t other_bytes = other->Summary().cache_bytes;
	ASSERT_GT(other_bytes + closed.CachedBytes(1), cache->Budget()) << "it fills the cache";
	const auto index = closed.Open(cache);
	index->WarmUp(Never);
	EXPECT_EQ(index->Summary().cache_bytes, closed.CachedBytes(share));
	EXPECT_GE(other->Summary().cache_bytes + closed.CachedBytes(share), other_bytes);
	const auto third = closed.Open(cache);
	third->WarmUp(Never);
	EXPECT_EQ(third->Summary().cache_bytes, 0U) << "the share is of all together";
}

TEST(WarmUp, EndsWithTheBatchThatItIsStoppedIn) {
	const ClosedIndex &closed = Closed();
	for (uint64_t batches = 0; batches < 3; batches++) {
		const auto cache = std::make_shared<PageCache>(LARGE);
		const auto index = closed.Open(cache);
		uint64_t asked = 0;
		index->WarmUp([&] { return asked++ >= batches; });
		EXPECT_EQ(asked, batches + 1) << "it is not asked again";
		EXPECT_EQ(cache->UsedBytes(), closed.CachedBytes(16 * batches));
	}
}

TEST(WarmUp, WithoutMemoryItReadsOneBatch) {
	const ClosedIndex &closed = Closed();
	PageCache::MemoryAccount account;
	account.reserve = [](uint64_t) { return false; };
	const auto cache = std::make_shared<PageCache>(LARGE, account);
	const auto index = closed.Open(cache);
	const uint64_t reads = closed.disk->OperationCount();
	index->WarmUp(Never);
	EXPECT_LE(closed.disk->OperationCount(), reads + 16);
	EXPECT_EQ(cache->UsedBytes(), 0U);
}

TEST(WarmUp, WhatFailsItDoesNotHarmTheIndex) {
	const ClosedIndex &closed = Closed();
	const auto index = closed.Open(std::make_shared<PageCache>(LARGE));
	Fault fault;
	fault.operations = Fault::READ;
	closed.disk->Inject(fault);
	EXPECT_THROW(index->WarmUp(Never), FileError);
	closed.disk->Heal();
	EXPECT_TRUE(index->IsHealthy());
	EXPECT_EQ(closed.Ask(*index, 0), closed.Ask(*closed.Open(std::make_shared<PageCache>(LARGE)), 0));
	index->WarmUp(Never);
}

TEST(WarmUp, ADamagedBlockIsFoundByTheQueryThatWantsIt) {
	const ClosedIndex &closed = Closed();
	std::vector<uint8_t> image = closed.disk->Image();
	for (uint64_t offset = FILE_HEAD_SIZE; offset < image.size(); offset += closed.configuration.page_size) {
		PageHead head;
		std::memcpy(&head, image.data() + offset, sizeof(head));
		if (head.kind == PageKind::NODES) {
			image[offset + sizeof(head) + 1] ^= 1;
		}
	}
	const auto disk = SimDisk::Make(1, std::move(image));
	const auto cache = std::make_shared<PageCache>(LARGE);
	const auto index = AnnIndex::Open(disk->OpenFile(), closed.marker, closed.configuration, cache);
	EXPECT_THROW(index->WarmUp(Never), CorruptionError);
	EXPECT_EQ(cache->UsedBytes(), 0U);
	EXPECT_TRUE(index->IsHealthy());
	EXPECT_THROW(closed.Ask(*index, 0), CorruptionError);
}

TEST(WarmUp, AnEmptyIndexHasNothingToRead) {
	const auto cache = std::make_shared<PageCache>(LARGE);
	const auto index = BuildIndex(Configure(IndexOptions(), ElementType::FLOAT32, DIMS), VectorBatch(),
	                              std::make_unique<MemoryFile>(), cache);
	index->WarmUp(Never);
	EXPECT_EQ(cache->UsedBytes(), 0U);
}

} // namespace
} // namespace lm_diskann
