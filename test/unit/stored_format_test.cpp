// Property: a file of format version 1 opens for ever, on every machine: same configuration, rows, answers and marker,
// and nothing to find for Verify. The file has every part: nodes, both maps with pages, references, delta, tombstones,
// rows without a vector, cleared nodes, retired pages, and free slots of former generations.
//
// test/data/format_v1.lmdsk holds the bytes without their zeros, see Pack. LMD_WRITE_STORED_FILE=path makes this test
// write a file of the present version there and print the constants for it.
#include "base/error.hpp"
#include "fuzz/index_image.hpp"
#include "index/index_state.hpp"
#include "unit/index_rows.hpp"
#include "unit/simd_targets.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <gmock/gmock.h>
#include <iterator>

namespace lm_diskann {
namespace {

using namespace fuzz;

constexpr size_t LINE_SIZE = 64;
const Uuid UUID = {0x76, 0x31, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

ImageRecipe Recipe() {
	return {{{"metric", "cosine"}, {"R", "6"}, {"codes", "2bit"}, {"seed", "7"}}, ElementType::FLOAT32, 5, 40, 3, true};
}

template <class INTEGER>
void AppendNumber(std::vector<uint8_t> &bytes, INTEGER value) {
	const auto *begin = reinterpret_cast<const uint8_t *>(&value);
	bytes.insert(bytes.end(), begin, begin + sizeof(value));
}

//! Size u64, then for each line of 64 bytes that is not all zero its number u32 and its bytes; the last may be shorter.
std::vector<uint8_t> Pack(const std::vector<uint8_t> &bytes) {
	std::vector<uint8_t> packed;
	AppendNumber(packed, uint64_t(bytes.size()));
	for (size_t offset = 0; offset < bytes.size(); offset += LINE_SIZE) {
		const auto begin = bytes.begin() + ptrdiff_t(offset);
		const auto end = begin + ptrdiff_t(std::min(LINE_SIZE, bytes.size() - offset));
		if (std::any_of(begin, end, [](uint8_t byte) { return byte != 0; })) {
			AppendNumber(packed, uint32_t(offset / LINE_SIZE));
			packed.insert(packed.end(), begin, end);
		}
	}
	return packed;
}

std::vector<uint8_t> Unpack(const std::vector<uint8_t> &packed) {
	uint64_t size;
	std::memcpy(&size, packed.data(), sizeof(size));
	std::vector<uint8_t> bytes(size);
	for (size_t at = sizeof(size); at < packed.size();) {
		uint32_t line;
		std::memcpy(&line, packed.data() + at, sizeof(line));
		at += sizeof(line);
		const size_t count = std::min(LINE_SIZE, bytes.size() - line * LINE_SIZE);
		std::memcpy(bytes.data() + line * LINE_SIZE, packed.data() + at, count);
		at += count;
	}
	return bytes;
}

void ExpectEveryPart(const IndexImage &image) {
	const auto file = PageFile::Open(MakeFile(image.bytes), image.marker);
	const StoredRoots roots = ReadRoots(file->Roots());
	for (const BlobRef &blob : {roots.quantizer, roots.entries, roots.delta, roots.tombstones, roots.unindexed,
	                            roots.node_pages, roots.retired_pages, roots.cleared_nodes}) {
		EXPECT_GT(blob.size_bytes, 0U);
	}
	EXPECT_GT(roots.row_map.height, 0U);
	EXPECT_GT(file->FreeSlotCount(), 0U);
	MetaHead meta;
	std::memcpy(&meta, image.bytes.data() + image.OffsetOf(image.marker.meta_slot.value) + sizeof(PageHead),
	            sizeof(meta));
	EXPECT_GT(meta.page_map.height, 0U);
}

void WriteStoredFile(const char *path) {
	const IndexImage image = MakeImage(Recipe(), UUID);
	ExpectEveryPart(image);
	const std::vector<uint8_t> packed = Pack(image.bytes);
	ASSERT_EQ(Unpack(packed), image.bytes);
	std::ofstream(path, std::ios::binary)
	    .write(reinterpret_cast<const char *>(packed.data()), std::streamsize(packed.size()));
	std::printf("generation %llu, meta slot %u, checksum 0x%llX\n",
	            static_cast<unsigned long long>(image.marker.generation.value), image.marker.meta_slot.value,
	            static_cast<unsigned long long>(image.marker.meta_checksum));
	const float query[] = {1, 2, 3, 4, 5};
	for (const Neighbor &neighbor : OpenImage(image)->Search(query, 6, 20, 4).Next(6)) {
		std::printf("{%.9gF, RowId(%lld)},\n", double(neighbor.distance),
		            static_cast<long long>(neighbor.row_id.value));
	}
}

TEST(StoredFormat, AFileOfVersion1OpensForEver) {
	if (const char *path = std::getenv("LMD_WRITE_STORED_FILE")) {
		WriteStoredFile(path);
		GTEST_SKIP() << "wrote " << path;
	}
	std::ifstream file(LMD_TEST_DATA "/format_v1.lmdsk", std::ios::binary);
	const std::vector<char> packed {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
	ASSERT_FALSE(packed.empty());
	IndexImage image;
	image.bytes = Unpack(std::vector<uint8_t>(packed.begin(), packed.end()));
	image.marker.uuid = UUID;
	image.marker.generation = Generation(3);
	image.marker.meta_slot = Slot(29);
	image.marker.meta_checksum = 0xD2AF66D14863F92C;
	image.configuration.metric = Metric::COSINE;
	image.configuration.codes = CodeFamily::TWO_BIT;
	image.configuration.dims = 5;
	image.configuration.max_degree = 6;
	image.configuration.page_size = 4096;
	image.configuration.seed = 7;

	const std::vector<int64_t> rows = {0,  3,  9,  12, 18, 21, 27,  30,  33,  36,  39,
	                                   42, 45, 48, 51, 54, 57, 114, 117, 120, 123, 126};
	const std::pair<float, RowId> nearest[] = {
	    {0.039365232F, RowId(45)}, {0.180024803F, RowId(3)},  {0.308414578F, RowId(39)},
	    {0.386388183F, RowId(48)}, {0.597470045F, RowId(36)}, {0.679749012F, RowId(120)},
	};
	const float query[] = {1, 2, 3, 4, 5};
	ExpectEveryPart(image);
	OnEveryTarget([&] {
		const auto index = OpenImage(image);
		EXPECT_EQ(FindProblems(*index), std::vector<std::string>());
		std::vector<int64_t> collected;
		for (const StoredRow &row : index->CollectRows()) {
			collected.push_back(row.row_id.value);
		}
		EXPECT_EQ(collected, rows);
		const IndexSummary summary = index->Summary();
		EXPECT_EQ(summary.row_count, 22U);
		EXPECT_EQ(summary.delta_count, 3U);
		EXPECT_EQ(summary.tombstone_count, 3U);
		EXPECT_EQ(summary.unindexed_count, 3U);
		EXPECT_EQ(summary.covered_rows, 136U);
		const std::vector<Neighbor> found = index->Search(query, 6, 20, 4).Next(6);
		ASSERT_EQ(found.size(), std::size(nearest));
		for (size_t i = 0; i < found.size(); i++) {
			EXPECT_NEAR(found[i].distance, nearest[i].first, 1e-6F);
			EXPECT_EQ(found[i].row_id, nearest[i].second);
		}
	});
	// It can be continued.
	const auto index = OpenImage(image);
	AppendRow(*index, RowId(200), {1, 2, 3, 4, 5});
	index->Publish();
	EXPECT_EQ(index->Search(query, 1, 20, 4).Next(1).front().row_id, RowId(200));
	EXPECT_EQ(FindProblems(*index), std::vector<std::string>());
}

} // namespace
} // namespace lm_diskann
