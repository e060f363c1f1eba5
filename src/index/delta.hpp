// Vectors that were appended and are not in the graph: kept in RAM, searched exactly.
#pragma once

#include "base/types.hpp"
#include "vector/vector_types.hpp"

#include <memory>
#include <unordered_map>
#include <vector>

namespace lm_diskann {

//! Not thread-safe: the owner's lock lets many readers in beside each other.
class Delta {
public:
	Delta(ElementType element_type_p, uint32_t dims_p);

	//! Inserts or replaces; `vector` has `dims` elements of the column's type. Throws std::bad_alloc, before any
	//! change.
	void Put(RowId row_id, const void *vector);
	//! False when the row is not here. No allocation.
	bool Erase(RowId row_id) noexcept;
	bool Contains(RowId row_id) const {
		return positions.count(row_id) > 0;
	}
	size_t Count() const {
		return positions.size();
	}
	uint64_t MemoryBytes() const;
	//! Calls `visit(row_id, vector)` for each row in the order of insertion.
	template <class FUNCTION>
	void ForEach(FUNCTION &&visit) const {
		for (size_t position = 0; position < row_ids.size(); position++) {
			if (row_ids[position] != ERASED) {
				visit(row_ids[position], VectorAt(position));
			}
		}
	}

	//! Count, then row ids, then vectors.
	std::vector<uint8_t> Serialize() const;
	//! Throws CorruptionError.
	static Delta Deserialize(ConstByteSpan bytes, ElementType element_type, uint32_t dims);

private:
	static constexpr RowId ERASED = RowId(-1);
	//! Vectors of one allocation: growing never copies, and never holds more than this in reserve.
	static constexpr size_t CHUNK_ROWS = 256;

	uint8_t *VectorAt(size_t position) const {
		return chunks[position / CHUNK_ROWS].get() + (position % CHUNK_ROWS) * vector_bytes;
	}

	ElementType element_type;
	uint32_t dims;
	size_t vector_bytes;
	std::vector<RowId> row_ids;
	std::vector<std::unique_ptr<uint8_t[]>> chunks;
	std::unordered_map<RowId, size_t> positions;
};

} // namespace lm_diskann
