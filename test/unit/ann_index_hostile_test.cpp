// Property: counts, ids and sizes in an index file are believed only within bounds. Each field is set to what no index
// has, with checksums that fit, so that only the check of the field itself can find it: opening, searching or verifying
// says what was expected and found, within bounded time and memory.
#include "base/error.hpp"
#include "fuzz/index_image.hpp"
#include "index/index_state.hpp"
#include "storage/page_check.hpp"
#include "unit/index_rows.hpp"

#include <cmath>
#include <cstring>
#include <gmock/gmock.h>
#include <limits>

namespace lm_diskann {
namespace {

using namespace fuzz;
using testing::Contains;
using testing::HasSubstr;

template <class STRUCT>
STRUCT ReadStruct(const IndexImage &image, uint64_t offset) {
	STRUCT value;
	std::memcpy(&value, image.bytes.data() + offset, sizeof(value));
	return value;
}

template <class STRUCT>
void WriteStruct(IndexImage &image, uint64_t offset, const STRUCT &value) {
	std::memcpy(image.bytes.data() + offset, &value, sizeof(value));
}

StoredRoots RootsOf(const IndexImage &image) {
	return ReadStruct<StoredRoots>(image,
	                               image.OffsetOf(image.marker.meta_slot.value) + sizeof(PageHead) + sizeof(MetaHead));
}

//! The image with changed roots, sealed.
IndexImage WithRoots(IndexImage image, const StoredRoots &roots) {
	WriteStruct(image, image.OffsetOf(image.marker.meta_slot.value) + sizeof(PageHead) + sizeof(MetaHead), roots);
	ResealPage(image, image.marker.meta_slot.value);
	return image;
}

//! The image with `value` at `offset` of a one-page blob, sealed.
template <class STRUCT>
IndexImage WithBlobBytes(IndexImage image, const BlobRef &blob, uint64_t offset, const STRUCT &value) {
	WriteStruct(image, image.OffsetOf(blob.first.value) + sizeof(PageHead) + offset, value);
	ResealPage(image, blob.first.value);
	return image;
}

std::vector<Neighbor> FindAll(AnnIndex &index) {
	const IndexConfiguration &configuration = index.Configuration();
	const std::vector<float> query = MakeVector(configuration.dims, configuration.element_type, 1);
	return index.Search(query.data(), 1000, 10, 4).Next(1000);
}

TEST(AnnIndexHostile, TheImagesAreSound) {
	for (const IndexImage &image : Images()) {
		const auto index = OpenImage(image);
		EXPECT_EQ(FindProblems(*index), std::vector<std::string>());
		EXPECT_EQ(FindAll(*index).size(), image.rows.size());
		EXPECT_EQ(index->CollectRows().size(), image.rows.size());
	}
}

TEST(AnnIndexHostile, EachRootIsChecked) {
	struct Case {
		const char *message;
		void (*change)(StoredRoots &roots);
	};
	const Case cases[] = {
	    {"version of the index roots must be from 1 to 2, found 3", [](StoredRoots &roots) { roots.version = 3; }},
	    {"size of the index roots must be 200 bytes, found 216 bytes", [](StoredRoots &roots) { roots.version = 1; }},
	    {"the file names 4000000 nodes, more than its", [](StoredRoots &roots) { roots.node_count = 4000000; }},
	    {"nodes, more than its", [](StoredRoots &roots) { roots.node_count = UINT64_MAX; }},
	    {"end of the graph's rows must be at most the 46 covered rows, found 47",
	     [](StoredRoots &roots) { roots.graph_row_end = 47; }},
	    {"count of covered rows must be at most 9223372036854775807, found 18446744073709551615",
	     [](StoredRoots &roots) { roots.covered_rows = UINT64_MAX; }},
	    {"last row of the delta must be one of the 40 covered rows, found row 42",
	     [](StoredRoots &roots) { roots.covered_rows = 40; }},
	    {"end of the row map must be at most 40, found 18446744073709551615",
	     [](StoredRoots &roots) { roots.row_map.key_end = UINT64_MAX; }},
	    {"radix map: height must be at most 8, found 9", [](StoredRoots &roots) { roots.row_map.height = 9; }},
	    {"slots from slot 4000000000 are beyond the file",
	     [](StoredRoots &roots) { roots.quantizer.first = Slot(4000000000); }},
	    {"the quantizer has 0 bytes", [](StoredRoots &roots) { roots.quantizer = BlobRef(); }},
	    {"slots from slot", [](StoredRoots &roots) { roots.delta.size_bytes = UINT64_MAX; }},
	    {"size of the entries must be 4 bytes, found 0 bytes", [](StoredRoots &roots) { roots.entries = BlobRef(); }},
	    {"size of the entries must be 4 bytes, found 8 bytes",
	     [](StoredRoots &roots) { roots.entries.size_bytes = 8; }},
	    {"the delta's directory has 7 bytes", [](StoredRoots &roots) { roots.delta.size_bytes = 7; }},
	    {"the delta's directory has 32 bytes too many", [](StoredRoots &roots) { roots.delta.size_bytes = 88; }},
	    {"length of the longest vector must be a number from 0 on", [](StoredRoots &roots) { roots.norm_max = NAN; }},
	    {"the retired pages from page 0 are pages of nodes",
	     [](StoredRoots &roots) { roots.retired_pages = roots.node_pages; }},
	    {"the pages of nodes have 4 bytes", [](StoredRoots &roots) { roots.node_pages.size_bytes = 4; }},
	    {"the calibration has 8 bytes",
	     [](StoredRoots &roots) {
		     roots.calibration = {8, roots.quantizer.first, 0};
	     }},
	    {"a row set ends inside the head of a part", [](StoredRoots &roots) { roots.tombstones.size_bytes = 5; }},
	    {"a row set names a part of", [](StoredRoots &roots) { roots.unindexed.size_bytes = 20; }},
	};
	const IndexImage &image = Images()[0];
	for (const Case &item : cases) {
		StoredRoots roots = RootsOf(image);
		item.change(roots);
		EXPECT_THAT(OpenMessage(WithRoots(image, roots)), HasSubstr(item.message));
	}
}

TEST(AnnIndexHostile, PagesOfNodesThatAreNotInUseAreFound) {
	const IndexImage &image = Images()[0];
	const BlobRef pages = RootsOf(image).node_pages;
	EXPECT_THAT(OpenMessage(WithBlobBytes(image, pages, 0, Extent {0, 1000})),
	            HasSubstr("the pages of nodes hold 1000 pages from page 0, not all of them in use"));
	EXPECT_THAT(OpenMessage(WithBlobBytes(image, pages, 0, Extent {0, UINT32_MAX})),
	            HasSubstr("the pages of nodes hold 4294967295 pages from page 0, not all of them in use"));
	EXPECT_THAT(OpenMessage(WithBlobBytes(image, pages, 0, Extent {0, 1})),
	            HasSubstr("the file names 40 nodes, more than its pages hold"));
}

TEST(AnnIndexHostile, AnEntryOutsideTheGraphOrNoEntryAtAllIsFound) {
	const IndexImage &image = Images()[0];
	const BlobRef entries = RootsOf(image).entries;
	EXPECT_THAT(OpenMessage(WithBlobBytes(image, entries, 0, uint32_t(40))), HasSubstr("entry node 40 does not exist"));
	EXPECT_THAT(OpenImage(WithBlobBytes(image, entries, 0, UINT32_MAX))->Verify(),
	            Contains("a graph of 40 nodes has no entry"));
}

TEST(AnnIndexHostile, AnUnusableQuantizerIsFound) {
	const IndexImage &image = Images()[0];
	const BlobRef quantizer = RootsOf(image).quantizer;
	for (const uint64_t offset : {4, 16}) { // metric, seed
		EXPECT_THAT(OpenMessage(WithBlobBytes(image, quantizer, offset, uint8_t(1))),
		            HasSubstr("the quantizer in the file does not belong to the configuration"));
	}
	EXPECT_THAT(OpenMessage(WithBlobBytes(image, quantizer, 12, UINT32_MAX)), // count of references
	            HasSubstr("4294967295 references of 8 dimensions"));
	EXPECT_THAT(OpenMessage(WithBlobBytes(image, quantizer, 24, std::numeric_limits<float>::infinity())),
	            HasSubstr("a reference that is not finite"));
}

TEST(AnnIndexHostile, AReferenceThatOverflowsLeavesSearchesInOrder) {
	const IndexImage &image = Images()[2]; // inner product
	IndexImage changed = image;
	for (uint64_t i = 0; i < image.configuration.dims; i++) {
		changed = WithBlobBytes(changed, RootsOf(image).quantizer, 24 + 4 * i, i % 2 == 0 ? 3e38F : -3e38F);
	}
	const auto index = OpenImage(changed);
	EXPECT_EQ(FindAll(*index).size(), image.rows.size());
	EXPECT_THAT(index->Verify(), Contains(HasSubstr("that is not the neighbor's")));
}

TEST(AnnIndexHostile, ARowThatTheGraphCannotHaveIsNeverReturned) {
	const IndexImage &image = Images()[0];
	for (const int64_t row_id : {int64_t(-2), int64_t(40), std::numeric_limits<int64_t>::max()}) {
		IndexImage changed = image;
		WriteStruct(changed, image.OffsetOf(0) + sizeof(PageHead), row_id);
		ResealPage(changed, 0);
		const auto index = OpenImage(changed);
		EXPECT_THROW(FindAll(*index), CorruptionError);
		EXPECT_THROW(index->CollectRows(), CorruptionError);
		EXPECT_THAT(index->Verify(), Contains(HasSubstr("beyond the rows of the graph")));
	}
}

TEST(AnnIndexHostile, ADegreeOrNeighborOutOfBoundsIsFound) {
	const IndexImage &image = Images()[0];
	const uint64_t node = image.OffsetOf(0) + sizeof(PageHead);
	IndexImage changed = image;
	WriteStruct(changed, node + 8, uint16_t(9));
	ResealPage(changed, 0);
	EXPECT_THROW(FindAll(*OpenImage(changed)), CorruptionError);
	EXPECT_THAT(OpenImage(changed)->Verify(), Contains(HasSubstr("has degree 9, at most 8 was expected")));
	changed = image;
	WriteStruct(changed, node + sizeof(NodeHead) + 4 * image.configuration.dims, uint32_t(40));
	ResealPage(changed, 0);
	EXPECT_THROW(FindAll(*OpenImage(changed)), CorruptionError);
	EXPECT_THAT(OpenImage(changed)->Verify(), Contains(HasSubstr("names neighbor 40, all nodes are below 40")));
}

TEST(AnnIndexHostile, ARowMapThatRunsInCirclesEnds) {
	const IndexImage &image = Images()[1];
	const StoredRoots roots = RootsOf(image);
	ASSERT_GT(roots.row_map.height, 1U);
	const uint64_t root_page = roots.row_map.entry & RadixMap::VALUE_MAX;
	IndexImage changed = image;
	for (uint64_t slot = 0; slot < image.SlotCount(); slot++) {
		const uint64_t offset = image.OffsetOf(slot);
		const auto head = ReadStruct<PageHead>(image, offset);
		if (head.kind != PageKind::ROW_MAP || head.id != root_page) {
			continue;
		}
		for (uint64_t at = sizeof(PageHead); at < image.configuration.page_size; at += sizeof(uint64_t)) {
			WriteStruct(changed, offset + at, roots.row_map.entry);
		}
		ResealPage(changed, slot);
	}
	StoredRoots high = roots;
	high.row_map.height = 8;
	const auto index = OpenImage(WithRoots(changed, high));
	EXPECT_THAT(index->Verify(), Contains(HasSubstr("is reached twice")));
}

TEST(AnnIndexHostile, ARowMapOfMoreRowsThanTheGraphEnds) {
	StoredRoots roots = RootsOf(Images()[0]);
	roots.covered_rows = uint64_t(1) << 47;
	roots.graph_row_end = roots.covered_rows;
	roots.row_map.key_end = roots.covered_rows;
	const auto index = OpenImage(WithRoots(Images()[0], roots));
	EXPECT_THAT(index->Verify(), Contains("the row map holds more rows than the graph's 40"));
}

TEST(AnnIndexHostile, ABlobWithTwoOwnersIsFound) {
	StoredRoots roots = RootsOf(Images()[0]);
	roots.unindexed = roots.tombstones;
	const auto index = OpenImage(WithRoots(Images()[0], roots));
	EXPECT_THAT(index->Verify(), Contains(HasSubstr("has a second owner")));
	EXPECT_THAT(index->Verify(), Contains(HasSubstr("are neither free nor reached")));
}

} // namespace
} // namespace lm_diskann
