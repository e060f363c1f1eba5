// Property: bytes on disk are hostile. Whatever is changed or cut off in a page file is found, or changes nothing.
#include "unit/page_file_fixture.hpp"

#include <random>

namespace lm_diskann {

using namespace page_file_test;

TEST(PageFileTest, Law6EveryChangedByteOfAPageIsFound) {
	Fixture fixture;
	fixture.AddPages(2, 0);
	Marker marker = fixture.file->Publish({});
	std::vector<uint8_t> image = fixture.disk->Image();
	AlignedBuffer<uint8_t> page(PAGE_SIZE);
	for (size_t at = OffsetOf(Slot(1)); at < OffsetOf(Slot(2)); at += 37) {
		std::vector<uint8_t> flipped = image;
		flipped[at] ^= 0x10;
		auto file = PageFile::Open(SimDisk::Make(0, flipped)->OpenFile(), marker);
		EXPECT_THROW(file->ReadPage(PageId(1), PageKind::NODES, page.span()), CorruptionError) << at;
		EXPECT_EQ(file->Verify().size(), 1u);
	}
	// A sound page in a wrong place.
	std::vector<uint8_t> moved = image;
	std::copy_n(image.begin() + OffsetOf(Slot(0)), PAGE_SIZE, moved.begin() + OffsetOf(Slot(1)));
	auto file = PageFile::Open(SimDisk::Make(0, moved)->OpenFile(), marker);
	EXPECT_THROW(file->ReadPage(PageId(1), PageKind::NODES, page.span()), CorruptionError);
}

TEST(PageFileTest, FlippedBytesOfHeadMetaPageAndFreeListAreFoundOrHarmless) {
	Fixture fixture;
	fixture.AddPages(3, 0);
	fixture.file->Publish(Text("roots"));
	fixture.file->FreeBlob(fixture.file->WriteBlob(Text("gap")));
	Marker marker = fixture.file->Publish(Text("roots"));
	std::vector<uint8_t> image = fixture.disk->Image();
	for (size_t at = 0; at < image.size(); at++) {
		bool is_dense = at % 4096 < 160 || at % 61 == 0;
		if (is_dense) {
			std::vector<uint8_t> flipped = image;
			flipped[at] ^= uint8_t(1 << (at % 8));
			ExpectCorruptOrSame(flipped, marker, PageId(3));
			if (at < SECTOR_SIZE) {
				EXPECT_NE(OpenMessage(flipped, marker), "") << at;
			}
		}
	}
}

TEST(PageFileTest, TruncatedFilesAreFoundOrHarmless) {
	Fixture fixture;
	fixture.AddPages(3, 0);
	Marker marker = fixture.file->Publish(Text("roots"));
	std::vector<uint8_t> image = fixture.disk->Image();
	for (size_t size = 0; size < image.size(); size += 4096) {
		std::vector<uint8_t> cut(image.begin(), image.begin() + size);
		ExpectCorruptOrSame(cut, marker, PageId(3));
		EXPECT_EQ(OpenMessage(cut, marker).empty(), size >= OffsetOf(Slot(5))) << size;
	}
	image.resize(image.size() + 12345); // Longer is fine.
	EXPECT_EQ(OpenMessage(image, marker), "");
}

TEST(PageFileTest, AHostileBlobReferenceIsCorruption) {
	Fixture fixture;
	BlobRef blob = fixture.file->WriteBlob(Text("hello"));
	BlobRef hostile = blob;
	hostile.size_bytes = uint64_t(1) << 60;
	EXPECT_THROW(fixture.file->ReadBlob(hostile), CorruptionError);
	EXPECT_THROW(fixture.file->FreeBlob(hostile), CorruptionError);
	hostile.size_bytes = UINT64_MAX;
	EXPECT_THROW(fixture.file->ReadBlob(hostile), CorruptionError);
	hostile = blob;
	hostile.first = Slot(4000000000);
	EXPECT_THROW(fixture.file->ReadBlob(hostile), CorruptionError);
}

} // namespace lm_diskann
