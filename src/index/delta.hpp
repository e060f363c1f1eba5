// Vectors that were appended and are not in the graph: searched exactly, until a merge takes them over.
//
// Rows lie in chunks in the order they came. A chunk is written to the file when the index is published, again only if
// rows were added to it since, and leaves RAM when RAM is short; so publishing costs what is new, and a load of any
// size fits. Which rows are left is in the directory, which is small and written as a whole.
#pragma once

#include "base/page_memory.hpp"
#include "base/types.hpp"
#include "storage/format.hpp"
#include "vector/rounded_rows.hpp"

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

namespace lm_diskann {

//! The delta at one moment, for publishing it without holding up anybody.
struct DeltaSnapshot {
	struct Chunk {
		uint64_t number = 0;
		BlobRef blob;
		std::vector<RowId> row_ids;
		//! Not empty: the blob has to be written, in place of `former`.
		std::vector<uint8_t> vectors;
		BlobRef former;
	};

	std::vector<Chunk> chunks;
	//! Blobs of chunks that are gone.
	std::vector<BlobRef> released;

	//! Once every chunk has its blob: number of chunks, then for each blob, number of rows and row ids.
	std::vector<uint8_t> Serialize() const;
};

//! The vectors of a chunk in RAM, one after the other. Those of a full chunk do not change.
struct DeltaVectors {
	PageMemory memory;
	//! The same rounded, once a search took the time (delta_scan.hpp).
	mutable std::atomic<const RoundedRows *> rounded {nullptr};

	//! Throws std::bad_alloc.
	explicit DeltaVectors(size_t bytes) : memory(bytes) {
	}
	~DeltaVectors() {
		delete rounded.load();
	}
	DeltaVectors(const DeltaVectors &) = delete;
	DeltaVectors &operator=(const DeltaVectors &) = delete;
};

//! Not thread-safe: the owner's lock lets many readers in beside each other.
class Delta {
public:
	//! Reads a chunk that left RAM; throws FileError, CorruptionError.
	using ReadBlob = std::function<std::vector<uint8_t>(const BlobRef &)>;
	//! A place in the order of insertion. None is given twice.
	using Sequence = uint64_t;

	Delta(ElementType element_type, uint32_t dims, ReadBlob read_blob_p);
	//! Throws CorruptionError.
	static Delta Deserialize(ConstByteSpan bytes, ElementType element_type, uint32_t dims, ReadBlob read_blob);

	//! So many rows come next: the memory of their vectors is fetched a chunk at a time.
	void Expect(size_t row_count) {
		expected_rows = row_count;
	}
	//! Inserts or replaces; `vector` has `dims` elements of the column's type. Throws std::bad_alloc, before any
	//! change.
	void Put(RowId row_id, const void *vector);
	//! False when the row is not here. No allocation.
	bool Erase(RowId row_id) noexcept;
	//! The same if the row was put at `sequence` and not again since.
	bool Erase(RowId row_id, Sequence sequence) noexcept;
	bool Contains(RowId row_id) const {
		return positions.count(row_id) > 0;
	}
	size_t Count() const {
		return positions.size();
	}
	uint64_t MemoryBytes() const;
	//! RAM of vectors alone, and of what searches round of them.
	uint64_t VectorBytes() const {
		return resident_rows * resident_bytes;
	}

	//! In place of the row id of a row that is gone.
	static constexpr RowId ERASED = RowId(-1);
	//! Rows of a full chunk.
	static constexpr size_t CHUNK_ROWS = 256;

	//! Rows that came one after the other, as a reader sees them.
	struct ChunkView {
		//! Those that are not ERASED are `live_count`.
		Span<const RowId> row_ids;
		size_t live_count;
		const uint8_t *vectors;
		//! Keeps the vectors of a full chunk in RAM; null: they are gone after the visit.
		std::shared_ptr<const DeltaVectors> kept;
	};
	//! Calls `visit(ChunkView)` for each chunk in the order of insertion. Errors of ReadBlob.
	template <class FUNCTION>
	void ForEachChunk(FUNCTION &&visit) const {
		for (const auto &[number, chunk] : chunks) {
			std::vector<uint8_t> read;
			const uint8_t *vectors = VectorsOf(chunk, read);
			const bool is_full = chunk.row_ids.size() == CHUNK_ROWS;
			visit(ChunkView {chunk.row_ids, chunk.live_count, vectors, is_full ? chunk.vectors : nullptr});
		}
	}
	//! Calls `visit(row_id, vector)` for each row in the order of insertion. Errors of ReadBlob.
	template <class FUNCTION>
	void ForEach(FUNCTION &&visit) const {
		ForEachChunk([&](const ChunkView &chunk) {
			for (size_t i = 0; i < chunk.row_ids.size(); i++) {
				if (chunk.row_ids[i] != ERASED) {
					visit(chunk.row_ids[i], chunk.vectors + i * vector_bytes);
				}
			}
		});
	}
	//! Calls `visit(row_id)` for each row in any order, without I/O.
	template <class FUNCTION>
	void ForEachRow(FUNCTION &&visit) const {
		for (const auto &position : positions) {
			visit(position.first);
		}
	}
	//! Copies of the `count` oldest rows: row ids, their places, and vectors one after the other.
	struct Rows {
		std::vector<RowId> row_ids;
		std::vector<Sequence> sequences;
		std::vector<uint8_t> vectors;
	};
	Rows Oldest(size_t count) const;

	DeltaSnapshot TakeSnapshot();
	//! The oldest full chunks that no blob holds, at most `bytes_max` of vectors but at least one if there is any: what
	//! has to be written before it can leave RAM.
	DeltaSnapshot TakeUnstored(uint64_t bytes_max);
	//! The blobs of `snapshot` are written. Returns those that they replace, which no generation from this one on
	//! names.
	std::vector<BlobRef> SetStored(const DeltaSnapshot &snapshot);
	//! Frees the RAM of written chunks that are full, oldest first, until at most `target_bytes` of vectors are left.
	void Evict(uint64_t target_bytes);
	//! Reads written chunks into RAM, oldest first, up to `bytes_max` of vectors.
	void Load(uint64_t bytes_max);
	//! Every blob that the delta has in the file.
	std::vector<BlobRef> Blobs() const;

private:
	struct Chunk {
		std::vector<RowId> row_ids;
		size_t live_count = 0;
		//! Null once they left RAM.
		std::shared_ptr<DeltaVectors> vectors;
		BlobRef blob;
		//! Rows in the blob.
		size_t stored_rows = 0;
	};

	const uint8_t *VectorsOf(const Chunk &chunk, std::vector<uint8_t> &read) const;
	//! With memory for a vector more. Throws std::bad_alloc.
	Chunk &TailChunk();
	std::vector<uint8_t> CopyVectors(const Chunk &chunk) const;
	void EraseAt(Sequence sequence) noexcept;

	size_t vector_bytes;
	//! What a vector in RAM takes.
	size_t resident_bytes;
	ReadBlob read_blob;
	//! By number; sequence = number * CHUNK_ROWS + place.
	std::map<uint64_t, Chunk> chunks;
	uint64_t next_number = 0;
	size_t expected_rows = 0;
	uint64_t resident_rows = 0;
	std::unordered_map<RowId, Sequence> positions;
	std::vector<BlobRef> released;
};

} // namespace lm_diskann
