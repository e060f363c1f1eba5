// Records of one size on their way through a build: streams of blocks that stay in RAM as far as a budget allows, and
// lie in a scratch file beyond it.
//
// A stream is appended to, then read block by block, in any order and by any thread, and freed block by block. Places
// of the file that are free are used again. Which blocks lie where changes nothing that a reader sees. Nothing here
// survives a restart: the file needs no format, and its owner removes it.
#pragma once

#include "base/aligned_buffer.hpp"
#include "storage/file.hpp"

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace lm_diskann {

//! Thread-safe.
class Spill {
public:
	using CreateFile = std::function<std::unique_ptr<File>()>;

	//! `create_file` makes the scratch file when it is first needed; null: everything stays in RAM.
	Spill(size_t record_bytes_p, CreateFile create_file_p);

	//! Bytes of one block: 64 KiB, or one record that is larger.
	size_t BlockBytes() const {
		return block_bytes;
	}
	size_t RecordsPerBlock() const {
		return block_bytes / record_bytes;
	}

	//! Blocks beyond `bytes` go to the file, from now on; room for one block a stream keeps appends sequential.
	//! Throws FileError. Without a file there is no limit.
	void SetMemoryMax(uint64_t bytes);
	//! Bytes of the blocks in RAM.
	uint64_t MemoryBytes() const;
	uint64_t FileBytes() const;

	//! Returns the stream's number: 0, 1, ...
	uint32_t AddStream();
	//! `count` records of `record_bytes` to the end of `stream`. Throws FileError.
	void Append(uint32_t stream, const uint8_t *records, size_t count);

	size_t BlockCount(uint32_t stream) const;
	size_t RecordCount(uint32_t stream, size_t block) const;

	//! The records of a block; they stay while it lives.
	class Block {
	public:
		size_t Count() const {
			return count;
		}
		const uint8_t *Record(size_t index) const {
			return bytes->data() + index * record_bytes;
		}

	private:
		friend class Spill;
		std::shared_ptr<AlignedBuffer<uint8_t>> bytes;
		size_t count = 0;
		size_t record_bytes = 0;
	};
	//! Throws FileError.
	Block Read(uint32_t stream, size_t block) const;
	//! The block is not read again.
	void Free(uint32_t stream, size_t block);

private:
	static constexpr uint64_t NO_PLACE = UINT64_MAX;

	struct StoredBlock {
		//! Null: in the file, or freed.
		std::shared_ptr<AlignedBuffer<uint8_t>> bytes;
		uint64_t offset = NO_PLACE;
		size_t count = 0;
	};
	struct Place {
		uint32_t stream;
		size_t block;
	};

	void Evict();
	void MoveToFile(StoredBlock &block);

	const size_t record_bytes;
	const size_t block_bytes;
	const CreateFile create_file;

	mutable std::mutex mutex;
	std::unique_ptr<File> file;
	uint64_t file_end = 0;
	std::vector<uint64_t> free_offsets;
	std::vector<std::vector<StoredBlock>> streams;
	//! Full blocks in RAM.
	std::vector<Place> resident;
	uint64_t memory_bytes = 0;
	uint64_t memory_max = UINT64_MAX;
};

} // namespace lm_diskann
