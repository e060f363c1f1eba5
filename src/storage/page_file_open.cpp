// Creating and opening a page file: law 5, and the reading of bytes that nobody has vouched for yet.
#include "base/checksum.hpp"
#include "base/error.hpp"
#include "storage/page_file_state.hpp"

#include <algorithm>
#include <cstring>

namespace lm_diskann {

namespace {

bool IsPageSize(uint32_t page_size) {
	return page_size >= PAGE_SIZE_MIN && page_size <= PAGE_SIZE_MAX && page_size % SECTOR_SIZE == 0;
}

template <class BYTES>
std::string ToHex(const BYTES &bytes) {
	static constexpr char DIGITS[] = "0123456789abcdef";
	std::string text;
	for (uint8_t byte : bytes) {
		text.push_back(DIGITS[byte >> 4]);
		text.push_back(DIGITS[byte & 15]);
	}
	return text;
}

uint64_t HeadChecksum(const AlignedBuffer<uint8_t> &sector) {
	return Checksum(ConstByteSpan(sector.data() + 8, SECTOR_SIZE - 8), 0);
}

[[noreturn]] void ThrowCorruption(const std::string &object, const std::string &expected, const std::string &found) {
	throw CorruptionError("page file: " + object + " must be " + expected + ", found " + found);
}

//! Checks sector 0 up to the configuration's size.
FileHead CheckHead(const AlignedBuffer<uint8_t> &sector) {
	FileHead head;
	std::memcpy(&head, sector.data(), sizeof(head));
	if (head.magic != FILE_MAGIC) {
		throw CorruptionError("page file: the file does not begin as an LM_DISKANN file: expected " +
		                      ToHex(FILE_MAGIC) + ", found " + ToHex(head.magic));
	}
	if (head.format_version != FORMAT_VERSION) {
		ThrowCorruption("format version", std::to_string(FORMAT_VERSION), std::to_string(head.format_version));
	}
	uint64_t checksum = HeadChecksum(sector);
	if (head.checksum != checksum) {
		ThrowCorruption("checksum of the head", std::to_string(checksum), std::to_string(head.checksum));
	}
	if (!IsPageSize(head.page_size)) {
		ThrowCorruption("page size", "a multiple of 4096 from 4096 to 65536", std::to_string(head.page_size));
	}
	if (head.configuration_size > CONFIGURATION_SIZE_MAX) {
		ThrowCorruption("size of the configuration", "at most " + std::to_string(CONFIGURATION_SIZE_MAX),
		                std::to_string(head.configuration_size));
	}
	return head;
}

//! What the stamps say of the file's generation, to end a message about the one that is missing.
std::string DescribeStamps(const File &file, const Marker &marker) {
	uint64_t newest = 0;
	for (uint64_t sector_index = 1; sector_index <= 2; sector_index++) {
		StampedMarker stamp;
		AlignedBuffer<uint8_t> sector(SECTOR_SIZE);
		file.Read(sector_index * SECTOR_SIZE, sector.span());
		std::memcpy(&stamp, sector.data(), sizeof(stamp));
		bool is_sound = stamp.checksum == Checksum(ConstByteSpan(sector.data() + 8, sizeof(stamp) - 8), 0);
		if (is_sound && stamp.magic == FILE_MAGIC && stamp.uuid == marker.uuid) {
			newest = std::max(newest, stamp.generation);
		}
	}
	std::string named = std::to_string(marker.generation.value);
	if (newest == 0) {
		return "the database names generation " + named;
	}
	std::string text = "the file holds generation " + std::to_string(newest) + ", the database names " + named;
	if (newest > marker.generation.value) {
		text += ": the file is newer than the database (restored backup?)";
	} else if (newest < marker.generation.value) {
		text += ": the file is older than the database (restored backup?)";
	}
	return text;
}

} // namespace

std::unique_ptr<PageFile> PageFile::Create(std::unique_ptr<File> file, uint32_t page_size, const Uuid &uuid,
                                           ConstByteSpan configuration) {
	LMD_CHECK(IsPageSize(page_size), "the page size is a multiple of 4096 from 4096 to 65536");
	LMD_CHECK(configuration.size() <= CONFIGURATION_SIZE_MAX, "the configuration fits the head");
	LMD_CHECK(file->Size() == 0, "a page file is created in an empty file");
	std::unique_ptr<PageFile> created(new PageFile(std::move(file), page_size, uuid));
	created->configuration.assign(configuration.begin(), configuration.end());

	FileHead head = {};
	head.magic = FILE_MAGIC;
	head.format_version = FORMAT_VERSION;
	head.page_size = page_size;
	head.uuid = uuid;
	head.configuration_size = uint32_t(configuration.size());
	AlignedBuffer<uint8_t> bytes(FILE_HEAD_SIZE);
	std::memcpy(bytes.data(), &head, sizeof(head));
	std::copy(configuration.begin(), configuration.end(), bytes.data() + sizeof(head));
	head.checksum = HeadChecksum(bytes);
	std::memcpy(bytes.data(), &head, sizeof(head));
	created->state->ResizeFile(0);
	created->state->WriteFile(0, ConstByteSpan(bytes.data(), bytes.size()));
	return created;
}

std::unique_ptr<PageFile> PageFile::Open(std::unique_ptr<File> file, const Marker &marker) {
	uint64_t size_bytes = file->Size();
	if (size_bytes < FILE_HEAD_SIZE) {
		ThrowCorruption("size of the file", "at least " + std::to_string(FILE_HEAD_SIZE) + " bytes",
		                std::to_string(size_bytes) + " bytes");
	}
	AlignedBuffer<uint8_t> sector(SECTOR_SIZE);
	file->Read(0, sector.span());
	FileHead head = CheckHead(sector);
	if (head.uuid != marker.uuid) {
		ThrowCorruption("identity of the file", ToHex(marker.uuid), ToHex(head.uuid));
	}
	std::unique_ptr<PageFile> opened(new PageFile(std::move(file), head.page_size, head.uuid));
	const uint8_t *configuration = sector.data() + sizeof(head);
	opened->configuration.assign(configuration, configuration + head.configuration_size);

	State &state = *opened->state;
	state.capacity = std::min<uint64_t>((size_bytes - FILE_HEAD_SIZE) / head.page_size, NUMBER_END);
	AlignedBuffer<uint8_t> page(head.page_size);
	MetaHead meta = state.ReadMeta(marker, page.span());
	const uint8_t *roots = page.data() + sizeof(PageHead) + sizeof(meta);
	opened->roots.assign(roots, roots + meta.roots_size);
	opened->current = marker;
	state.page_id_end = meta.page_id_end;
	state.free_list = meta.free_list;
	state.map = RadixMap(state.MapSpace(), meta.page_map);
	State::FreeList free = state.ReadFreeList(meta);
	state.slots = SlotAllocator(meta.slot_count, std::move(free.slots));
	state.free_ids = std::move(free.ids);
	return opened;
}

MetaHead PageFile::State::ReadMeta(const Marker &marker, ByteSpan page) const {
	std::optional<std::string> fault;
	if (marker.generation.value == 0) {
		fault = "no generation was ever published";
	} else if (marker.meta_slot.value >= capacity) {
		fault = "its meta page in slot " + std::to_string(marker.meta_slot.value) + " is beyond the file of " +
		        std::to_string(capacity) + " slots";
	} else {
		owner.file->Read(OffsetOf(marker.meta_slot), page);
		ConstByteSpan bytes(page.data(), page.size());
		fault = FindPageFault(bytes, PageIdentity {PageKind::META, marker.meta_slot.value}, marker.meta_slot);
		PageHead head = ReadPageHead(bytes);
		bool is_named = head.generation == marker.generation.value && head.checksum == marker.meta_checksum;
		if (!fault && !is_named) {
			fault = "its meta page has generation " + std::to_string(head.generation) + " and checksum " +
			        std::to_string(head.checksum) + ", the database names checksum " +
			        std::to_string(marker.meta_checksum);
		}
	}
	if (fault) {
		throw CorruptionError("page file: " + DescribeStamps(*owner.file, marker) + " (" + *fault + ")");
	}
	MetaHead meta;
	std::memcpy(&meta, page.data() + sizeof(PageHead), sizeof(meta));
	if (meta.roots_size > ROOTS_SIZE_MAX) {
		ThrowCorruption("size of the roots", "at most " + std::to_string(ROOTS_SIZE_MAX),
		                std::to_string(meta.roots_size));
	}
	if (meta.slot_count > capacity) {
		ThrowCorruption("file", "at least " + std::to_string(meta.slot_count) + " slots long",
		                std::to_string(capacity) + " slots");
	}
	if (marker.meta_slot.value >= meta.slot_count) {
		ThrowCorruption("slot of the meta page", "below " + std::to_string(meta.slot_count),
		                std::to_string(marker.meta_slot.value));
	}
	if (meta.page_map.key_end > meta.page_id_end) {
		ThrowCorruption("end of the page map", "at most " + std::to_string(meta.page_id_end),
		                std::to_string(meta.page_map.key_end));
	}
	return meta;
}

PageFile::State::FreeList PageFile::State::ReadFreeList(const MetaHead &meta) const {
	std::vector<uint8_t> bytes = owner.ReadBlob(meta.free_list);
	FreeListHead head = {};
	if (bytes.size() < sizeof(head)) {
		ThrowCorruption("free list", "at least " + std::to_string(sizeof(head)) + " bytes",
		                std::to_string(bytes.size()) + " bytes");
	}
	std::memcpy(&head, bytes.data(), sizeof(head));
	uint64_t extent_count = uint64_t(head.slot_extent_count) + head.id_extent_count;
	if (extent_count > (bytes.size() - sizeof(head)) / sizeof(Extent)) {
		ThrowCorruption("free list", "long enough for " + std::to_string(extent_count) + " extents",
		                std::to_string(bytes.size()) + " bytes");
	}
	FreeList free;
	for (uint64_t i = 0; i < extent_count; i++) {
		Extent extent;
		std::memcpy(&extent, bytes.data() + sizeof(head) + i * sizeof(extent), sizeof(extent));
		bool is_slot = i < head.slot_extent_count;
		uint32_t end = is_slot ? meta.slot_count : meta.page_id_end;
		bool is_inside = extent.first < end && extent.count <= end - extent.first;
		if (!is_inside || !(is_slot ? free.slots : free.ids).Add(extent)) {
			std::string found = std::to_string(extent.count) + " from " + std::to_string(extent.first);
			ThrowCorruption("free extent " + std::to_string(i), "apart from the others, below " + std::to_string(end),
			                found);
		}
	}
	bool is_meta_free = free.slots.Contains(owner.current.meta_slot.value);
	bool is_list_free = false;
	for (uint64_t i = 0; i < BlobPageCount(bytes.size()); i++) {
		is_list_free = is_list_free || free.slots.Contains(uint32_t(meta.free_list.first.value + i));
	}
	if (is_meta_free || is_list_free) {
		throw CorruptionError("page file: the free list holds the slot of the meta page or its own");
	}
	return free;
}

} // namespace lm_diskann
