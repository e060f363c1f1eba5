// The rows of a build with their vectors, as they come and then by node. They are far larger than what linking needs of
// them, so they lie in a Spill: in RAM where that has room, else in its scratch file, and are read in order only.
//
// First the rows stand in the order they came in. Arranging moves each to the bucket of its node; a bucket holds the
// rows of consecutive nodes in any order, and is small enough to be loaded as a whole when their blocks are written. So
// rows are written twice and read a few times, always in sequence.
#pragma once

#include "graph/node.hpp"
#include "storage/spill.hpp"

#include <vector>

namespace lm_diskann {

//! Any thread may add, visit and arrange; the other methods belong to one thread, between these.
class BuildRows {
public:
	BuildRows(ElementType element_type_p, uint32_t dims_p, Spill::CreateFile create_file);

	//! Bytes of all rows.
	uint64_t Bytes(uint64_t row_count) const {
		return row_count * record_bytes;
	}
	//! What the rows need in RAM at any time, and what a loaded bucket takes.
	uint64_t MemoryMin(uint64_t row_count) const;
	uint64_t BucketBytes(uint64_t row_count) const;
	void SetMemoryMax(uint64_t bytes) {
		spill.SetMemoryMax(bytes);
	}
	uint64_t MemoryBytes() const {
		return spill.MemoryBytes();
	}
	uint64_t ScratchFileBytes() const {
		return spill.FileBytes();
	}

	//! `vectors[i]`: `dims` elements of the column's type. Throws FileError.
	void Add(Span<const RowId> row_ids, Span<const void *const> vectors);

	//! No row is added after it.
	void EndAdding();
	size_t Count() const {
		return block_starts.back();
	}
	size_t BlockCount() const {
		return block_starts.size() - 1;
	}

	//! One row of a block; the vector as floats is valid until the next one.
	struct Row {
		size_t position;
		RowId row_id;
		const float *vector;
	};
	//! Calls `run(const Row &)` for the rows of a block, in the order they came in.
	template <class FUNCTION>
	void ForEachRow(size_t block, FUNCTION &&run) const {
		std::vector<float> widened;
		const Spill::Block rows = spill.Read(0, block);
		for (size_t i = 0; i < rows.Count(); i++) {
			run(Row {block_starts[block] + i, RowId(int64_t(KeyOf(rows.Record(i)))),
			         FloatsOf(rows.Record(i), widened)});
		}
	}

	//! Makes the buckets. A bucket's first node is a multiple of `node_step`.
	void StartArranging(uint32_t node_step);
	//! Moves the rows of a block to the buckets of their nodes.
	void Arrange(size_t block, const std::vector<uint32_t> &node_of_position);

	size_t BucketCount() const {
		return bucket_count;
	}
	NodeId BucketBegin(size_t bucket) const {
		return NodeId(uint32_t(std::min<uint64_t>(Count(), bucket * bucket_nodes)));
	}
	//! Blocks of all buckets, after arranging.
	std::vector<std::pair<uint32_t, size_t>> BucketBlocks() const;
	//! Calls `run(NodeId, const float *vector)` for the rows of one of them.
	template <class FUNCTION>
	void ForEachNode(const std::pair<uint32_t, size_t> &block, FUNCTION &&run) const {
		std::vector<float> widened;
		const Spill::Block rows = spill.Read(block.first, block.second);
		for (size_t i = 0; i < rows.Count(); i++) {
			run(NodeId(uint32_t(KeyOf(rows.Record(i)))), FloatsOf(rows.Record(i), widened));
		}
	}
	//! Takes the vectors of one bucket into RAM, in place of those of the bucket before, which are freed.
	void LoadBucket(size_t bucket);
	//! Of a node in the loaded bucket: the vector as the column has it. Any thread.
	const uint8_t *LoadedVector(NodeId node) const {
		return loaded_vectors[node.value - BucketBegin(loaded_bucket).value];
	}

private:
	uint64_t KeyOf(const uint8_t *record) const;
	const float *FloatsOf(const uint8_t *record, std::vector<float> &widened) const;
	uint32_t StreamOf(size_t bucket) const {
		return uint32_t(1 + bucket);
	}

	const ElementType element_type;
	const uint32_t dims;
	//! Row id or node (8 bytes), vector.
	const size_t record_bytes;
	Spill spill;
	//! Position of each block's first row, and the number of rows.
	std::vector<size_t> block_starts = {0};
	size_t bucket_count = 0;
	uint64_t bucket_nodes = 0;
	size_t loaded_bucket = 0;
	std::vector<Spill::Block> loaded_blocks;
	std::vector<const uint8_t *> loaded_vectors;
};

} // namespace lm_diskann
