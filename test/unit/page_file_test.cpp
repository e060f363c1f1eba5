// Property: a PageFile gives back exactly what its published generations hold and keeps the storage law (tests are
// named after its numbers).
#include "unit/page_file_fixture.hpp"

#include <atomic>
#include <set>
#include <thread>

namespace lm_diskann {

using namespace page_file_test;

TEST(PageFileTest, WrittenPagesAreReadBeforeAndAfterPublishAndReopen) {
	Fixture fixture;
	PageId first = fixture.AddPages(10, 0);
	WritePage(*fixture.file, PageId(4), 77);
	ExpectPage(*fixture.file, PageId(4), 77);
	Marker marker = fixture.file->Publish(Text("roots"));
	fixture.Reopen(marker);
	EXPECT_EQ(first, PageId(0));
	for (uint32_t id = 0; id < 10; id++) {
		ExpectPage(*fixture.file, PageId(id), id == 4 ? 77 : id);
	}
	EXPECT_EQ(ToString(fixture.file->Roots()), "roots");
	EXPECT_EQ(ToString(fixture.file->Configuration()), "dims=3");
	EXPECT_EQ(fixture.file->Current(), Generation(1));
	EXPECT_TRUE(fixture.file->CurrentMarker() == marker);
	EXPECT_EQ(fixture.file->PageIdEnd(), 10u);
	fixture.ExpectSound();
}

TEST(PageFileTest, BatchedReadsCheckEveryPage) {
	Fixture fixture;
	fixture.AddPages(4, 0);
	AlignedBuffer<uint8_t> pages(4 * PAGE_SIZE);
	std::vector<PageReadRequest> requests;
	for (uint32_t id = 0; id < 4; id++) {
		requests.push_back({PageId(3 - id), PageKind::NODES, pages.span().SubSpan(id * PAGE_SIZE, PAGE_SIZE)});
	}
	fixture.file->ReadPages(Span<const PageReadRequest>(requests.data(), requests.size()));
	EXPECT_EQ(pages[100], MakePage(3)[100]);
	requests[2].kind = PageKind::ROW_MAP;
	EXPECT_THROW(fixture.file->ReadPages(Span<const PageReadRequest>(requests.data(), requests.size())),
	             CorruptionError);
}

TEST(PageFileTest, LinearBuildWritesNoMapPage) {
	Fixture fixture;
	PageId first = fixture.file->ReservePages(3000);
	for (uint32_t id = 0; id < 3000; id += 100) {
		AlignedBuffer<uint8_t> pages = MakePage(id, 100);
		fixture.file->WritePages(PageId(first.value + id), PageKind::NODES, pages.span());
	}
	Marker marker = fixture.file->Publish({});
	EXPECT_EQ(fixture.file->Counters().pages_written.load(), 3000u + 2u); // The free list and the meta page.
	fixture.Reopen(marker);
	ExpectPage(*fixture.file, PageId(2999), 2999);
	EXPECT_EQ(fixture.file->Counters().pages_read.load(), 1u + 1u); // The free list and the page, no map page.
	fixture.ExpectSound();
}

TEST(PageFileTest, ChangedPagesOfALinearMapCostOnlyTheirPath) {
	Fixture fixture;
	fixture.AddPages(3000, 0);
	fixture.file->Publish({});
	uint64_t before = fixture.file->Counters().pages_written;
	WritePage(*fixture.file, PageId(1234), 9);
	Marker marker = fixture.file->Publish({});
	// The page, two map pages (508^2 > 3000), free list, meta page.
	EXPECT_EQ(fixture.file->Counters().pages_written - before, 1u + 2u + 1u + 1u);
	fixture.Reopen(marker);
	ExpectPage(*fixture.file, PageId(1233), 1233);
	ExpectPage(*fixture.file, PageId(1234), 9);
	fixture.ExpectSound();
}

TEST(PageFileTest, BlobsOfAnySizeComeBack) {
	Fixture fixture;
	std::vector<BlobRef> blobs;
	std::vector<size_t> sizes = {0, 1, 4064, 4065, 100000, 1500000};
	for (size_t size : sizes) {
		std::vector<uint8_t> bytes(size, uint8_t(size % 251));
		blobs.push_back(fixture.file->WriteBlob(ConstByteSpan(bytes)));
	}
	fixture.Reopen(fixture.file->Publish({}));
	for (size_t i = 0; i < sizes.size(); i++) {
		EXPECT_EQ(fixture.file->ReadBlob(blobs[i]), std::vector<uint8_t>(sizes[i], uint8_t(sizes[i] % 251)));
	}
	fixture.ExpectSound(blobs);
	for (const BlobRef &blob : blobs) {
		fixture.file->FreeBlob(blob);
	}
	EXPECT_THROW(fixture.file->FreeBlob(blobs[1]), CorruptionError);
	fixture.file->Publish({});
	fixture.ExpectSound();
}

TEST(PageFileTest, FreedPagesHaveNoBytesAndTheirIdsWaitForTheNextGeneration) {
	Fixture fixture;
	fixture.AddPages(5, 0);
	fixture.file->Publish({});
	fixture.file->FreePage(PageId(2));
	AlignedBuffer<uint8_t> page(PAGE_SIZE);
	EXPECT_THROW(fixture.file->ReadPage(PageId(2), PageKind::NODES, page.span()), CorruptionError);
	EXPECT_THROW(fixture.file->FreePage(PageId(2)), CorruptionError);
	EXPECT_THROW(WritePage(*fixture.file, PageId(2), 1), CorruptionError);
	EXPECT_EQ(fixture.file->ReservePages(1), PageId(5));
	Marker marker = fixture.file->Publish({});
	fixture.ExpectSound();
	fixture.Reopen(marker);
	EXPECT_THROW(fixture.file->ReadPage(PageId(2), PageKind::NODES, page.span()), CorruptionError);
	EXPECT_EQ(fixture.file->ReservePages(1), PageId(2));
	WritePage(*fixture.file, PageId(2), 50);
	ExpectPage(*fixture.file, PageId(2), 50);
}

TEST(PageFileTest, Law1AndLaw4FreedSlotsAreWrittenOnlyAfterConfirm) {
	Fixture fixture;
	fixture.AddPages(20, 0);
	Marker named = fixture.file->Publish(Text("roots"));
	fixture.file->Confirm(named.generation);
	std::vector<uint8_t> before = fixture.disk->Image();
	fixture.disk->TakeWrites();
	for (int round = 0; round < 3; round++) { // Published, never confirmed.
		for (uint32_t id = 0; id < 20; id++) {
			WritePage(*fixture.file, PageId(id), 100 * round + id);
		}
		fixture.file->Publish({});
	}
	std::vector<uint8_t> after = fixture.disk->Image();
	for (auto [offset, size] : fixture.disk->TakeWrites()) {
		EXPECT_TRUE(offset < FILE_HEAD_SIZE || offset >= OffsetOf(Slot(22))) << offset;
	}
	EXPECT_EQ(std::memcmp(before.data() + FILE_HEAD_SIZE, after.data() + FILE_HEAD_SIZE, 22 * PAGE_SIZE), 0);
	ASSERT_EQ(OpenMessage(after, named), "");

	uint64_t free_before = fixture.file->FreeSlotCount();
	fixture.file->Confirm(fixture.file->Current());
	EXPECT_GE(fixture.file->FreeSlotCount(), free_before + 3 * 20);
	fixture.disk->TakeWrites();
	WritePage(*fixture.file, PageId(0), 5);
	EXPECT_EQ(fixture.disk->TakeWrites()[0].first, OffsetOf(Slot(0)));
	fixture.ExpectSound();
}

TEST(PageFileTest, Law4ASlotAllocatedAndFreedBetweenPublishesIsReusedAtOnce) {
	Fixture fixture;
	fixture.AddPages(5, 0);
	fixture.file->Publish({});
	WritePage(*fixture.file, PageId(0), 1);
	WritePage(*fixture.file, PageId(0), 2);
	uint64_t size = fixture.file->SizeBytes();
	for (int i = 0; i < 1000; i++) {
		WritePage(*fixture.file, PageId(0), i);
	}
	EXPECT_EQ(fixture.file->SizeBytes(), size);
	ExpectPage(*fixture.file, PageId(0), 999);
}

TEST(PageFileTest, Law2MetaPageIsWrittenBetweenTwoSyncs) {
	Fixture fixture;
	fixture.AddPages(5, 0);
	uint64_t syncs = fixture.disk->SyncCount();
	Marker marker = fixture.file->Publish({});
	EXPECT_EQ(fixture.disk->SyncCount(), syncs + 2);
	auto writes = fixture.disk->TakeWrites();
	ASSERT_GE(writes.size(), 2u);
	EXPECT_EQ(writes[writes.size() - 2].first, OffsetOf(marker.meta_slot));
	EXPECT_EQ(writes.back().first, SECTOR_SIZE); // The stamp of an odd generation.
	// What Publish promised survives the loss of everything unsynced.
	for (int i = 0; i < 20; i++) {
		ASSERT_EQ(OpenMessage(fixture.disk->Crash()->Image(), marker), "");
	}
}

TEST(PageFileTest, Law3TheConfirmedMetaPageOutlivesLaterPublishes) {
	Fixture fixture;
	fixture.AddPages(5, 0);
	Marker confirmed = fixture.file->Publish({});
	fixture.file->Confirm(confirmed.generation);
	std::set<uint32_t> meta_slots {confirmed.meta_slot.value};
	for (int i = 0; i < 5; i++) {
		EXPECT_TRUE(meta_slots.insert(fixture.file->Publish({}).meta_slot.value).second);
	}
	EXPECT_EQ(OpenMessage(fixture.disk->Image(), confirmed), "");
}

TEST(PageFileTest, Law5OpenTakesExactlyTheNamedGeneration) {
	Fixture fixture;
	fixture.AddPages(5, 0);
	Marker first = fixture.file->Publish({});
	WritePage(*fixture.file, PageId(3), 99);
	fixture.AddPages(50, 200);
	Marker second = fixture.file->Publish({});

	fixture.Reopen(first);
	ExpectPage(*fixture.file, PageId(3), 3);
	EXPECT_EQ(fixture.file->PageIdEnd(), 5u);
	// All slots of the later generation are free: 5 pages, free list and meta page are in use.
	uint64_t slot_count = (fixture.disk->SizeBytes() - FILE_HEAD_SIZE) / PAGE_SIZE;
	EXPECT_EQ(fixture.file->FreeSlotCount(), slot_count - 7);
	fixture.ExpectSound();

	Marker wrong = second;
	wrong.meta_checksum++;
	EXPECT_NE(OpenMessage(fixture.disk->Image(), wrong), "");
	wrong = second;
	wrong.generation = Generation(7);
	std::string message = OpenMessage(fixture.disk->Image(), wrong);
	EXPECT_NE(message.find("holds generation 2, the database names 7: the file is older"), message.npos) << message;
	wrong = second;
	wrong.uuid[0]++;
	EXPECT_NE(OpenMessage(fixture.disk->Image(), wrong).find("identity"), std::string::npos);
	wrong = second;
	wrong.meta_slot = Slot(100000);
	EXPECT_NE(OpenMessage(fixture.disk->Image(), wrong), "");
	EXPECT_NE(OpenMessage(fixture.disk->Image(), Marker {UUID, Generation(0), Slot(0), 0}), "");
}

TEST(PageFileTest, Law5TheMessageTellsAnOverwrittenGeneration) {
	Fixture fixture;
	fixture.AddPages(5, 0);
	Marker first = fixture.file->Publish({});
	for (int i = 0; i < 6; i++) {
		fixture.file->Confirm(fixture.file->Current());
		WritePage(*fixture.file, PageId(0), i);
		fixture.file->Publish({});
	}
	std::string message = OpenMessage(fixture.disk->Image(), first);
	EXPECT_NE(message.find("holds generation 7, the database names 1: the file is newer"), message.npos) << message;
}

TEST(PageFileTest, Law7AFailedChangePoisonsForEver) {
	for (uint64_t failing = 0; failing < 6; failing++) {
		Fixture fixture;
		fixture.AddPages(5, 0);
		fixture.file->Publish({});
		fixture.disk->FailChange(failing);
		EXPECT_THROW(
		    {
			    WritePage(*fixture.file, PageId(0), 1);
			    fixture.file->Publish({});
		    },
		    FileError);
		EXPECT_TRUE(fixture.file->IsPoisoned());
		fixture.disk->FailChange(1000000);
		EXPECT_THROW(WritePage(*fixture.file, PageId(0), 1), FileError);
		EXPECT_THROW(fixture.file->FreePage(PageId(0)), FileError);
		EXPECT_THROW(fixture.file->WriteBlob(Text("x")), FileError);
		EXPECT_THROW(fixture.file->Publish({}), FileError);
		ExpectPage(*fixture.file, PageId(3), 3); // Reading goes on.
	}
}

TEST(PageFileTest, TheFileShrinksWhenItsEndIsFree) {
	Fixture fixture;
	fixture.AddPages(10, 0);
	std::vector<uint8_t> bytes(8000000);
	BlobRef blob = fixture.file->WriteBlob(ConstByteSpan(bytes));
	fixture.file->Publish({});
	uint64_t full = fixture.file->SizeBytes();
	fixture.file->FreeBlob(blob);
	Marker marker;
	for (int i = 0; i < 3; i++) { // Meta page and free list move down, then their former slots are free too.
		marker = fixture.file->Publish({});
		fixture.file->Confirm(marker.generation);
	}
	EXPECT_LT(fixture.file->SizeBytes(), full / 10);
	fixture.Reopen(marker);
	ExpectPage(*fixture.file, PageId(9), 9);
	fixture.ExpectSound();
}

TEST(PageFileTest, PagesMoveFromTheEndToFreeSlotsAndTheFileIsCut) {
	constexpr uint32_t PAGE_COUNT = 3000;
	Fixture fixture;
	fixture.AddPages(PAGE_COUNT, 0);
	Marker marker = fixture.file->Publish({});
	const uint64_t full = fixture.file->SizeBytes();
	// Every third page is left, all over the file, and half of the pages of the map lie at its end.
	for (uint32_t id = 0; id < PAGE_COUNT; id++) {
		if (id % 3 != 0) {
			fixture.file->FreePage(PageId(id));
		}
	}
	marker = fixture.file->Publish({});
	fixture.file->Confirm(marker.generation);
	EXPECT_EQ(fixture.file->MoveTail(10), 10U);
	uint32_t moved = 0;
	do {
		moved = fixture.file->MoveTail(100);
	} while (moved == 100);
	EXPECT_EQ(fixture.file->MoveTail(100), 0U);
	const Marker before = marker;
	marker = fixture.file->Publish({});
	EXPECT_EQ(OpenMessage(fixture.disk->Image(), before), "") << "nothing of the confirmed generation was written";
	fixture.file->Confirm(marker.generation);
	// The free list needs a run of slots, which only became free by this.
	EXPECT_FALSE(fixture.file->IsPacked());
	EXPECT_EQ(fixture.file->MoveTail(100), 0U);
	marker = fixture.file->Publish({});
	fixture.file->Confirm(marker.generation);
	fixture.file->ScrubFreeSlots();
	EXPECT_LT(fixture.file->SizeBytes(), full / 3 + full / 20);
	fixture.Reopen(marker);
	for (uint32_t id = 0; id < PAGE_COUNT; id += 3) {
		ExpectPage(*fixture.file, PageId(id), id);
	}
	fixture.ExpectSound();
}

TEST(PageFileTest, TheSameCallsGiveTheSameBytes) {
	auto make = []() {
		Fixture fixture;
		for (int round = 0; round < 3; round++) {
			fixture.AddPages(50, round);
			for (uint32_t id = 0; id < 50; id += 3) {
				WritePage(*fixture.file, PageId(id), id + round);
			}
			fixture.file->Confirm(fixture.file->Publish({}).generation);
		}
		return fixture.disk->Image();
	};
	EXPECT_EQ(make(), make());
}

TEST(PageFileTest, AReadWhosePageMovesMeanwhileIsRepeated) {
	HookedFile *hooked = new HookedFile();
	auto file = PageFile::Create(std::unique_ptr<File>(hooked), PAGE_SIZE, UUID, {});
	file->ReservePages(2);
	WritePage(*file, PageId(0), 1);
	hooked->before_batch = [&]() {
		WritePage(*file, PageId(0), 2); // Frees slot 0, which no generation reaches,
		WritePage(*file, PageId(1), 3); // and page 1 takes it.
	};
	ExpectPage(*file, PageId(0), 2);
	ExpectPage(*file, PageId(1), 3);
}

TEST(PageFileTest, ReadersBesideTheChangingThreadAlwaysSeeAWholePage) {
	auto file = PageFile::Create(std::make_unique<MemoryFile>(), PAGE_SIZE, UUID, {});
	constexpr uint32_t PAGE_COUNT = 700;
	file->ReservePages(PAGE_COUNT);
	AlignedBuffer<uint8_t> pages = MakePage(0, PAGE_COUNT);
	file->WritePages(PageId(0), PageKind::NODES, pages.span());
	std::atomic<bool> is_done {false};
	std::vector<std::thread> readers;
	for (uint32_t reader = 0; reader < 3; reader++) {
		readers.emplace_back([&, reader]() {
			AlignedBuffer<uint8_t> page(PAGE_SIZE);
			for (uint32_t i = reader; !is_done; i += 7) {
				PageId id(i % PAGE_COUNT);
				file->ReadPage(id, PageKind::NODES, page.span());
				// Contents are id + 256 * anything, so all versions of a page look the same here.
				ASSERT_EQ(page[1000], MakePage(id.value)[1000]);
			}
		});
	}
	for (uint32_t i = 0; i < 3000; i++) {
		uint32_t id = (i * 37) % PAGE_COUNT;
		WritePage(*file, PageId(id), id + 256 * i);
		if (i % 100 == 99) {
			file->Confirm(file->Publish({}).generation);
		}
	}
	is_done = true;
	for (std::thread &reader : readers) {
		reader.join();
	}
	EXPECT_EQ(file->Verify(), std::vector<std::string>());
}

} // namespace lm_diskann
