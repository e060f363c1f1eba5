#include "storage/page_file_state.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <cstring>

namespace lm_diskann {

namespace {

//! The file grows by its own size, but not by less than 64 KiB nor more than 1 MiB at a time.
constexpr uint64_t GROWTH_BYTES_MIN = uint64_t(64) << 10;
constexpr uint64_t GROWTH_BYTES_MAX = uint64_t(1) << 20;

} // namespace

MapPageCache::MapPageCache(uint32_t page_size) : places(CAPACITY_BYTES / page_size) {
}

bool MapPageCache::Find(Slot slot, ByteSpan page) const {
	std::shared_lock<std::shared_mutex> guard(lock);
	const Place &place = places[slot.value % places.size()];
	if (!place.is_used || place.slot != slot) {
		return false;
	}
	std::memcpy(page.data(), place.page.data(), page.size());
	return true;
}

void MapPageCache::Put(Slot slot, ConstByteSpan page) {
	std::unique_lock<std::shared_mutex> guard(lock);
	Place &place = places[slot.value % places.size()];
	if (place.page.size() == 0) {
		place.page = AlignedBuffer<uint8_t>(page.size());
	}
	std::memcpy(place.page.data(), page.data(), page.size());
	place.slot = slot;
	place.is_used = true;
}

void MapPageCache::Remove(Slot slot) {
	std::unique_lock<std::shared_mutex> guard(lock);
	Place &place = places[slot.value % places.size()];
	if (place.slot == slot) {
		place.is_used = false;
	}
}

PageFile::State::State(PageFile &owner_p) : owner(owner_p), map(MapSpace(), RadixRoot()), map_pages(owner_p.page_size) {
}

// --- slots -----------------------------------------------------------------------------------------------------------

void PageFile::State::CheckSlotsInFile(Slot first, uint64_t count) const {
	uint64_t end = capacity.load(std::memory_order_acquire);
	if (first.value >= end || count > end - first.value) {
		throw CorruptionError("page file: " + std::to_string(count) + " slots from slot " +
		                      std::to_string(first.value) + " are beyond the file of " + std::to_string(end) +
		                      " slots");
	}
}

std::optional<std::string> PageFile::State::FindFault(ConstByteSpan page, PageIdentity identity, Slot slot,
                                                      Generation written_until) const {
	const PageHead head = ReadPageHead(page);
	const bool is_newer = !(Generation(head.generation) <= written_until);
	if (is_newer && !FindPageFault(page, PageIdentity {head.kind, head.id}, slot)) {
		return "slot " + std::to_string(slot.value) + " was written by generation " + std::to_string(head.generation) +
		       ", after the one that is open: the file is newer than the database (restored backup?)";
	}
	return FindPageFault(page, identity, slot);
}

void PageFile::State::ReadSlot(Slot slot, PageIdentity identity, ByteSpan page) const {
	CheckSlotsInFile(slot, 1);
	owner.file->Read(OffsetOf(slot), page);
	owner.counters.pages_read.fetch_add(1, std::memory_order_relaxed);
	if (auto fault = FindFault(ConstByteSpan(page.data(), page.size()), identity, slot, NextGeneration())) {
		throw CorruptionError("page file: " + *fault);
	}
}

Slot PageFile::State::AllocateSlots(uint32_t count) {
	Slot first;
	uint64_t needed;
	{
		std::unique_lock<std::shared_mutex> guard(lock);
		first = slots.Allocate(count);
		needed = slots.SlotEnd();
	}
	uint64_t present = capacity.load(std::memory_order_relaxed);
	if (needed > present) {
		uint64_t step_bytes = std::clamp(present * owner.page_size, GROWTH_BYTES_MIN, GROWTH_BYTES_MAX);
		ResizeFile(std::max(needed, present + step_bytes / owner.page_size));
	}
	return first;
}

void PageFile::State::ReleaseSlots(Slot first, uint64_t count) {
	std::unique_lock<std::shared_mutex> guard(lock);
	for (uint64_t i = 0; i < count; i++) {
		slots.Release(Slot(uint32_t(first.value + i)));
	}
}

// --- the file, with law 7 --------------------------------------------------------------------------------------------

void PageFile::State::CheckNotPoisoned() const {
	if (owner.IsPoisoned()) {
		throw FileError("page file: a write, resize or sync has failed before; the file takes no more changes until it "
		                "is opened again");
	}
}

void PageFile::State::WriteFile(uint64_t offset, ConstByteSpan source) {
	PoisonGuard guard(owner.is_poisoned);
	owner.file->Write(offset, source);
	guard.Done();
}

void PageFile::State::WriteSlots(Slot first, ConstByteSpan pages) {
	WriteFile(OffsetOf(first), pages);
	owner.counters.pages_written.fetch_add(pages.size() / owner.page_size, std::memory_order_relaxed);
}

void PageFile::State::ResizeFile(uint64_t slot_count) {
	PoisonGuard guard(owner.is_poisoned);
	owner.file->Resize(FILE_HEAD_SIZE + slot_count * owner.page_size);
	capacity.store(slot_count, std::memory_order_release);
	guard.Done();
}

void PageFile::State::SyncFile() {
	PoisonGuard guard(owner.is_poisoned);
	owner.file->Sync();
	owner.counters.syncs.fetch_add(1, std::memory_order_relaxed);
	guard.Done();
}

uint64_t PageFile::State::SlackBytes() const {
	return GROWTH_BYTES_MIN + uint64_t(slots.SlotEnd()) * owner.page_size / 8;
}

void PageFile::State::ShrinkFile(uint64_t kept_bytes) {
	// A reader may still be on its way to a slot that was freed; it must not find the file shorter.
	std::unique_lock<std::shared_mutex> guard(shrink_lock, std::try_to_lock);
	uint64_t used = slots.SlotEnd();
	uint64_t tail_bytes = (capacity.load(std::memory_order_relaxed) - used) * owner.page_size;
	if (guard.owns_lock() && tail_bytes > kept_bytes) {
		ResizeFile(used);
	}
}

// --- the page map ----------------------------------------------------------------------------------------------------

std::optional<Slot> PageFile::State::Locate(PageId id) const {
	if (std::optional<PageRun> change = changes.Find(id)) {
		return change->slot;
	}
	std::optional<uint64_t> slot = map.Find(id.value);
	if (!slot) {
		return std::nullopt;
	}
	if (*slot >= NUMBER_END) {
		throw CorruptionError("page file: the page map names slot " + std::to_string(*slot) + " for page " +
		                      std::to_string(id.value));
	}
	return Slot(uint32_t(*slot));
}

Slot PageFile::State::LocateOrThrow(PageId id) const {
	std::optional<Slot> slot = Locate(id);
	if (!slot) {
		throw CorruptionError("page file: page " + std::to_string(id.value) + " has no slot");
	}
	CheckSlotsInFile(*slot, 1);
	return *slot;
}

void PageFile::State::ReadPageLocked(PageId id, PageKind kind, ByteSpan page) const {
	std::shared_lock<std::shared_mutex> guard(lock);
	ReadSlot(LocateOrThrow(id), PageIdentity {kind, id.value}, page);
}

std::vector<Slot> PageFile::State::SlotsOf(PageId first, uint32_t count) const {
	std::vector<Slot> found;
	for (uint32_t i = 0; i < count; i++) {
		if (std::optional<Slot> slot = Locate(PageId(first.value + i))) {
			found.push_back(*slot);
		}
	}
	return found;
}

void PageFile::State::Remap(PageId first, PageRun run, const std::vector<Slot> &former) {
	std::unique_lock<std::shared_mutex> guard(lock);
	changes.Set(first, run);
	for (Slot slot : former) {
		slots.Release(slot);
	}
}

void PageFile::State::CheckIdsInUse(PageId first, uint32_t count) const {
	LMD_CHECK(count <= page_id_end && first.value <= page_id_end - count, "a page id was never reserved");
	const Extent extent {first.value, count};
	if (free_ids.Overlaps(extent) || freed_ids.Overlaps(extent)) {
		throw CorruptionError("page file: page " + std::to_string(first.value) +
		                      " is written or freed but not in use: two owners in the file's metadata");
	}
}

RadixPageSpace PageFile::State::MapSpace() {
	RadixPageSpace space;
	space.page_size = owner.page_size;
	space.read = [this](uint64_t address, ByteSpan page) {
		if (address >= NUMBER_END) {
			throw CorruptionError("page file: the page map names slot " + std::to_string(address) + " for a map page");
		}
		ReadMapPage(Slot(uint32_t(address)), page);
	};
	space.write = [this](ByteSpan page) { return uint64_t(WriteMapPage(page).value); };
	space.release = [this](uint64_t address) {
		ReleaseSlots(Slot(uint32_t(address)), 1);
		map_pages.Remove(Slot(uint32_t(address)));
	};
	return space;
}

void PageFile::State::ReadMapPage(Slot slot, ByteSpan page) const {
	if (!map_pages.Find(slot, page)) {
		ReadSlot(slot, PageIdentity {PageKind::MAP, slot.value}, page);
		map_pages.Put(slot, ConstByteSpan(page.data(), page.size()));
	}
}

Slot PageFile::State::WriteMapPage(ByteSpan page) {
	Slot slot = AllocateSlots(1);
	SealPage(page, PageIdentity {PageKind::MAP, slot.value}, NextGeneration());
	WriteSlots(slot, ConstByteSpan(page.data(), page.size()));
	map_pages.Put(slot, ConstByteSpan(page.data(), page.size()));
	return slot;
}

} // namespace lm_diskann
