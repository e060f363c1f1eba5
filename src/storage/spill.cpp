#include "storage/spill.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <cstring>

namespace lm_diskann {

namespace {

constexpr size_t BLOCK_BYTES_MIN = 64 * 1024;
constexpr uint64_t FILE_STEP_BYTES = uint64_t(16) << 20;

} // namespace

Spill::Spill(size_t record_bytes_p, CreateFile create_file_p)
    : record_bytes(record_bytes_p), block_bytes(std::max(record_bytes_p, BLOCK_BYTES_MIN)),
      create_file(std::move(create_file_p)) {
}

void Spill::SetMemoryMax(uint64_t bytes) {
	const std::lock_guard<std::mutex> guard(mutex);
	memory_max = bytes;
	Evict();
}

uint64_t Spill::MemoryBytes() const {
	const std::lock_guard<std::mutex> guard(mutex);
	return memory_bytes;
}

uint64_t Spill::FileBytes() const {
	const std::lock_guard<std::mutex> guard(mutex);
	return file_end;
}

uint32_t Spill::AddStream() {
	const std::lock_guard<std::mutex> guard(mutex);
	streams.emplace_back();
	return uint32_t(streams.size() - 1);
}

void Spill::Append(uint32_t stream, const uint8_t *records, size_t count) {
	const std::lock_guard<std::mutex> guard(mutex);
	std::vector<StoredBlock> &blocks = streams[stream];
	while (count > 0) {
		if (blocks.empty() || !blocks.back().bytes || blocks.back().count == RecordsPerBlock()) {
			memory_bytes += block_bytes;
			Evict();
			blocks.emplace_back();
			blocks.back().bytes = std::make_shared<AlignedBuffer<uint8_t>>(block_bytes);
		}
		StoredBlock &block = blocks.back();
		const size_t added = std::min(count, RecordsPerBlock() - block.count);
		std::memcpy(block.bytes->data() + block.count * record_bytes, records, added * record_bytes);
		block.count += added;
		records += added * record_bytes;
		count -= added;
		if (block.count == RecordsPerBlock()) {
			resident.push_back({stream, blocks.size() - 1});
		}
	}
}

//! Full blocks go first; where these do not suffice, the block that a stream ends with goes as it is.
void Spill::Evict() {
	if (!create_file) {
		return;
	}
	while (memory_bytes > memory_max && !resident.empty()) {
		const Place place = resident.back();
		resident.pop_back();
		MoveToFile(streams[place.stream][place.block]);
	}
	for (size_t stream = 0; memory_bytes > memory_max && stream < streams.size(); stream++) {
		if (!streams[stream].empty() && streams[stream].back().bytes) {
			MoveToFile(streams[stream].back());
		}
	}
}

void Spill::MoveToFile(StoredBlock &block) {
	if (!block.bytes) {
		return;
	}
	if (!file) {
		file = create_file();
	}
	if (free_offsets.empty()) {
		// The lowest offset is used first.
		const uint64_t step = std::max<uint64_t>(1, FILE_STEP_BYTES / block_bytes);
		file->Resize(file_end + step * block_bytes);
		for (uint64_t i = step; i-- > 0;) {
			free_offsets.push_back(file_end + i * block_bytes);
		}
		file_end += step * block_bytes;
	}
	file->Write(free_offsets.back(), ConstByteSpan(block.bytes->data(), block_bytes));
	block.offset = free_offsets.back();
	free_offsets.pop_back();
	block.bytes.reset();
	memory_bytes -= block_bytes;
}

size_t Spill::BlockCount(uint32_t stream) const {
	const std::lock_guard<std::mutex> guard(mutex);
	return streams[stream].size();
}

size_t Spill::RecordCount(uint32_t stream, size_t block) const {
	const std::lock_guard<std::mutex> guard(mutex);
	return streams[stream][block].count;
}

Spill::Block Spill::Read(uint32_t stream, size_t block) const {
	Block result;
	result.record_bytes = record_bytes;
	uint64_t offset;
	{
		const std::lock_guard<std::mutex> guard(mutex);
		const StoredBlock &stored = streams[stream][block];
		LMD_CHECK(stored.bytes || stored.offset != NO_PLACE, "a block of a spill is read after it was freed");
		result.bytes = stored.bytes;
		result.count = stored.count;
		offset = stored.offset;
	}
	if (!result.bytes) {
		result.bytes = std::make_shared<AlignedBuffer<uint8_t>>(block_bytes);
		file->Read(offset, ByteSpan(result.bytes->data(), block_bytes));
	}
	return result;
}

void Spill::Free(uint32_t stream, size_t block) {
	const std::lock_guard<std::mutex> guard(mutex);
	StoredBlock &stored = streams[stream][block];
	if (stored.bytes) {
		stored.bytes.reset();
		memory_bytes -= block_bytes;
	} else if (stored.offset != NO_PLACE) {
		free_offsets.push_back(stored.offset);
	}
	stored.offset = NO_PLACE;
}

} // namespace lm_diskann
