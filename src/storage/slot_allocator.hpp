// Which slots of a page file may be written: laws 1, 4 and 5 in RAM.
//
// A slot below `SlotEnd` is in exactly one state:
//   free         nothing that could be opened reaches it;
//   in use       allocated; *fresh* when that was after the last publish, so that no generation reaches it;
//   freed        released since the last publish, not fresh: the last published generation reaches it;
//   quarantined  released before a publish of g: reusable once g is confirmed (law 4).
// Slots from `SlotEnd` on are free.
#pragma once

#include "storage/extent_set.hpp"

#include <deque>
#include <utility>
#include <vector>

namespace lm_diskann {

class SlotAllocator;

//! Visits the slots in use from the last one on. The allocator outlives it and does not change meanwhile.
class TailWalk {
public:
	explicit TailWalk(const SlotAllocator &slots_p);

	//! The next slot in use, descending; none at the beginning of the file.
	std::optional<Slot> Next();
	//! Free slots below the one that Next returned last.
	uint64_t FreeBefore() const {
		return free_before;
	}

private:
	const SlotAllocator &slots;
	uint32_t end;
	uint64_t free_before;
};

//! Not thread-safe; the page file locks.
class SlotAllocator {
public:
	SlotAllocator() = default;
	//! The state of an opened generation: `free_p` lies below `slot_end_p`.
	SlotAllocator(uint32_t slot_end_p, ExtentSet free_p);

	//! First of `count` consecutive slots: the lowest free ones below SlotEnd that suffice, else beyond it. Throws
	//! FileError when slot numbers run out.
	Slot Allocate(uint32_t count);
	//! Takes back one slot. Throws CorruptionError if it is not in use (two owners in the file's metadata).
	void Release(Slot slot);
	//! Generation `published` is durable: what was freed since the publish before it waits for its confirmation.
	void Seal(Generation published);
	//! The host has named `confirmed` or a later generation.
	void Confirm(Generation confirmed);
	//! All slots below the end that the next published generation does not reach: free, freed and quarantined ones.
	ExtentSet Unreachable() const;
	//! An upper bound of Unreachable's extents, also after any number of further calls of Allocate.
	size_t UnreachableExtentCountMax() const;

	uint32_t SlotEnd() const {
		return slot_end;
	}
	const ExtentSet &Free() const {
		return free;
	}
	//! Free slots below SlotEnd.
	uint64_t FreeCount() const {
		return free.Count();
	}

private:
	friend class TailWalk;

	bool IsQuarantined(Slot slot) const;
	void TrimEnd();

	uint32_t slot_end = 0;
	ExtentSet free;
	ExtentSet fresh;
	ExtentSet freed;
	//! Ascending generations.
	std::deque<std::pair<Generation, ExtentSet>> quarantine;
};

} // namespace lm_diskann
