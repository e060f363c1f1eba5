// Property: damage that a medium, a backup or a user can do to an index file is found, with a message that says what
// was expected and found, or it changes nothing: no answer is wrong in silence.
#include "base/error.hpp"
#include "base/random.hpp"
#include "fuzz/index_image.hpp"
#include "index/index_state.hpp"
#include "sim/sim_file.hpp"
#include "unit/index_rows.hpp"

#include <cstring>
#include <gmock/gmock.h>

namespace lm_diskann {
namespace {

using namespace fuzz;
using testing::AllOf;
using testing::HasSubstr;

//! What an index says when everything is asked.
struct Answers {
	std::vector<RowId> rows;
	std::vector<std::pair<float, int64_t>> neighbors;

	friend bool operator==(const Answers &a, const Answers &b) {
		return a.rows == b.rows && a.neighbors == b.neighbors;
	}
};

Answers Ask(AnnIndex &index) {
	Answers answers;
	answers.rows = RowIdsOf(index);
	for (uint64_t content = 0; content < 3; content++) {
		const IndexConfiguration &configuration = index.Configuration();
		const std::vector<float> query = MakeVector(configuration.dims, configuration.element_type, content);
		for (const Neighbor &neighbor : index.Search(query.data(), 1000, 10, 4).Next(1000)) {
			answers.neighbors.emplace_back(neighbor.distance, neighbor.row_id.value);
		}
	}
	return answers;
}

//! Opens the image and asks everything. Returns the message of the first error, of opening, of an answer or of Verify;
//! none: all is right. A wrong answer that Verify does not know fails the test.
std::string Damage(const IndexImage &image, const Answers &expected) {
	try {
		const auto index = OpenImage(image);
		const std::vector<std::string> violations = index->Verify();
		if (Ask(*index) == expected) {
			return violations.empty() ? "" : violations.front();
		}
		EXPECT_FALSE(violations.empty()) << "a wrong answer in silence";
		return violations.empty() ? "" : violations.front();
	} catch (const CorruptionError &error) {
		return error.what();
	}
}

uint64_t MetaOffset(const IndexImage &image) {
	return image.OffsetOf(image.marker.meta_slot.value);
}

//! Slots of the node pages in use: of two copies of a page the later one.
std::vector<uint64_t> NodeSlots(const IndexImage &image) {
	std::map<uint32_t, std::pair<uint64_t, uint64_t>> latest; // page id -> generation, slot
	for (uint64_t slot = 0; slot < image.SlotCount(); slot++) {
		PageHead head;
		std::memcpy(&head, image.bytes.data() + image.OffsetOf(slot), sizeof(head));
		if (head.kind == PageKind::NODES) {
			auto &entry = latest[head.id];
			entry = std::max(entry, {head.generation, slot});
		}
	}
	std::vector<uint64_t> slots;
	for (const auto &entry : latest) {
		slots.push_back(entry.second.second);
	}
	return slots;
}

TEST(AnnIndexDamage, EachLayerHasItsOwnMessage) {
	struct Case {
		const char *name;
		void (*change)(IndexImage &image);
		const char *expected;
		const char *found;
	};
	const Case cases[] = {
	    {"size", [](IndexImage &image) { image.bytes.resize(1000); }, "size of the file must be at least 16384 bytes",
	     "found 1000 bytes"},
	    {"magic", [](IndexImage &image) { image.bytes[8] = 'l'; },
	     "does not begin as an LM_DISKANN file: expected 4c4d4449534b414e", "found 6c4d4449534b414e"},
	    {"version", [](IndexImage &image) { image.bytes[16] = 2; }, "format version must be 1", "found 2"},
	    {"checksum of the head", [](IndexImage &image) { image.bytes[100] ^= 1; }, "checksum of the head must be",
	     "found "},
	    {"identity", [](IndexImage &image) { image.marker.uuid[0] = 0xAB; },
	     "identity of the file must be ab000000000000000000000000000000", "found 01000000000000000000000000000000"},
	    {"generation", [](IndexImage &image) { image.marker.generation = Generation(7); },
	     "the file holds generation 2, the database names 7: the file is older", "its meta page has generation 2"},
	    {"checksum of the meta page", [](IndexImage &image) { image.marker.meta_checksum = 5; },
	     "the database names checksum 5", "its meta page has generation 2 and checksum"},
	    {"bytes of the meta page", [](IndexImage &image) { image.bytes[MetaOffset(image) + 40] ^= 1; },
	     "the file holds generation 2, the database names 2", "its bytes give"},
	    {"meta page", [](IndexImage &image) { image.marker.meta_slot = Slot(0); }, "expected meta page 0",
	     "found node page 0"},
	    {"length", [](IndexImage &image) { image.bytes.resize(MetaOffset(image)); }, "is beyond the file of", "slots"},
	    {"configuration", [](IndexImage &image) { image.configuration.max_degree++; },
	     "another configuration than the database names: R must be 9", "found 8"},
	};
	std::map<std::string, std::string> names;
	for (const Case &item : cases) {
		SCOPED_TRACE(item.name);
		IndexImage image = Images()[0];
		item.change(image);
		const std::string message = OpenMessage(image);
		EXPECT_THAT(message, AllOf(HasSubstr(item.expected), HasSubstr(item.found)));
		EXPECT_TRUE(names.emplace(message, item.name).second) << "the same message as " << names[message];
	}
}

TEST(AnnIndexDamage, EveryFieldOfAConfigurationIsCompared) {
	using Configuration = IndexConfiguration;
	const std::pair<const char *, void (*)(Configuration &)> cases[] = {
	    {"metric must be ip, found l2sq", [](Configuration &wanted) { wanted.metric = Metric::IP; }},
	    {"element type must be INT8", [](Configuration &wanted) { wanted.element_type = ElementType::INT8; }},
	    {"vector storage must be f16", [](Configuration &wanted) { wanted.vectors = VectorStorage::F16; }},
	    {"code family must be 1bit", [](Configuration &wanted) { wanted.codes = CodeFamily::ONE_BIT; }},
	    {"dimensions must be 9, found 8", [](Configuration &wanted) { wanted.dims = 9; }},
	    {"R must be 7, found 8", [](Configuration &wanted) { wanted.max_degree = 7; }},
	    {"L_build must be 11", [](Configuration &wanted) { wanted.l_build = 11; }},
	    {"L_search must be 11", [](Configuration &wanted) { wanted.l_search = 11; }},
	    {"alpha must be 1.25", [](Configuration &wanted) { wanted.alpha = 1.25; }},
	    {"block size must be 8192, found 4096", [](Configuration &wanted) { wanted.page_size = 8192; }},
	    {"seed must be 1, found 42", [](Configuration &wanted) { wanted.seed = 1; }},
	};
	for (const auto &[message, change] : cases) {
		IndexImage image = Images()[0];
		change(image.configuration);
		EXPECT_THAT(OpenMessage(image), HasSubstr(message));
	}
}

TEST(AnnIndexDamage, AFileCutAnywhereIsRefusedOrWhole) {
	for (const IndexImage &image : Images()) {
		const Answers expected = Ask(*OpenImage(image));
		std::vector<uint64_t> sizes = {0, 1, SECTOR_SIZE, FILE_HEAD_SIZE - 1, FILE_HEAD_SIZE, FILE_HEAD_SIZE + 1};
		for (uint64_t slot = 1; slot <= image.SlotCount(); slot++) {
			const uint64_t end = image.OffsetOf(slot);
			sizes.insert(sizes.end(), {end - 1, end, end + 1});
		}
		size_t refused_count = 0;
		for (const uint64_t size : sizes) {
			IndexImage cut = image;
			cut.bytes.resize(size);
			const std::string message = Damage(cut, expected);
			EXPECT_EQ(message, OpenMessage(cut)) << "found only after opening, at " << size << " bytes";
			refused_count += message.empty() ? 0 : 1;
		}
		// What may be missing lies behind the last slot in use.
		EXPECT_GT(refused_count, 6U);
	}
}

//! Sets each 4-byte word of the image's bytes [begin, end) to several values, sealed or not.
void ChangeWords(const IndexImage &image, uint64_t begin, uint64_t end, void (*seal)(IndexImage &image),
                 size_t &found_count) {
	const Answers expected = Ask(*OpenImage(image));
	for (uint64_t offset = begin; offset < end; offset += sizeof(uint32_t)) {
		uint32_t word;
		std::memcpy(&word, image.bytes.data() + offset, sizeof(word));
		for (const uint32_t value : {0U, word + 1, word - 1, word ^ (1U << 30), UINT32_MAX}) {
			SCOPED_TRACE("word at " + std::to_string(offset) + " set to " + std::to_string(value));
			IndexImage changed = image;
			std::memcpy(changed.bytes.data() + offset, &value, sizeof(value));
			if (seal) {
				seal(changed);
			}
			const std::string message = Damage(changed, expected);
			EXPECT_TRUE(value != word || message.empty() || seal) << message;
			found_count += message.empty() ? 0 : 1;
		}
	}
}

TEST(AnnIndexDamage, EachFieldOfTheHeadIsFoundOrHarmless) {
	for (const IndexImage &image : Images()) {
		size_t found_count = 0;
		// Without a seal every change of the file head and the configuration is found.
		const uint64_t end = sizeof(FileHead) + 48;
		ChangeWords(image, 0, end, nullptr, found_count);
		EXPECT_GE(found_count, end / 4 * 3);
		ChangeWords(image, 0, end, ResealHead, found_count);
	}
}

TEST(AnnIndexDamage, EachFieldOfMetaPageAndRootsIsFoundOrHarmless) {
	const auto seal = [](IndexImage &image) { ResealPage(image, image.marker.meta_slot.value); };
	for (const IndexImage &image : Images()) {
		const uint64_t begin = MetaOffset(image);
		const uint64_t end = begin + sizeof(PageHead) + sizeof(MetaHead) + sizeof(StoredRoots);
		size_t found_count = 0;
		ChangeWords(image, begin, end, nullptr, found_count);
		EXPECT_GE(found_count, (end - begin) / 4 * 3);
		ChangeWords(image, begin + sizeof(PageHead), end, seal, found_count);
	}
}

TEST(AnnIndexDamage, StampsAreNeverNeeded) {
	for (const IndexImage &image : Images()) {
		size_t found_count = 0;
		ChangeWords(image, SECTOR_SIZE, SECTOR_SIZE + sizeof(StampedMarker), nullptr, found_count);
		ChangeWords(image, 2 * SECTOR_SIZE, 2 * SECTOR_SIZE + sizeof(StampedMarker), nullptr, found_count);
		EXPECT_EQ(found_count, 0U);
	}
}

TEST(AnnIndexDamage, RandomBytesAreFoundOrHarmless) {
	const auto seed = uint64_t(4242);
	SCOPED_TRACE("seed " + std::to_string(seed));
	Random random(seed);
	for (size_t i = 0; i < Images().size(); i++) {
		const IndexImage &image = Images()[i];
		const Answers expected = Ask(*OpenImage(image));
		for (int round = 0; round < 200; round++) {
			IndexImage changed = image;
			const uint64_t offset = random.Next() % image.bytes.size();
			const uint64_t size = std::min<uint64_t>(1 + random.Next() % 64, image.bytes.size() - offset);
			for (uint64_t at = offset; at < offset + size; at++) {
				changed.bytes[at] = uint8_t(random.Next());
			}
			SCOPED_TRACE("image " + std::to_string(i) + ", offset " + std::to_string(offset));
			Damage(changed, expected);
		}
	}
}

TEST(AnnIndexDamage, EveryFlippedBitOfANodePageIsFound) {
	const auto seed = uint64_t(99);
	SCOPED_TRACE("seed " + std::to_string(seed));
	Random random(seed);
	for (size_t i = 0; i < 5; i++) { // the sixth has no node
		const IndexImage &image = Images()[i];
		const std::vector<uint64_t> slots = NodeSlots(image);
		for (int round = 0; round < 200; round++) {
			IndexImage changed = image;
			const uint64_t offset =
			    image.OffsetOf(slots[random.Next() % slots.size()]) + random.Next() % image.configuration.page_size;
			changed.bytes[offset] ^= uint8_t(1U << (random.Next() % 8));
			const auto index = OpenImage(changed);
			EXPECT_FALSE(index->Verify().empty()) << offset;
			EXPECT_THROW(index->CollectRows(), CorruptionError) << offset;
			EXPECT_THROW(Ask(*index), CorruptionError) << offset;
		}
	}
}

} // namespace
} // namespace lm_diskann
