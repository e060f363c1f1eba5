// A file in RAM, for in-memory databases and tests. It grows in chunks, so growing moves no bytes.
#pragma once

#include "base/aligned_buffer.hpp"
#include "storage/file.hpp"

#include <shared_mutex>
#include <vector>

namespace lm_diskann {

//! Threads as File demands: readers share a lock, a write, resize or copy of a chunk holds it alone.
class MemoryFile : public File {
public:
	static constexpr uint64_t CHUNK_SIZE = uint64_t(1) << 18;

	void Read(uint64_t offset, ByteSpan target) const override;
	//! Writing past the end grows the file; bytes never written are zero.
	void Write(uint64_t offset, ConstByteSpan source) override;
	void Resize(uint64_t size_bytes_p) override;
	//! Nothing in RAM survives a loss of power, and no caller of a MemoryFile expects it to.
	void Sync() override;
	uint64_t Size() const override;

private:
	void ResizeLocked(uint64_t size_bytes_p);

	mutable std::shared_mutex lock;
	//! Bytes of the last chunk beyond size_bytes are zero.
	std::vector<AlignedBuffer<uint8_t>> chunks;
	uint64_t size_bytes = 0;
};

} // namespace lm_diskann
