#include "sim/page_file_sim.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <cstring>

namespace lm_diskann {

namespace {

constexpr uint32_t PAGE_SIZE = 4096;
constexpr size_t ROOTS_BYTES = 100;

std::vector<uint8_t> MakeBytes(uint32_t seed, size_t size) {
	std::vector<uint8_t> bytes(size);
	for (size_t i = 0; i < size; i++) {
		bytes[i] = uint8_t(seed * 197 + (seed >> 8) * 31 + i * 7);
	}
	return bytes;
}

void FillPage(uint8_t *page, uint32_t seed) {
	const std::vector<uint8_t> bytes = MakeBytes(seed, PAGE_SIZE - sizeof(PageHead));
	std::memcpy(page + sizeof(PageHead), bytes.data(), bytes.size());
}

} // namespace

PageFileSim::PageFileSim(uint64_t seed) : random(seed), disk(SimDisk::Make(seed * 7919 + 1)) {
	file = PageFile::Create(disk->OpenFile(), PAGE_SIZE, Uuid {9}, {});
	totals.seeds = 1;
}

SimTotals PageFileSim::RunLives() {
	for (int life = 0; life < 4; life++) {
		if (random() % 4 != 0) {
			disk->Inject(RandomFault(random, 80));
		}
		RunSteps(int(20 + random() % 60));
		if (!CrashAndReopen()) {
			break;
		}
	}
	return totals;
}

bool PageFileSim::RunSteps(int step_count) {
	for (int i = 0; i < step_count && !file->IsPoisoned(); i++) {
		const uint64_t faults = disk->FaultCount();
		const uint64_t changes = disk->ChangeCount();
		totals.steps++;
		try {
			Step();
			Require(!file->IsPoisoned(), "a poisoned file says so");
		} catch (const FileError &error) {
			Require(disk->FaultCount() > faults, std::string("an error without a fault: ") + error.what());
			Require(file->IsPoisoned() || disk->ChangeCount() == changes, "a failed change poisons the file");
		} catch (const CorruptionError &error) {
			Require(disk->FaultCount() > faults, std::string("corruption without a fault: ") + error.what());
			Require(file->IsPoisoned() || disk->ChangeCount() == changes, "a half-done change poisons the file");
		}
	}
	return !file->IsPoisoned();
}

bool PageFileSim::CrashAndReopen() {
	totals.faults += disk->FaultCount();
	totals.crashes++;
	disk = disk->Crash();
	file.reset();
	if (!named) {
		return false;
	}
	file = PageFile::Open(disk->OpenFile(), named->first);
	now = named->second;
	published = now;
	Check();
	return true;
}

// --- the oracle ------------------------------------------------------------------------------------------------------

void PageFileSim::Check() const {
	std::vector<BlobRef> blobs;
	for (const auto &[index, blob] : published.blobs) {
		blobs.push_back(blob.first);
	}
	const std::vector<std::string> findings = file->Verify(blobs);
	Require(findings.empty(), findings.empty() ? "" : findings.front());
	const ConstByteSpan roots = file->Roots();
	Require(std::vector<uint8_t>(roots.begin(), roots.end()) == MakeBytes(now.roots_seed, ROOTS_BYTES),
	        "the roots are those of the named generation");
	for (uint32_t id = 0; id < file->PageIdEnd(); id++) {
		CheckPage(PageId(id));
	}
	for (const auto &[index, blob] : now.blobs) {
		Require(file->ReadBlob(blob.first) == MakeBytes(blob.second, blob.first.size_bytes),
		        "blob " + std::to_string(index) + " holds what was written");
	}
}

void PageFileSim::CheckPage(PageId id) const {
	AlignedBuffer<uint8_t> page(PAGE_SIZE);
	const auto found = now.pages.find(id.value);
	bool is_present = true;
	try {
		file->ReadPage(id, PageKind::NODES, page.span());
	} catch (const CorruptionError &) {
		is_present = false;
	}
	const std::string name = "page " + std::to_string(id.value);
	Require(is_present == (found != now.pages.end()), name + " is present when it was written, and only then");
	if (is_present) {
		const std::vector<uint8_t> expected = MakeBytes(found->second, PAGE_SIZE - sizeof(PageHead));
		Require(std::equal(expected.begin(), expected.end(), page.data() + sizeof(PageHead)),
		        name + " holds what was written");
	}
}

// --- steps -----------------------------------------------------------------------------------------------------------

void PageFileSim::Step() {
	const uint64_t choice = random() % 100;
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
	} else if (choice < 91) {
		Publish();
	} else if (choice < 95) {
		file->MoveTail(uint32_t(1 + random() % 20));
	} else if (named) {
		file->Confirm(named->first.generation);
	}
}

void PageFileSim::WriteRun() {
	const auto count = uint32_t(1 + random() % 6);
	const PageId first = file->ReservePages(count);
	AlignedBuffer<uint8_t> pages(size_t(count) * PAGE_SIZE);
	const uint32_t seed = next_seed;
	next_seed += count;
	for (uint32_t i = 0; i < count; i++) {
		FillPage(pages.data() + size_t(i) * PAGE_SIZE, seed + i);
	}
	file->WritePages(first, PageKind::NODES, pages.span());
	for (uint32_t i = 0; i < count; i++) {
		now.pages[first.value + i] = seed + i;
	}
}

std::optional<uint32_t> PageFileSim::AnyPage() {
	if (now.pages.empty()) {
		return std::nullopt;
	}
	return std::next(now.pages.begin(), ptrdiff_t(random() % now.pages.size()))->first;
}

void PageFileSim::RewritePage() {
	if (const std::optional<uint32_t> id = AnyPage()) {
		const uint32_t seed = next_seed++;
		AlignedBuffer<uint8_t> page(PAGE_SIZE);
		FillPage(page.data(), seed);
		file->WritePage(PageId(*id), PageKind::NODES, page.span());
		now.pages[*id] = seed;
	}
}

void PageFileSim::FreePage() {
	if (const std::optional<uint32_t> id = AnyPage()) {
		file->FreePage(PageId(*id));
		now.pages.erase(*id);
	}
}

void PageFileSim::WriteBlob() {
	const uint32_t seed = next_seed++;
	const std::vector<uint8_t> bytes = MakeBytes(seed, random() % 20000);
	now.blobs[seed] = {file->WriteBlob(ConstByteSpan(bytes)), seed};
}

void PageFileSim::FreeBlob() {
	if (!now.blobs.empty()) {
		const auto blob = now.blobs.begin();
		file->FreeBlob(blob->second.first);
		now.blobs.erase(blob);
	}
}

void PageFileSim::Publish() {
	now.roots_seed = next_seed++;
	const std::vector<uint8_t> roots = MakeBytes(now.roots_seed, ROOTS_BYTES);
	const Marker marker = file->Publish(ConstByteSpan(roots));
	published = now;
	if (random() % 3 != 0) {
		named = {marker, now};
	}
}

} // namespace lm_diskann
