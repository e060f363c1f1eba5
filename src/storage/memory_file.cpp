#include "storage/memory_file.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <string>

namespace lm_diskann {

namespace {

//! Calls `visit(chunk index, offset in chunk, offset in range, bytes)` for each piece of the range.
template <class VISIT>
void ForEachPiece(uint64_t offset, size_t size_bytes, VISIT visit) {
	size_t done = 0;
	while (done < size_bytes) {
		uint64_t place = offset + done;
		uint64_t inside = place % MemoryFile::CHUNK_SIZE;
		size_t piece = std::min<uint64_t>(size_bytes - done, MemoryFile::CHUNK_SIZE - inside);
		visit(place / MemoryFile::CHUNK_SIZE, inside, done, piece);
		done += piece;
	}
}

} // namespace

void MemoryFile::Read(uint64_t offset, ByteSpan target) const {
	std::shared_lock<std::shared_mutex> guard(lock);
	if (offset > size_bytes || target.size() > size_bytes - offset) {
		throw FileError("memory file: read of " + std::to_string(target.size()) + " bytes at offset " +
		                std::to_string(offset) + " is beyond its " + std::to_string(size_bytes) + " bytes");
	}
	ForEachPiece(offset, target.size(), [&](uint64_t chunk, uint64_t inside, size_t done, size_t piece) {
		std::memcpy(target.data() + done, chunks[chunk].data() + inside, piece);
	});
}

void MemoryFile::Write(uint64_t offset, ConstByteSpan source) {
	std::unique_lock<std::shared_mutex> guard(lock);
	if (offset + source.size() > size_bytes) {
		ResizeLocked(offset + source.size());
	}
	ForEachPiece(offset, source.size(), [&](uint64_t chunk, uint64_t inside, size_t done, size_t piece) {
		std::memcpy(chunks[chunk].data() + inside, source.data() + done, piece);
	});
}

void MemoryFile::Resize(uint64_t size_bytes_p) {
	std::unique_lock<std::shared_mutex> guard(lock);
	ResizeLocked(size_bytes_p);
}

void MemoryFile::ResizeLocked(uint64_t size_bytes_p) {
	uint64_t chunk_count = (size_bytes_p + CHUNK_SIZE - 1) / CHUNK_SIZE;
	if (chunk_count < chunks.size()) {
		chunks.resize(chunk_count);
	}
	if (size_bytes_p < size_bytes && size_bytes_p % CHUNK_SIZE != 0) {
		uint64_t kept = size_bytes_p % CHUNK_SIZE;
		std::memset(chunks.back().data() + kept, 0, CHUNK_SIZE - kept);
	}
	try {
		while (chunks.size() < chunk_count) {
			chunks.emplace_back(CHUNK_SIZE);
		}
	} catch (const std::bad_alloc &) { // The contract of File knows FileError only.
		throw FileError("memory file: no memory to grow to " + std::to_string(size_bytes_p) + " bytes");
	}
	size_bytes = size_bytes_p;
}

void MemoryFile::Sync() {
}

uint64_t MemoryFile::Size() const {
	std::shared_lock<std::shared_mutex> guard(lock);
	return size_bytes;
}

} // namespace lm_diskann
