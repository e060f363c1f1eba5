// Publishing a generation: laws 1 to 4 on the way to the file.
#include "base/checksum.hpp"
#include "base/error.hpp"
#include "storage/page_file_state.hpp"

#include <algorithm>
#include <cstring>

namespace lm_diskann {

namespace {

//! Changes are handed to the radix map in batches, so that their copy stays at 1 MiB.
constexpr size_t MAP_BATCH_COUNT = 65536;

void AppendExtents(const ExtentSet &extents, std::vector<uint8_t> &bytes, size_t &end) {
	for (const auto &[first, count] : extents.All()) {
		Extent extent {first, count};
		LMD_CHECK(end + sizeof(extent) <= bytes.size(), "the free list fits its slots");
		std::memcpy(bytes.data() + end, &extent, sizeof(extent));
		end += sizeof(extent);
	}
}

} // namespace

void PageFile::State::ApplyChanges() {
	// The copy is changed while lookups use the former root, whose pages are not written before a confirmation.
	RadixMap next(MapSpace(), map.Root());
	const PageChanges::Runs &runs = changes.All();
	if (packed_end) {
		next.MovePages([this](uint64_t address) { return address >= packed_end->value; });
		packed_end.reset();
	}
	bool is_linear = next.Root().key_end == 0 && runs.size() == 1 && runs.begin()->first == 0;
	if (is_linear && runs.begin()->second.slot) {
		next.AssignLinear(runs.begin()->second.count, runs.begin()->second.slot->value);
	} else {
		std::vector<std::pair<uint64_t, uint64_t>> assigned;
		std::vector<uint64_t> erased;
		auto flush = [&]() {
			next.Assign(Span<const std::pair<uint64_t, uint64_t>>(assigned.data(), assigned.size()));
			next.Erase(Span<const uint64_t>(erased.data(), erased.size()));
			assigned.clear();
			erased.clear();
		};
		for (const auto &[first, run] : runs) {
			for (uint32_t i = 0; i < run.count; i++) {
				if (run.slot) {
					assigned.emplace_back(uint64_t(first) + i, uint64_t(run.slot->value) + i);
				} else {
					erased.push_back(uint64_t(first) + i);
				}
				if (assigned.size() + erased.size() == MAP_BATCH_COUNT) {
					flush();
				}
			}
		}
		flush();
	}
	std::unique_lock<std::shared_mutex> guard(lock);
	map = std::move(next);
	changes.Clear();
}

void PageFile::State::WriteFreeList(MetaHead &meta) {
	ExtentSet ids = free_ids;
	ids.AddAll(freed_ids);
	// The list's own slots are taken before it is written, so its size is an upper bound, padded with zeros.
	size_t extent_count_max = slots.UnreachableExtentCountMax() + ids.All().size();
	std::vector<uint8_t> bytes(sizeof(FreeListHead) + extent_count_max * sizeof(Extent));
	auto page_count = uint32_t(BlobPageCount(bytes.size()));
	meta.free_list.size_bytes = bytes.size();
	meta.free_list.first = AllocateSlots(page_count);

	ExtentSet unreachable = slots.Unreachable();
	meta.slot_count = unreachable.TakeTail(slots.SlotEnd());
	meta.page_id_end = page_id_end;
	FreeListHead head {uint32_t(unreachable.All().size()), uint32_t(ids.All().size())};
	std::memcpy(bytes.data(), &head, sizeof(head));
	size_t end = sizeof(head);
	AppendExtents(unreachable, bytes, end);
	AppendExtents(ids, bytes, end);
	WriteBlobTo(meta.free_list.first, ConstByteSpan(bytes.data(), bytes.size()));
}

Marker PageFile::State::WriteMeta(Slot meta_slot, const MetaHead &meta, ConstByteSpan roots) {
	AlignedBuffer<uint8_t> page(owner.page_size);
	std::memcpy(page.data() + sizeof(PageHead), &meta, sizeof(meta));
	if (!roots.empty()) {
		std::memcpy(page.data() + sizeof(PageHead) + sizeof(meta), roots.data(), roots.size());
	}
	Marker marker;
	marker.uuid = owner.uuid;
	marker.generation = NextGeneration();
	marker.meta_slot = meta_slot;
	marker.meta_checksum = SealPage(page.span(), PageIdentity {PageKind::META, meta_slot.value}, marker.generation);
	WriteSlots(meta_slot, ConstByteSpan(page.data(), page.size()));
	return marker;
}

void PageFile::State::WriteStamp(const Marker &marker) {
	StampedMarker stamp = {};
	stamp.magic = FILE_MAGIC;
	stamp.uuid = marker.uuid;
	stamp.generation = marker.generation.value;
	stamp.meta_checksum = marker.meta_checksum;
	stamp.meta_slot = marker.meta_slot.value;
	AlignedBuffer<uint8_t> sector(SECTOR_SIZE);
	std::memcpy(sector.data(), &stamp, sizeof(stamp));
	stamp.checksum = Checksum(ConstByteSpan(sector.data() + 8, sizeof(stamp) - 8), 0);
	std::memcpy(sector.data(), &stamp, sizeof(stamp));
	uint64_t sector_index = marker.generation.value % 2 == 1 ? 1 : 2;
	WriteFile(sector_index * SECTOR_SIZE, ConstByteSpan(sector.data(), sector.size()));
}

Marker PageFile::Publish(ConstByteSpan roots_p) {
	state->CheckNotPoisoned();
	LMD_CHECK(roots_p.size() <= ROOTS_SIZE_MAX, "the roots fit a meta page");
	// Halfway, map and free slots belong to neither generation: any failure ends all changes.
	PoisonGuard guard(is_poisoned);
	state->ApplyChanges();
	FreeBlob(state->free_list);
	if (current.generation.value > 0) {
		state->ReleaseSlots(current.meta_slot, 1);
	}
	Slot meta_slot = state->AllocateSlots(1);
	MetaHead meta = {};
	meta.page_map = state->map.Root();
	meta.roots_size = uint32_t(roots_p.size());
	state->WriteFreeList(meta);
	state->ShrinkFile(state->SlackBytes());

	state->SyncFile();
	Marker marker = state->WriteMeta(meta_slot, meta, roots_p);
	state->SyncFile();
	state->WriteStamp(marker);

	std::unique_lock<std::shared_mutex> lock_guard(state->lock);
	state->slots.Seal(marker.generation);
	state->free_ids.AddAll(state->freed_ids);
	state->freed_ids.Clear();
	state->free_list = meta.free_list;
	roots.assign(roots_p.begin(), roots_p.end());
	current = marker;
	guard.Done();
	return marker;
}

void PageFile::Confirm(Generation generation) {
	LMD_CHECK(generation <= current.generation, "only a published generation can be confirmed");
	std::unique_lock<std::shared_mutex> guard(state->lock);
	state->slots.Confirm(generation);
}

void PageFile::ScrubFreeSlots() {
	state->CheckNotPoisoned();
	state->ShrinkFile(0);
	// Small enough to be interrupted by nothing worth waiting for.
	constexpr uint64_t BUFFER_BYTES = uint64_t(1) << 20;
	const uint64_t slots_at_once = std::max<uint64_t>(1, BUFFER_BYTES / page_size);
	const AlignedBuffer<uint8_t> zeros(slots_at_once * page_size);
	const auto wipe = [&](uint64_t first, uint64_t end) {
		for (; first < end; first += slots_at_once) {
			const uint64_t count = std::min(slots_at_once, end - first);
			state->WriteFile(state->OffsetOf(Slot(uint32_t(first))), ConstByteSpan(zeros.data(), count * page_size));
		}
	};
	for (const auto &[first, count] : state->slots.Free().All()) {
		wipe(first, uint64_t(first) + count);
	}
	wipe(state->slots.SlotEnd(), state->capacity.load(std::memory_order_relaxed));
}

} // namespace lm_diskann
