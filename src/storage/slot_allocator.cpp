#include "storage/slot_allocator.hpp"

#include "base/error.hpp"

#include <string>

namespace lm_diskann {

SlotAllocator::SlotAllocator(uint32_t slot_end_p, ExtentSet free_p) : slot_end(slot_end_p), free(std::move(free_p)) {
	TrimEnd();
}

Slot SlotAllocator::Allocate(uint32_t count) {
	LMD_CHECK(count > 0, "no slot asked for");
	std::optional<uint32_t> first = free.TakeRun(count);
	if (!first) {
		if (count >= NUMBER_END - slot_end) {
			throw FileError("page file: all " + std::to_string(NUMBER_END) + " slot numbers are in use");
		}
		first = slot_end;
		slot_end += count;
	}
	bool is_added = fresh.Add(Extent {*first, count});
	LMD_CHECK(is_added, "a fresh slot was free");
	return Slot(*first);
}

void SlotAllocator::Release(Slot slot) {
	bool is_outside = slot.value >= slot_end;
	if (is_outside || free.Contains(slot.value) || freed.Contains(slot.value) || IsQuarantined(slot)) {
		throw CorruptionError("page file: slot " + std::to_string(slot.value) +
		                      " is released but not in use: two owners in the file's metadata");
	}
	bool was_fresh = fresh.Remove(slot.value);
	bool is_added = (was_fresh ? free : freed).Add(Extent {slot.value, 1});
	LMD_CHECK(is_added, "a released slot is in one set only");
	if (was_fresh) {
		TrimEnd();
	}
}

void SlotAllocator::Seal(Generation published) {
	if (freed.Count() > 0) {
		quarantine.emplace_back(published, std::move(freed));
	}
	freed = ExtentSet();
	fresh.Clear();
}

void SlotAllocator::Confirm(Generation confirmed) {
	while (!quarantine.empty() && quarantine.front().first <= confirmed) {
		free.AddAll(quarantine.front().second);
		quarantine.pop_front();
	}
	TrimEnd();
}

ExtentSet SlotAllocator::Unreachable() const {
	ExtentSet unreachable = free;
	unreachable.AddAll(freed);
	for (const auto &waiting : quarantine) {
		unreachable.AddAll(waiting.second);
	}
	return unreachable;
}

size_t SlotAllocator::UnreachableExtentCountMax() const {
	// Allocation takes extents from their front or whole, so it never adds one; joining sets never adds one either.
	size_t count = free.All().size() + freed.All().size();
	for (const auto &waiting : quarantine) {
		count += waiting.second.All().size();
	}
	return count;
}

bool SlotAllocator::IsQuarantined(Slot slot) const {
	for (const auto &waiting : quarantine) {
		if (waiting.second.Contains(slot.value)) {
			return true;
		}
	}
	return false;
}

void SlotAllocator::TrimEnd() {
	slot_end = free.TakeTail(slot_end);
}

TailWalk::TailWalk(const SlotAllocator &slots_p)
    : slots(slots_p), end(slots_p.slot_end), free_before(slots_p.free.Count()) {
}

std::optional<Slot> TailWalk::Next() {
	while (end > 0) {
		const uint32_t slot = end - 1;
		if (const std::optional<uint32_t> begin = slots.free.BeginOf(slot)) {
			free_before -= end - *begin;
			end = *begin;
			continue;
		}
		std::optional<uint32_t> begin = slots.freed.BeginOf(slot);
		for (const auto &waiting : slots.quarantine) {
			begin = begin ? begin : waiting.second.BeginOf(slot);
		}
		end = begin.value_or(slot);
		if (!begin) {
			return Slot(slot);
		}
	}
	return std::nullopt;
}

} // namespace lm_diskann
