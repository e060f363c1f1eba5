// Property: whatever is written, freed, published and confirmed, and wherever the power fails, opening the file with a
// marker that the host had named gives exactly that generation, and Verify finds nothing.
//
// A random script runs on a SimDisk beside a model: the contents as they are, and as they were at each publish. A host
// names some of the generations; only a named one may be confirmed, and only the last named one is opened after a
// crash. Crashes come at random operations, or at every operation of one script.
#include "base/error.hpp"
#include "sim/sim_file.hpp"
#include "storage/page_file.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <optional>
#include <set>

namespace lm_diskann {

namespace {

constexpr uint32_t PAGE_SIZE = 4096;

//! What a generation holds: the seeds of page and blob contents.
struct Contents {
	std::map<uint32_t, uint32_t> pages;
	std::map<uint32_t, std::pair<BlobRef, uint32_t>> blobs;
	uint32_t roots_seed = 0;
};

std::vector<uint8_t> MakeBytes(uint32_t seed, size_t size) {
	std::vector<uint8_t> bytes(size);
	for (size_t i = 0; i < size; i++) {
		bytes[i] = uint8_t(seed * 197 + (seed >> 8) * 31 + i * 7);
	}
	return bytes;
}

class Script {
public:
	explicit Script(uint64_t seed) : random(seed), disk(SimDisk::Make(seed * 7919 + 1)) {
		file = PageFile::Create(disk->OpenFile(), PAGE_SIZE, Uuid {9}, {});
	}

	//! Runs up to `step_count` steps; stops at a failing change. False if one failed.
	bool Run(int step_count) {
		try {
			for (int i = 0; i < step_count; i++) {
				Step();
			}
		} catch (const FileError &) {
			EXPECT_TRUE(file->IsPoisoned());
			return false;
		}
		return true;
	}

	//! Loses power, opens what the host named and checks it. False: nothing was ever named.
	bool CrashAndReopen() {
		disk = disk->Crash();
		file.reset();
		if (!named) {
			return false;
		}
		file = PageFile::Open(disk->OpenFile(), named->first);
		now = named->second;
		Check();
		return true;
	}

	void Check() const {
		EXPECT_EQ(file->Verify(), std::vector<std::string>());
		EXPECT_EQ(std::vector<uint8_t>(file->Roots().begin(), file->Roots().end()), MakeBytes(now.roots_seed, 100));
		for (uint32_t id = 0; id < file->PageIdEnd(); id++) {
			AlignedBuffer<uint8_t> page(PAGE_SIZE);
			auto found = now.pages.find(id);
			if (found == now.pages.end()) {
				EXPECT_THROW(file->ReadPage(PageId(id), PageKind::NODES, page.span()), CorruptionError);
				continue;
			}
			file->ReadPage(PageId(id), PageKind::NODES, page.span());
			std::vector<uint8_t> expected = MakeBytes(found->second, PAGE_SIZE - sizeof(PageHead));
			EXPECT_EQ(std::memcmp(page.data() + sizeof(PageHead), expected.data(), expected.size()), 0) << id;
		}
		for (const auto &[index, blob] : now.blobs) {
			EXPECT_EQ(file->ReadBlob(blob.first), MakeBytes(blob.second, blob.first.size_bytes)) << index;
		}
	}

	std::mt19937_64 random;
	std::shared_ptr<SimDisk> disk;
	std::unique_ptr<PageFile> file;

private:
	void Step() {
		uint64_t choice = random() % 100;
		if (choice < 15) {
			WriteRun();
		} else if (choice < 50) {
			RewritePage();
		} else if (choice < 62) {
			FreePage();
		} else if (choice < 74) {
			WriteBlob();
		} else if (choice < 80) {
			FreeBlob();
		} else if (choice < 92) {
			Publish();
		} else if (named) {
			file->Confirm(named->first.generation);
		}
	}
	void WriteRun() {
		auto count = uint32_t(1 + random() % 6);
		PageId first = file->ReservePages(count);
		AlignedBuffer<uint8_t> pages(size_t(count) * PAGE_SIZE);
		uint32_t seed = next_seed;
		next_seed += count;
		for (uint32_t i = 0; i < count; i++) {
			std::vector<uint8_t> bytes = MakeBytes(seed + i, PAGE_SIZE - sizeof(PageHead));
			std::memcpy(pages.data() + size_t(i) * PAGE_SIZE + sizeof(PageHead), bytes.data(), bytes.size());
		}
		file->WritePages(first, PageKind::NODES, pages.span());
		for (uint32_t i = 0; i < count; i++) {
			now.pages[first.value + i] = seed + i;
		}
	}
	//! A random page that has bytes.
	std::optional<uint32_t> AnyPage() {
		if (now.pages.empty()) {
			return std::nullopt;
		}
		return std::next(now.pages.begin(), long(random() % now.pages.size()))->first;
	}
	void RewritePage() {
		if (std::optional<uint32_t> id = AnyPage()) {
			uint32_t seed = next_seed++;
			std::vector<uint8_t> bytes = MakeBytes(seed, PAGE_SIZE - sizeof(PageHead));
			AlignedBuffer<uint8_t> page(PAGE_SIZE);
			std::memcpy(page.data() + sizeof(PageHead), bytes.data(), bytes.size());
			file->WritePage(PageId(*id), PageKind::NODES, page.span());
			now.pages[*id] = seed;
		}
	}
	void FreePage() {
		if (std::optional<uint32_t> id = AnyPage()) {
			file->FreePage(PageId(*id));
			now.pages.erase(*id);
		}
	}
	void WriteBlob() {
		uint32_t seed = next_seed++;
		std::vector<uint8_t> bytes = MakeBytes(seed, random() % 20000);
		now.blobs[seed] = {file->WriteBlob(ConstByteSpan(bytes)), seed};
	}
	void FreeBlob() {
		if (!now.blobs.empty()) {
			auto blob = now.blobs.begin();
			file->FreeBlob(blob->second.first);
			now.blobs.erase(blob);
		}
	}
	void Publish() {
		now.roots_seed = next_seed++;
		std::vector<uint8_t> roots = MakeBytes(now.roots_seed, 100);
		Marker marker = file->Publish(ConstByteSpan(roots));
		if (random() % 3 != 0) {
			named = {marker, now};
		}
	}

	Contents now;
	std::optional<std::pair<Marker, Contents>> named;
	uint32_t next_seed = 1;
};

} // namespace

TEST(PageFileSimTest, ReopeningAfterACrashGivesExactlyTheNamedGeneration) {
	for (uint64_t seed = 0; seed < 200; seed++) {
		SCOPED_TRACE("seed " + std::to_string(seed));
		Script script(seed);
		for (int crash = 0; crash < 4; crash++) {
			if (script.random() % 2 == 0) {
				script.disk->FailChange(script.random() % 60);
			}
			script.Run(int(20 + script.random() % 60));
			if (!script.CrashAndReopen()) {
				break;
			}
		}
		ASSERT_FALSE(HasFailure());
	}
}

TEST(PageFileSimTest, EveryChangeOfOneScriptMayFail) {
	constexpr uint64_t SEED = 4;
	constexpr int STEP_COUNT = 100;
	uint64_t change_count;
	{
		Script script(SEED);
		ASSERT_TRUE(script.Run(STEP_COUNT));
		change_count = script.disk->ChangeCount();
	}
	ASSERT_GT(change_count, 50u);
	for (uint64_t failing = 2; failing < change_count; failing++) { // The first two make the head.
		SCOPED_TRACE("seed " + std::to_string(SEED) + ", change " + std::to_string(failing));
		Script script(SEED);
		script.disk->FailChange(failing - script.disk->ChangeCount());
		EXPECT_FALSE(script.Run(STEP_COUNT));
		if (script.CrashAndReopen()) {
			EXPECT_TRUE(script.Run(20));
			script.CrashAndReopen();
		}
		ASSERT_FALSE(HasFailure());
	}
}

} // namespace lm_diskann
