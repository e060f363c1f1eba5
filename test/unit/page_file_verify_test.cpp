// Property: every slot of a published generation has exactly one owner or is free, and Verify says where that fails: a
// slot that nobody reaches, a slot that two reach, a blob that is not where its owner says.
#include "unit/page_file_fixture.hpp"

#include <gmock/gmock.h>

namespace lm_diskann {

using namespace page_file_test;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

//! Five pages and two blobs of two slots each: slots 0 to 4, 5 and 6, 7 and 8.
struct BlobFixture : Fixture {
	BlobFixture() {
		AddPages(5, 0);
		const std::vector<uint8_t> bytes(5000, 7);
		blobs = {file->WriteBlob(ConstByteSpan(bytes)), file->WriteBlob(ConstByteSpan(bytes))};
		file->Publish({});
	}

	std::vector<BlobRef> blobs;
};

} // namespace

TEST(PageFileVerifyTest, NamedBlobsMakeASoundFile) {
	BlobFixture fixture;
	fixture.ExpectSound(fixture.blobs);
	fixture.file->FreeBlob(fixture.blobs[0]);
	fixture.ExpectSound(fixture.blobs); // The published generation still reaches it.
	fixture.file->Publish({});
	fixture.ExpectSound({fixture.blobs[1]}); // Its slots wait in quarantine.
	fixture.file->Confirm(fixture.file->Current());
	fixture.ExpectSound({fixture.blobs[1]});
}

TEST(PageFileVerifyTest, ABlobThatItsOwnerForgotIsLost) {
	BlobFixture fixture;
	EXPECT_THAT(fixture.file->Verify({}), ElementsAre(HasSubstr("4 slots from slot 5 are neither free nor reached")));
	EXPECT_THAT(fixture.file->Verify(Span<const BlobRef>(fixture.blobs.data(), 1)),
	            ElementsAre(HasSubstr("2 slots from slot 7 are neither free nor reached")));
}

TEST(PageFileVerifyTest, ABlobThatSharesSlotsHasASecondOwner) {
	BlobFixture fixture;
	std::vector<BlobRef> blobs = fixture.blobs;
	blobs.push_back(blobs[0]);
	EXPECT_THAT(fixture.file->Verify(blobs), ElementsAre(HasSubstr("slot 5 of the blob from slot 5 has a second owner"),
	                                                     HasSubstr("slot 6 of the blob from slot 5")));
	blobs = fixture.blobs;
	blobs[1].first = Slot(6);
	EXPECT_THAT(fixture.file->Verify(blobs), ElementsAre(HasSubstr("slot 6 of the blob from slot 6 has a second owner"),
	                                                     HasSubstr("1 slots from slot 8 are neither")));
	// A freed blob that is still named overlaps the free list.
	fixture.file->FreeBlob(fixture.blobs[0]);
	fixture.file->Publish({});
	EXPECT_THAT(fixture.file->Verify(fixture.blobs),
	            ElementsAre(HasSubstr("slot 5 of"), HasSubstr("slot 6 of the blob from slot 5 has a second owner")));
}

TEST(PageFileVerifyTest, ABlobBeyondTheGenerationIsFound) {
	BlobFixture fixture;
	std::vector<BlobRef> blobs = fixture.blobs;
	blobs.push_back(BlobRef {UINT64_MAX, Slot(4000000000U)});
	EXPECT_THAT(fixture.file->Verify(blobs), ElementsAre(HasSubstr("is beyond the generation's")));
}

} // namespace lm_diskann
