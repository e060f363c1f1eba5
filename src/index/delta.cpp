#include "index/delta.hpp"

#include "base/error.hpp"

#include <cstring>

namespace lm_diskann {

Delta::Delta(ElementType element_type_p, uint32_t dims_p)
    : element_type(element_type_p), dims(dims_p),
      vector_bytes(dims_p * (element_type_p == ElementType::FLOAT32 ? sizeof(float) : sizeof(int8_t))) {
}

void Delta::Put(RowId row_id, const void *vector) {
	const auto found = positions.find(row_id);
	if (found != positions.end()) {
		std::memcpy(VectorAt(found->second), vector, vector_bytes);
		return;
	}
	const size_t position = row_ids.size();
	if (position == chunks.size() * CHUNK_ROWS) {
		chunks.push_back(std::make_unique<uint8_t[]>(CHUNK_ROWS * vector_bytes));
	}
	row_ids.push_back(ERASED);
	try {
		positions.emplace(row_id, position);
	} catch (...) {
		row_ids.pop_back();
		throw;
	}
	std::memcpy(VectorAt(position), vector, vector_bytes);
	row_ids.back() = row_id;
}

bool Delta::Erase(RowId row_id) noexcept {
	const auto found = positions.find(row_id);
	if (found == positions.end()) {
		return false;
	}
	row_ids[found->second] = ERASED;
	positions.erase(found);
	if (positions.empty()) {
		row_ids.clear();
		chunks.clear();
	}
	return true;
}

uint64_t Delta::MemoryBytes() const {
	constexpr size_t MAP_ENTRY_BYTES = 48;
	return chunks.size() * CHUNK_ROWS * vector_bytes + row_ids.capacity() * sizeof(RowId) +
	       positions.size() * MAP_ENTRY_BYTES;
}

std::vector<uint8_t> Delta::Serialize() const {
	const uint64_t count = Count();
	std::vector<uint8_t> bytes(sizeof(count) + count * (sizeof(int64_t) + vector_bytes));
	uint8_t *ids = bytes.data() + sizeof(count);
	uint8_t *vectors = ids + count * sizeof(int64_t);
	std::memcpy(bytes.data(), &count, sizeof(count));
	ForEach([&](RowId row_id, const uint8_t *vector) {
		std::memcpy(ids, &row_id.value, sizeof(int64_t));
		std::memcpy(vectors, vector, vector_bytes);
		ids += sizeof(int64_t);
		vectors += vector_bytes;
	});
	return bytes;
}

Delta Delta::Deserialize(ConstByteSpan bytes, ElementType element_type, uint32_t dims) {
	Delta delta(element_type, dims);
	uint64_t count = 0;
	const size_t row_bytes = sizeof(int64_t) + delta.vector_bytes;
	if (bytes.size() < sizeof(count)) {
		throw CorruptionError("the delta has " + std::to_string(bytes.size()) + " bytes, at least 8 were expected");
	}
	std::memcpy(&count, bytes.data(), sizeof(count));
	if (count > bytes.size() / row_bytes || bytes.size() != sizeof(count) + count * row_bytes) {
		throw CorruptionError("the delta names " + std::to_string(count) + " rows of " + std::to_string(row_bytes) +
		                      " bytes, but has " + std::to_string(bytes.size()) + " bytes");
	}
	const uint8_t *ids = bytes.data() + sizeof(count);
	const uint8_t *vectors = ids + count * sizeof(int64_t);
	for (uint64_t i = 0; i < count; i++) {
		RowId row_id;
		std::memcpy(&row_id.value, ids + i * sizeof(int64_t), sizeof(int64_t));
		if (row_id.value < 0 || delta.Contains(row_id)) {
			throw CorruptionError("the delta holds row id " + std::to_string(row_id.value) +
			                      " that is negative or twice");
		}
		delta.Put(row_id, vectors + i * delta.vector_bytes);
	}
	return delta;
}

} // namespace lm_diskann
