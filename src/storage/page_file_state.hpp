// What a page file keeps in RAM beside its head: the page map and its changes, free slots and ids, and the poison.
//
// Private to the page_file*.cpp. Lookups hold `lock` shared, changes of these fields hold it alone and do no I/O while
// they do. The page itself is read without the lock: meanwhile its slot may be freed and written again, so a page that
// fails its check is read once more under the shared lock, where the slot that the map names cannot change.
#pragma once

#include "storage/page_changes.hpp"
#include "storage/page_check.hpp"
#include "storage/page_file.hpp"
#include "storage/slot_allocator.hpp"

namespace lm_diskann {

//! Map pages read lately, by slot: a direct-mapped table of at most CAPACITY_BYTES. Thread-safe.
class MapPageCache {
public:
	//! 4 MiB map half a million pages: an index of 4 GiB at pages of 8 KiB.
	static constexpr uint64_t CAPACITY_BYTES = uint64_t(4) << 20;

	explicit MapPageCache(uint32_t page_size);

	bool Find(Slot slot, ByteSpan page) const;
	void Put(Slot slot, ConstByteSpan page);
	void Remove(Slot slot);

private:
	struct Place {
		Slot slot;
		//! Empty: no page yet.
		AlignedBuffer<uint8_t> page;
		bool is_used = false;
	};

	mutable std::shared_mutex lock;
	std::vector<Place> places;
};

struct PageFile::State {
	explicit State(PageFile &owner_p);

	// --- slots: any page of the file -----------------------------------------------------------------------------

	uint64_t OffsetOf(Slot slot) const {
		return FILE_HEAD_SIZE + uint64_t(slot.value) * owner.page_size;
	}
	//! CorruptionError if one of `count` slots from `first` is beyond the file.
	void CheckSlotsInFile(Slot first, uint64_t count) const;
	//! Why `page`, read from `slot`, is not the page wanted: FindPageFault, and a sound page that a generation after
	//! `written_until` wrote. Such a page took the slot of one that the opened generation reached: the file went on
	//! while the database was restored.
	std::optional<std::string> FindFault(ConstByteSpan page, PageIdentity identity, Slot slot,
	                                     Generation written_until) const;
	//! Law 6: reads and checks one page. The caller holds `lock` or is the changing thread.
	void ReadSlot(Slot slot, PageIdentity identity, ByteSpan page) const;
	//! Allocates consecutive slots and grows the file to hold them.
	Slot AllocateSlots(uint32_t count);
	void ReleaseSlots(Slot first, uint64_t count);

	// --- the file, with law 7 ------------------------------------------------------------------------------------

	void CheckNotPoisoned() const;
	void WriteFile(uint64_t offset, ConstByteSpan source);
	//! Whole pages to consecutive slots.
	void WriteSlots(Slot first, ConstByteSpan pages);
	void ResizeFile(uint64_t slot_count);
	void SyncFile();
	//! Gives back free slots at the end of the file if they are more than `kept_bytes` and no reader is under way.
	void ShrinkFile(uint64_t kept_bytes);
	//! What a growing file may well use again.
	uint64_t SlackBytes() const;

	// --- the page map --------------------------------------------------------------------------------------------

	//! Slot of `id`; none: it has no page. The caller holds `lock` or is the changing thread.
	std::optional<Slot> Locate(PageId id) const;
	//! The same; CorruptionError if there is none.
	Slot LocateOrThrow(PageId id) const;
	//! Second attempt of a read: under the lock, where the page cannot move.
	void ReadPageLocked(PageId id, PageKind kind, ByteSpan page) const;
	//! The slots that `count` ids from `first` have now.
	std::vector<Slot> SlotsOf(PageId first, uint32_t count) const;
	//! Moves the ids [first, first + run.count) from their former slots to `run`.
	void Remap(PageId first, PageRun run, const std::vector<Slot> &former);
	void CheckIdsInUse(PageId first, uint32_t count) const;
	//! The mapped page in a slot in use, if it is one. Reads the slot into `page` and checks it.
	std::optional<PageIdentity> FindMappedPage(Slot slot, ByteSpan page) const;
	//! Free slots that packing leaves for the next publish: pages of the map, and the rest.
	uint64_t KeptFreeCount() const;
	//! Where the file would end if there were no free slots.
	Slot PackedEnd() const;
	RadixPageSpace MapSpace();

	// --- generations ---------------------------------------------------------------------------------------------

	Generation NextGeneration() const {
		return Generation(owner.current.generation.value + 1);
	}
	uint64_t BlobPageCount(uint64_t size_bytes) const;
	//! `first` is the first of BlobPageCount slots.
	void WriteBlobTo(Slot first, ConstByteSpan bytes);
	//! Applies the collected changes to the page map; lookups go on meanwhile.
	void ApplyChanges();
	//! Writes the list of everything the generation being published does not reach; fills in the counts of `meta`.
	void WriteFreeList(MetaHead &meta);
	Marker WriteMeta(Slot meta_slot, const MetaHead &meta, ConstByteSpan roots);
	void WriteStamp(const Marker &marker);

	// --- opening -------------------------------------------------------------------------------------------------

	//! Reads and checks the meta page that `marker` names (law 5) into `page`.
	MetaHead ReadMeta(const Marker &marker, ByteSpan page) const;
	struct FreeList {
		ExtentSet slots;
		ExtentSet ids;
	};
	//! Free slots and ids as of the generation of `meta`.
	FreeList ReadFreeList(const MetaHead &meta) const;

	PageFile &owner;
	mutable std::shared_mutex lock;
	//! Held shared by each read of mapped pages; held alone, and only if free at once, to shrink the file.
	mutable std::shared_mutex shrink_lock;

	//! As of the last publish; its pages are in slots.
	RadixMap map;
	PageChanges changes;
	SlotAllocator slots;
	uint32_t page_id_end = 0;
	ExtentSet free_ids;
	//! Freed since the last publish: not given again before the next.
	ExtentSet freed_ids;
	BlobRef free_list;
	//! After a MoveTail: pages of the map from here on move as well.
	std::optional<Slot> packed_end;
	//! Slots that the file has room for.
	std::atomic<uint64_t> capacity {0};
	mutable MapPageCache map_pages;

private:
	void ReadMapPage(Slot slot, ByteSpan page) const;
	Slot WriteMapPage(ByteSpan page);
};

//! Law 7: poisons the file unless the change it guards came to its end.
class PoisonGuard {
public:
	explicit PoisonGuard(std::atomic<bool> &is_poisoned_p) : is_poisoned(is_poisoned_p) {
	}
	~PoisonGuard() {
		if (!is_done) {
			is_poisoned.store(true, std::memory_order_relaxed);
		}
	}
	PoisonGuard(const PoisonGuard &) = delete;
	PoisonGuard &operator=(const PoisonGuard &) = delete;
	void Done() {
		is_done = true;
	}

private:
	std::atomic<bool> &is_poisoned;
	bool is_done = false;
};

} // namespace lm_diskann
