// Every byte of the parts of the file that storage owns. docs/FORMAT.md is the prose to it.
//
//   head (16 KiB): sector 0 = FileHead (written once), sectors 1 and 2 = StampedMarker, alternating (advice for people
//   and messages; never needed to open), sector 3 = zeros. Then slots of `page_size` bytes, numbered from 0.
//
// All numbers are little-endian. Each struct is copied with memcpy, never cast in place.
#pragma once

#include "base/types.hpp"

#include <array>

namespace lm_diskann {

static constexpr uint32_t FORMAT_VERSION = 1;
static constexpr uint64_t SECTOR_SIZE = 4096;
static constexpr uint64_t FILE_HEAD_SIZE = 4 * SECTOR_SIZE;
static constexpr std::array<char, 8> FILE_MAGIC = {'L', 'M', 'D', 'I', 'S', 'K', 'A', 'N'};
static constexpr uint32_t PAGE_SIZE_MIN = 4096;
static constexpr uint32_t PAGE_SIZE_MAX = 65536;
//! Bytes of configuration that fit sector 0 behind FileHead.
static constexpr uint32_t CONFIGURATION_SIZE_MAX = 2048;
//! Bytes of the owner's roots that fit a meta page.
static constexpr uint32_t ROOTS_SIZE_MAX = 2048;

using Uuid = std::array<uint8_t, 16>;

//! DO NOT CHANGE THESE VALUES: they are on disk.
enum class PageKind : uint8_t { NONE = 0, META = 1, MAP = 2, BLOB = 3, NODES = 4, ROW_MAP = 5 };

//! First bytes of the file; followed by `configuration_size` bytes of configuration, then zeros to the end of sector 0.
//! `checksum` covers sector 0 without its first 8 bytes.
struct FileHead {
	uint64_t checksum;
	std::array<char, 8> magic;
	uint32_t format_version;
	uint32_t page_size;
	Uuid uuid;
	uint32_t configuration_size;
	uint32_t reserved;
};
static_assert(sizeof(FileHead) == 48);

//! First bytes of every slot in use. `checksum` covers the page without its first 8 bytes, seeded with `identity`
//! (kind in the top byte; below it the PageId of a mapped page, else the Slot).
struct PageHead {
	uint64_t checksum;
	uint32_t id;
	PageKind kind;
	uint8_t reserved[3];
	uint64_t generation;
	//! Meaning depends on the kind; 0 where it has none.
	uint64_t detail;
};
static_assert(sizeof(PageHead) == 32);

//! What DuckDB's metadata name: exactly one state of exactly one file.
struct Marker {
	Uuid uuid = {};
	Generation generation;
	Slot meta_slot;
	//! Checksum of that meta page.
	uint64_t meta_checksum = 0;

	friend bool operator==(const Marker &a, const Marker &b) {
		return a.uuid == b.uuid && a.generation == b.generation && a.meta_slot == b.meta_slot &&
		       a.meta_checksum == b.meta_checksum;
	}
};

//! A byte string in consecutive slots, page_size - sizeof(PageHead) bytes a page; for what is small and read as a
//! whole. All zeros: absent.
struct BlobRef {
	uint64_t size_bytes = 0;
	Slot first;
	uint32_t reserved = 0;
};
static_assert(sizeof(BlobRef) == 16);
//! Slot and page numbers are below it.
static constexpr uint32_t NUMBER_END = 0xFFFFFFFF;

//! All of a radix map that is not in its pages. An empty map is all zeros.
struct RadixRoot {
	//! Entry as stored in pages: tag in the top two bits (0 empty, 1 child, 2 run), below it 48 bits.
	uint64_t entry = 0;
	//! Keys below `key_end` may be present.
	uint64_t key_end = 0;
	//! Levels of pages below the root entry; 0 when the entry is a run or empty.
	uint32_t height = 0;
	uint32_t reserved = 0;
};
static_assert(sizeof(RadixRoot) == 24);

//! Follows the PageHead of a meta page; followed by `roots_size` bytes of the owner's roots, then zeros.
struct MetaHead {
	//! PageId -> Slot.
	RadixRoot page_map;
	//! Blob: FreeListHead, then the extents of slots, then those of page ids, then zeros.
	BlobRef free_list;
	//! One beyond the last slot this generation reaches; every slot from here on is free.
	uint32_t slot_count;
	//! Every page id ever given is below it.
	uint32_t page_id_end;
	uint32_t roots_size;
	uint32_t reserved;
};
static_assert(sizeof(MetaHead) == 56);
static_assert(sizeof(PageHead) + sizeof(MetaHead) + ROOTS_SIZE_MAX <= PAGE_SIZE_MIN);

struct FreeListHead {
	uint32_t slot_extent_count;
	uint32_t id_extent_count;
};
static_assert(sizeof(FreeListHead) == 8);

//! Consecutive slots or page ids; extents ascend and neither touch nor overlap.
struct Extent {
	uint32_t first;
	uint32_t count;
};
static_assert(sizeof(Extent) == 8);

//! First bytes of sector 1 (odd generations) or 2 (even ones), written after the meta page is durable and not synced
//! by itself. `checksum` covers the struct without its first 8 bytes. Only messages use it.
struct StampedMarker {
	uint64_t checksum;
	std::array<char, 8> magic;
	Uuid uuid;
	uint64_t generation;
	uint64_t meta_checksum;
	uint32_t meta_slot;
	uint32_t reserved;
};
static_assert(sizeof(StampedMarker) == 56);

} // namespace lm_diskann
