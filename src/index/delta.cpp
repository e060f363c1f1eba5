#include "index/delta.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <cstring>

namespace lm_diskann {

namespace {

//! On disk: before the row ids of each chunk.
struct StoredChunk {
	BlobRef blob;
	uint64_t row_count;
};
static_assert(sizeof(StoredChunk) == 24);

} // namespace

std::vector<uint8_t> DeltaSnapshot::Serialize() const {
	if (chunks.empty()) {
		return {};
	}
	const uint64_t chunk_count = chunks.size();
	std::vector<uint8_t> bytes(sizeof(chunk_count));
	std::memcpy(bytes.data(), &chunk_count, sizeof(chunk_count));
	for (const Chunk &chunk : chunks) {
		const StoredChunk stored {chunk.blob, chunk.row_ids.size()};
		const size_t at = bytes.size();
		const size_t id_bytes = chunk.row_ids.size() * sizeof(int64_t);
		bytes.resize(at + sizeof(stored) + id_bytes);
		std::memcpy(bytes.data() + at, &stored, sizeof(stored));
		std::memcpy(bytes.data() + at + sizeof(stored), chunk.row_ids.data(), id_bytes);
	}
	return bytes;
}

Delta::Delta(ElementType element_type, uint32_t dims, ReadBlob read_blob_p)
    : vector_bytes(dims * (element_type == ElementType::FLOAT32 ? sizeof(float) : sizeof(int8_t))),
      resident_bytes(vector_bytes + (element_type == ElementType::FLOAT32
                                         ? RoundedRows::MemoryBytes(dims, CHUNK_ROWS) / CHUNK_ROWS
                                         : 0)),
      read_blob(std::move(read_blob_p)) {
}

Delta::Chunk &Delta::TailChunk() {
	if (!chunks.empty()) {
		Chunk &last = std::prev(chunks.end())->second;
		if (last.row_ids.size() < CHUNK_ROWS && std::prev(chunks.end())->first + 1 == next_number && last.vectors) {
			return last;
		}
	}
	// What is not used of it is not touched.
	auto vectors = std::make_shared<DeltaVectors>(CHUNK_ROWS * vector_bytes);
	FetchMemory(vectors->memory.data(), std::min(expected_rows, CHUNK_ROWS) * vector_bytes);
	Chunk &chunk = chunks[next_number];
	chunk.vectors = std::move(vectors);
	next_number++;
	return chunk;
}

void Delta::Put(RowId row_id, const void *vector) {
	// All that can fail comes first.
	const auto [position, is_new] = positions.try_emplace(row_id, 0);
	Chunk *chunk = nullptr;
	try {
		chunk = &TailChunk();
		chunk->row_ids.push_back(row_id);
	} catch (...) {
		if (chunk && chunk->row_ids.empty()) {
			chunks.erase(std::prev(chunks.end()));
		}
		if (is_new) {
			positions.erase(position);
		}
		throw;
	}
	const size_t place = chunk->row_ids.size() - 1;
	std::memcpy(chunk->vectors->memory.data() + place * vector_bytes, vector, vector_bytes);
	expected_rows -= expected_rows > 0 ? 1 : 0;
	chunk->live_count++;
	resident_rows++;
	if (!is_new) {
		EraseAt(position->second);
	}
	position->second = (next_number - 1) * CHUNK_ROWS + place;
}

void Delta::EraseAt(Sequence sequence) noexcept {
	const auto entry = chunks.find(sequence / CHUNK_ROWS);
	Chunk &chunk = entry->second;
	chunk.row_ids[sequence % CHUNK_ROWS] = ERASED;
	if (--chunk.live_count > 0) {
		return;
	}
	if (chunk.blob.size_bytes > 0) {
		try {
			released.push_back(chunk.blob);
		} catch (...) {
			// Without memory the chunk stays, empty, and its blob with it.
			return;
		}
	}
	resident_rows -= chunk.vectors ? chunk.row_ids.size() : 0;
	chunks.erase(entry);
}

bool Delta::Erase(RowId row_id) noexcept {
	const auto found = positions.find(row_id);
	if (found == positions.end()) {
		return false;
	}
	EraseAt(found->second);
	positions.erase(found);
	return true;
}

bool Delta::Erase(RowId row_id, Sequence sequence) noexcept {
	const auto found = positions.find(row_id);
	return found != positions.end() && found->second == sequence && Erase(row_id);
}

uint64_t Delta::MemoryBytes() const {
	constexpr size_t MAP_ENTRY_BYTES = 48, ROW_BYTES = sizeof(RowId);
	return VectorBytes() + positions.size() * (MAP_ENTRY_BYTES + ROW_BYTES);
}

const uint8_t *Delta::VectorsOf(const Chunk &chunk, std::vector<uint8_t> &read) const {
	if (chunk.vectors) {
		return chunk.vectors->memory.data();
	}
	read = read_blob(chunk.blob);
	if (read.size() != chunk.row_ids.size() * vector_bytes) {
		throw CorruptionError("a chunk of the delta has " + std::to_string(read.size()) + " bytes, " +
		                      std::to_string(chunk.row_ids.size() * vector_bytes) + " were expected");
	}
	return read.data();
}

std::vector<uint8_t> Delta::CopyVectors(const Chunk &chunk) const {
	const uint8_t *vectors = chunk.vectors->memory.data();
	return std::vector<uint8_t>(vectors, vectors + chunk.row_ids.size() * vector_bytes);
}

Delta::Rows Delta::Oldest(size_t count) const {
	Rows rows;
	for (const auto &[number, chunk] : chunks) {
		if (rows.row_ids.size() == count) {
			break;
		}
		std::vector<uint8_t> read;
		const uint8_t *vectors = VectorsOf(chunk, read);
		for (size_t i = 0; i < chunk.row_ids.size() && rows.row_ids.size() < count; i++) {
			if (chunk.row_ids[i] != ERASED) {
				rows.row_ids.push_back(chunk.row_ids[i]);
				rows.sequences.push_back(number * CHUNK_ROWS + i);
				rows.vectors.insert(rows.vectors.end(), vectors + i * vector_bytes, vectors + (i + 1) * vector_bytes);
			}
		}
	}
	return rows;
}

DeltaSnapshot Delta::TakeSnapshot() {
	DeltaSnapshot snapshot;
	for (const auto &[number, chunk] : chunks) {
		snapshot.chunks.push_back({number, chunk.blob, chunk.row_ids, {}, {}});
		if (chunk.stored_rows != chunk.row_ids.size()) {
			snapshot.chunks.back().vectors = CopyVectors(chunk);
			snapshot.chunks.back().former = chunk.blob;
		}
	}
	snapshot.released.swap(released);
	return snapshot;
}

DeltaSnapshot Delta::TakeUnstored(uint64_t bytes_max) {
	DeltaSnapshot snapshot;
	uint64_t bytes = 0;
	for (const auto &[number, chunk] : chunks) {
		if (chunk.row_ids.size() < CHUNK_ROWS || chunk.stored_rows == CHUNK_ROWS) {
			continue;
		}
		bytes += chunk.row_ids.size() * vector_bytes;
		if (bytes > bytes_max && !snapshot.chunks.empty()) {
			break;
		}
		snapshot.chunks.push_back({number, chunk.blob, chunk.row_ids, CopyVectors(chunk), chunk.blob});
	}
	snapshot.released.swap(released);
	return snapshot;
}

std::vector<BlobRef> Delta::SetStored(const DeltaSnapshot &snapshot) {
	std::vector<BlobRef> replaced;
	for (const DeltaSnapshot::Chunk &stored : snapshot.chunks) {
		if (stored.vectors.empty()) {
			continue;
		}
		const bool has_former = stored.former.size_bytes > 0;
		if (has_former) {
			replaced.push_back(stored.former);
		}
		const auto entry = chunks.find(stored.number);
		if (entry != chunks.end()) {
			entry->second.blob = stored.blob;
			entry->second.stored_rows = stored.row_ids.size();
			continue;
		}
		// Its last row went meanwhile, which released the former blob; but it is the written one that this generation
		// names.
		if (has_former) {
			released.erase(std::find_if(released.begin(), released.end(),
			                            [&](const BlobRef &blob) { return blob.first == stored.former.first; }));
		}
		released.push_back(stored.blob);
	}
	return replaced;
}

void Delta::Evict(uint64_t target_bytes) {
	for (auto &[number, chunk] : chunks) {
		if (VectorBytes() <= target_bytes) {
			return;
		}
		if (chunk.row_ids.size() == CHUNK_ROWS && chunk.stored_rows == CHUNK_ROWS && chunk.vectors) {
			chunk.vectors = nullptr;
			resident_rows -= CHUNK_ROWS;
		}
	}
}

void Delta::Load(uint64_t bytes_max) {
	for (auto &[number, chunk] : chunks) {
		if (!chunk.vectors && VectorBytes() + chunk.row_ids.size() * resident_bytes <= bytes_max) {
			std::vector<uint8_t> read;
			VectorsOf(chunk, read);
			chunk.vectors = std::make_shared<DeltaVectors>(CHUNK_ROWS * vector_bytes);
			std::memcpy(chunk.vectors->memory.data(), read.data(), read.size());
			resident_rows += chunk.row_ids.size();
		}
	}
}

std::vector<BlobRef> Delta::Blobs() const {
	std::vector<BlobRef> blobs = released;
	for (const auto &[number, chunk] : chunks) {
		if (chunk.blob.size_bytes > 0) {
			blobs.push_back(chunk.blob);
		}
	}
	return blobs;
}

Delta Delta::Deserialize(ConstByteSpan bytes, ElementType element_type, uint32_t dims, ReadBlob read_blob) {
	Delta delta(element_type, dims, std::move(read_blob));
	if (bytes.empty()) {
		return delta;
	}
	const auto damaged = [](const std::string &problem) { return CorruptionError("the delta's directory " + problem); };
	uint64_t chunk_count = 0;
	if (bytes.size() < sizeof(chunk_count)) {
		throw damaged("has " + std::to_string(bytes.size()) + " bytes, at least 8 were expected");
	}
	std::memcpy(&chunk_count, bytes.data(), sizeof(chunk_count));
	size_t at = sizeof(chunk_count);
	for (uint64_t i = 0; i < chunk_count; i++) {
		StoredChunk stored = {};
		if (bytes.size() - at < sizeof(stored)) {
			throw damaged("ends within chunk " + std::to_string(i) + " of " + std::to_string(chunk_count));
		}
		std::memcpy(&stored, bytes.data() + at, sizeof(stored));
		at += sizeof(stored);
		if (stored.row_count == 0 || stored.row_count > CHUNK_ROWS ||
		    (bytes.size() - at) / sizeof(int64_t) < stored.row_count ||
		    stored.blob.size_bytes != stored.row_count * delta.vector_bytes) {
			throw damaged("names a chunk of " + std::to_string(stored.row_count) + " rows and " +
			              std::to_string(stored.blob.size_bytes) + " bytes");
		}
		Chunk &chunk = delta.chunks[delta.next_number];
		chunk.blob = stored.blob;
		chunk.stored_rows = stored.row_count;
		for (uint64_t row = 0; row < stored.row_count; row++, at += sizeof(int64_t)) {
			RowId row_id;
			std::memcpy(&row_id.value, bytes.data() + at, sizeof(int64_t));
			chunk.row_ids.push_back(row_id);
			if (row_id == ERASED) {
				continue;
			}
			if (row_id.value < 0 || !delta.positions.emplace(row_id, delta.next_number * CHUNK_ROWS + row).second) {
				throw damaged("holds row id " + std::to_string(row_id.value) + ", which is negative or twice");
			}
			chunk.live_count++;
		}
		if (chunk.live_count == 0) {
			throw damaged("names a chunk without rows");
		}
		delta.next_number++;
	}
	if (at != bytes.size()) {
		throw damaged("has " + std::to_string(bytes.size() - at) + " bytes too many");
	}
	return delta;
}

} // namespace lm_diskann
