#include "storage/page_file.hpp"

#include "base/error.hpp"
#include "storage/page_file_state.hpp"

#include <algorithm>

namespace lm_diskann {

namespace {

//! Blobs are written and read through a buffer of at most this many bytes, at least one page.
constexpr uint64_t BLOB_BUFFER_BYTES = uint64_t(1) << 20;

} // namespace

PageFile::PageFile(std::unique_ptr<File> file_p, uint32_t page_size_p, const Uuid &uuid_p)
    : file(std::move(file_p)), page_size(page_size_p), uuid(uuid_p), state(std::make_unique<State>(*this)) {
	current.uuid = uuid;
}

PageFile::~PageFile() = default;

uint64_t PageFile::SizeBytes() const {
	return file->Size();
}

Generation PageFile::Current() const {
	std::shared_lock<std::shared_mutex> guard(state->lock);
	return current.generation;
}

uint64_t PageFile::FreeSlotCount() const {
	std::shared_lock<std::shared_mutex> guard(state->lock);
	// While a growing write is under way the file may still be shorter than the slots given out.
	uint64_t capacity = std::max<uint64_t>(state->capacity.load(), state->slots.SlotEnd());
	return state->slots.FreeCount() + capacity - state->slots.SlotEnd();
}

uint32_t PageFile::PageIdEnd() const {
	std::shared_lock<std::shared_mutex> guard(state->lock);
	return state->page_id_end;
}

// --- mapped pages ----------------------------------------------------------------------------------------------------

PageId PageFile::ReservePages(uint32_t count) {
	LMD_CHECK(count > 0, "no page asked for");
	std::unique_lock<std::shared_mutex> guard(state->lock);
	if (std::optional<uint32_t> first = state->free_ids.TakeRun(count)) {
		return PageId(*first);
	}
	if (count > NUMBER_END - state->page_id_end) {
		throw FileError("page file: all " + std::to_string(NUMBER_END) + " page ids are in use");
	}
	PageId first(state->page_id_end);
	state->page_id_end += count;
	return first;
}

ExtentSet PageFile::ReserveAnyPages(uint32_t count) {
	std::unique_lock<std::shared_mutex> guard(state->lock);
	LMD_CHECK(count > 0, "no page asked for");
	if (count > NUMBER_END - state->page_id_end) {
		throw FileError("page file: all " + std::to_string(NUMBER_END) + " page ids are in use");
	}
	ExtentSet reserved = state->free_ids.TakeLowest(count);
	const auto missing = uint32_t(count - reserved.Count());
	const bool is_added = reserved.Add(Extent {state->page_id_end, missing});
	LMD_CHECK(is_added, "ids beyond the end were never given");
	state->page_id_end += missing;
	return reserved;
}

void PageFile::WritePage(PageId id, PageKind kind, ByteSpan page) {
	LMD_CHECK(page.size() == page_size, "a page has page_size bytes");
	WritePages(id, kind, page);
}

void PageFile::WritePages(PageId first, PageKind kind, ByteSpan pages) {
	state->CheckNotPoisoned();
	LMD_CHECK(pages.size() % page_size == 0, "pages are whole");
	LMD_CHECK(pages.size() / page_size < NUMBER_END, "one write holds fewer pages than there are numbers");
	auto count = uint32_t(pages.size() / page_size);
	if (count == 0) {
		return;
	}
	state->CheckIdsInUse(first, count);
	std::vector<Slot> former = state->SlotsOf(first, count);
	Slot slot = state->AllocateSlots(count);
	for (uint32_t i = 0; i < count; i++) {
		SealPage(pages.SubSpan(size_t(i) * page_size, page_size), PageIdentity {kind, first.value + i},
		         state->NextGeneration());
	}
	state->WriteSlots(slot, ConstByteSpan(pages.data(), pages.size()));
	state->Remap(first, PageRun {count, slot}, former);
}

void PageFile::FreePage(PageId id) {
	state->CheckNotPoisoned();
	state->CheckIdsInUse(id, 1);
	state->Remap(id, PageRun {1, std::nullopt}, state->SlotsOf(id, 1));
	std::unique_lock<std::shared_mutex> guard(state->lock);
	bool is_added = state->freed_ids.Add(Extent {id.value, 1});
	LMD_CHECK(is_added, "a page id is freed once");
}

bool PageFile::ArePagesInUse(PageId first, uint32_t count) const {
	std::shared_lock<std::shared_mutex> guard(state->lock);
	const Extent extent {first.value, count};
	return count <= state->page_id_end && first.value <= state->page_id_end - count &&
	       !state->free_ids.Overlaps(extent) && !state->freed_ids.Overlaps(extent);
}

void PageFile::ReadPage(PageId id, PageKind kind, ByteSpan page) const {
	PageReadRequest request {id, kind, page};
	ReadPages(Span<const PageReadRequest>(&request, 1));
}

void PageFile::ReadPages(Span<const PageReadRequest> requests) const {
	std::shared_lock<std::shared_mutex> shrink_guard(state->shrink_lock);
	std::vector<Slot> slots(requests.size());
	std::vector<ReadRequest> reads(requests.size());
	Generation written_until;
	{
		std::shared_lock<std::shared_mutex> guard(state->lock);
		written_until = state->NextGeneration();
		for (size_t i = 0; i < requests.size(); i++) {
			LMD_CHECK(requests[i].page.size() == page_size, "a page has page_size bytes");
			slots[i] = state->LocateOrThrow(requests[i].id);
			reads[i] = ReadRequest {state->OffsetOf(slots[i]), requests[i].page};
		}
	}
	file->ReadBatch(Span<const ReadRequest>(reads.data(), reads.size()));
	counters.pages_read.fetch_add(requests.size(), std::memory_order_relaxed);
	for (size_t i = 0; i < requests.size(); i++) {
		const PageReadRequest &request = requests[i];
		ConstByteSpan page(request.page.data(), request.page.size());
		if (state->FindFault(page, PageIdentity {request.kind, request.id.value}, slots[i], written_until)) {
			// The page may have moved, and its slot been written, since the lookup.
			state->ReadPageLocked(request.id, request.kind, request.page);
		}
	}
}

// --- blobs -----------------------------------------------------------------------------------------------------------

uint64_t PageFile::State::BlobPageCount(uint64_t size_bytes) const {
	uint64_t payload = owner.page_size - sizeof(PageHead);
	return size_bytes / payload + (size_bytes % payload != 0 ? 1 : 0);
}

void PageFile::State::WriteBlobTo(Slot first, ConstByteSpan bytes) {
	uint64_t payload = owner.page_size - sizeof(PageHead);
	uint64_t page_count = BlobPageCount(bytes.size());
	uint64_t batch_max = std::max<uint64_t>(1, BLOB_BUFFER_BYTES / owner.page_size);
	AlignedBuffer<uint8_t> buffer(std::min(page_count, batch_max) * owner.page_size);
	for (uint64_t done = 0; done < page_count; done += batch_max) {
		uint64_t batch = std::min(batch_max, page_count - done);
		for (uint64_t i = 0; i < batch; i++) {
			ByteSpan page(buffer.data() + i * owner.page_size, owner.page_size);
			uint64_t offset = (done + i) * payload;
			uint64_t part = std::min<uint64_t>(payload, bytes.size() - offset);
			std::fill_n(page.data(), page.size(), uint8_t(0));
			std::copy_n(bytes.data() + offset, part, page.data() + sizeof(PageHead));
			SealPage(page, PageIdentity {PageKind::BLOB, uint32_t(first.value + done + i)}, NextGeneration());
		}
		WriteSlots(Slot(uint32_t(first.value + done)), ConstByteSpan(buffer.data(), batch * owner.page_size));
	}
}

BlobRef PageFile::WriteBlob(ConstByteSpan bytes) {
	state->CheckNotPoisoned();
	BlobRef blob;
	if (bytes.empty()) {
		return blob;
	}
	uint64_t page_count = state->BlobPageCount(bytes.size());
	LMD_CHECK(page_count < NUMBER_END, "a blob has fewer pages than there are slot numbers");
	blob.size_bytes = bytes.size();
	blob.first = state->AllocateSlots(uint32_t(page_count));
	state->WriteBlobTo(blob.first, bytes);
	return blob;
}

std::vector<uint8_t> PageFile::ReadBlob(const BlobRef &blob) const {
	std::vector<uint8_t> bytes;
	if (blob.size_bytes == 0) {
		return bytes;
	}
	uint64_t payload = page_size - sizeof(PageHead);
	uint64_t page_count = state->BlobPageCount(blob.size_bytes);
	state->CheckSlotsInFile(blob.first, page_count);
	bytes.reserve(blob.size_bytes);
	uint64_t batch_max = std::max<uint64_t>(1, BLOB_BUFFER_BYTES / page_size);
	AlignedBuffer<uint8_t> buffer(std::min(page_count, batch_max) * page_size);
	Generation written_until;
	{
		std::shared_lock<std::shared_mutex> guard(state->lock);
		written_until = state->NextGeneration();
	}
	for (uint64_t done = 0; done < page_count; done += batch_max) {
		uint64_t batch = std::min(batch_max, page_count - done);
		file->Read(state->OffsetOf(Slot(uint32_t(blob.first.value + done))),
		           ByteSpan(buffer.data(), batch * page_size));
		counters.pages_read.fetch_add(batch, std::memory_order_relaxed);
		for (uint64_t i = 0; i < batch; i++) {
			Slot slot(uint32_t(blob.first.value + done + i));
			ConstByteSpan page(buffer.data() + i * page_size, page_size);
			if (auto fault = state->FindFault(page, PageIdentity {PageKind::BLOB, slot.value}, slot, written_until)) {
				throw CorruptionError("page file: " + *fault);
			}
			uint64_t part = std::min<uint64_t>(payload, blob.size_bytes - bytes.size());
			const uint8_t *begin = page.data() + sizeof(PageHead);
			bytes.insert(bytes.end(), begin, begin + part);
		}
	}
	return bytes;
}

void PageFile::FreeBlob(const BlobRef &blob) {
	state->CheckNotPoisoned();
	if (blob.size_bytes > 0) {
		uint64_t page_count = state->BlobPageCount(blob.size_bytes);
		state->CheckSlotsInFile(blob.first, page_count);
		state->ReleaseSlots(blob.first, page_count);
	}
}

} // namespace lm_diskann
