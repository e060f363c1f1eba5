// A file of checksummed pages with immutable generations: the storage law.
//
// *Reachable from g*: the meta page of g leads to it. *Named*: the generation in the host's durable metadata.
// *Confirmed*: known to have been named.
//  1. A slot reachable from the last confirmed generation, or from one published since, is never written.
//  2. Meta page g is written only after a successful sync of every slot reachable from g, and is itself synced before
//     Publish returns.
//  3. Publishing g never overwrites the meta page of the last confirmed generation. (Meta pages live in ordinary slots,
//     so this is a case of law 1; the marker says where.)
//  4. Slots freed between confirmed c and published g are quarantined; they are reusable once g is confirmed.
//  5. Open(marker) succeeds only if the meta page carries exactly that generation and checksum; newer ones are ignored
//     and their slots are free.
//  6. Every page read is checked (checksum, id, kind) before a field of it is used.
//  7. After a failed write, resize or sync the file is poisoned: every later change throws FileError.
//  8. and 9. are upheld by the callers (adapter and index).
#pragma once

#include "base/aligned_buffer.hpp"
#include "storage/extent_set.hpp"
#include "storage/file.hpp"
#include "storage/format.hpp"
#include "storage/radix_map.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <vector>

namespace lm_diskann {

//! One mapped page of a batched read: `page` is page_size bytes.
struct PageReadRequest {
	PageId id;
	PageKind kind = PageKind::NONE;
	ByteSpan page;
};

//! Counters since open.
struct PageFileCounters {
	std::atomic<uint64_t> pages_read {0};
	std::atomic<uint64_t> pages_written {0};
	std::atomic<uint64_t> syncs {0};
};

//! Reads may run on any thread, also beside one changing thread; changes (everything not const) by one thread at a
//! time. Roots, Current and CurrentMarker belong to the changing thread.
//! Errors: FileError from the file (then poisoned, if it was a change), CorruptionError for bytes that are not a page.
class PageFile {
public:
	//! Writes the head of a fresh, empty file (not synced). `configuration` at most CONFIGURATION_SIZE_MAX bytes.
	static std::unique_ptr<PageFile> Create(std::unique_ptr<File> file, uint32_t page_size, const Uuid &uuid,
	                                        ConstByteSpan configuration);
	//! Opens exactly the state that `marker` names (law 5). Cost: head, meta page and free list. CorruptionError says
	//! what was expected and found (size, magic, version, uuid, generation, checksum).
	static std::unique_ptr<PageFile> Open(std::unique_ptr<File> file, const Marker &marker);
	~PageFile();

	uint32_t PageSize() const {
		return page_size;
	}
	const Uuid &Identity() const {
		return uuid;
	}
	//! As given to Create.
	ConstByteSpan Configuration() const {
		return configuration;
	}
	//! The owner's roots of the open or last published generation.
	ConstByteSpan Roots() const {
		return roots;
	}
	//! Generation opened or last published; 0 in a fresh file. Beside a Publish, too.
	Generation Current() const;
	const Marker &CurrentMarker() const {
		return current;
	}
	const PageFileCounters &Counters() const {
		return counters;
	}
	uint64_t SizeBytes() const;
	//! Slots in the file that nothing reachable or quarantined uses.
	uint64_t FreeSlotCount() const;
	//! Number of page ids ever given: every id is below it.
	uint32_t PageIdEnd() const;
	bool IsPoisoned() const {
		return is_poisoned.load(std::memory_order_relaxed);
	}

	// --- mapped pages: stable PageId, moving slot ---------------------------------------------------------------

	//! Reserves `count` consecutive page ids; unwritten ids have no slot.
	PageId ReservePages(uint32_t count);
	//! Reserves `count` page ids, the lowest that are free.
	ExtentSet ReserveAnyPages(uint32_t count);
	//! Writes `page` (page_size bytes; its PageHead is filled in, but `detail` stays) to a fresh slot and maps `id` to
	//! it. Pages of the id that a PageCache holds are not touched: change cached files through the cache. A run of
	//! consecutive fresh ids written to a fresh file stays one linear run in the page map.
	void WritePage(PageId id, PageKind kind, ByteSpan page);
	//! Like WritePage for consecutive ids from `first`, in one write; `pages` is a multiple of page_size. Bulk build.
	void WritePages(PageId first, PageKind kind, ByteSpan pages);
	//! The page has no bytes any more; the id is not given again before the next generation. Freeing or writing an id
	//! that is free already is a CorruptionError: two parts of the file own it.
	void FreePage(PageId id);
	//! True if every id of the range was given and none is free.
	bool ArePagesInUse(PageId first, uint32_t count) const;
	//! CorruptionError also for an id without a page. A page that moves during the read is read once more.
	void ReadPage(PageId id, PageKind kind, ByteSpan page) const;
	//! All requests at once through File::ReadBatch; all are verified.
	void ReadPages(Span<const PageReadRequest> requests) const;

	// --- blobs ---------------------------------------------------------------------------------------------------

	//! An empty `bytes` gives the absent blob, which reads as empty and may be freed.
	BlobRef WriteBlob(ConstByteSpan bytes);
	std::vector<uint8_t> ReadBlob(const BlobRef &blob) const;
	void FreeBlob(const BlobRef &blob);

	// --- generations ---------------------------------------------------------------------------------------------

	//! Makes everything written so far the next generation (laws 1-4) and returns its marker. `roots` at most
	//! ROOTS_SIZE_MAX bytes. Any error poisons the file. Cost: changed map pages, the free list, two syncs.
	Marker Publish(ConstByteSpan roots);
	//! The host has durably named `generation` or a later one: what only earlier ones reach is free (law 4).
	void Confirm(Generation generation);

	//! Cuts the free end off the file, and overwrites every other slot that may be written again with zeros, so that
	//! no byte of what was freed is left; slots that an unconfirmed generation reaches stay. Not synced: the next
	//! Publish does that.
	void ScrubFreeSlots();

	// --- packing (page_file_pack.cpp) ----------------------------------------------------------------------------

	//! Moves up to `page_max` mapped pages from the last slots in use to free ones before them; their ids stay. The
	//! next Publish moves the pages of the map likewise. So the end of the file is free, and cut off, once that
	//! generation is confirmed. Returns the number of pages moved: fewer than `page_max` when nothing is left to gain.
	uint32_t MoveTail(uint32_t page_max);
	//! True when MoveTail has nothing to gain, also not by what only a publish moves: pages of the map, free list, meta
	//! page. Otherwise one more publish is worth it.
	bool IsPacked() const;
	//! Where the file would end if no slot before it were free: a blob from here on is worth writing anew. Cost: the
	//! slots in use behind it.
	Slot PackedEnd() const;
	//! Free slots that slots in use lie behind.
	uint64_t HoleCount() const;

	//! Every violation of the format in the generation opened or last published: each reachable page's checksum and
	//! identity, and every slot has exactly one owner (meta page, free list, page map, page, blob) or is free: none is
	//! lost, none shared. `blobs` are all that the owner's Roots() lead to. Empty when sound. Never throws for what it
	//! finds; FileError when the file cannot be read.
	std::vector<std::string> Verify(Span<const BlobRef> blobs = {}) const;

private:
	PageFile(std::unique_ptr<File> file_p, uint32_t page_size_p, const Uuid &uuid_p);

	struct State;

	std::unique_ptr<File> file;
	uint32_t page_size;
	Uuid uuid;
	std::vector<uint8_t> configuration;
	std::vector<uint8_t> roots;
	Marker current;
	std::atomic<bool> is_poisoned {false};
	mutable PageFileCounters counters;
	//! Page map, free slots, quarantine.
	std::unique_ptr<State> state;
};

} // namespace lm_diskann
