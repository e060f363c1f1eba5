// The one gate to the outside: a random-access file. The adapter implements it over DuckDB's FileSystem, MemoryFile
// serves in-memory databases and tests, the simulator's file loses, tears and fails writes.
#pragma once

#include "base/types.hpp"

namespace lm_diskann {

//! One read of a batch: `target.size()` bytes from `offset`.
struct ReadRequest {
	uint64_t offset = 0;
	ByteSpan target;
};

//! A file of bytes. Read, ReadBatch and Size may be called from several threads at once, also beside one writer;
//! Write, Resize and Sync by one thread at a time. Every method throws FileError; a read past the end is an error.
class File {
public:
	virtual ~File() = default;

	virtual void Read(uint64_t offset, ByteSpan target) const = 0;
	//! All requests, in any order; returns when the last is done. The base class reads them one after another.
	virtual void ReadBatch(Span<const ReadRequest> requests) const;
	virtual void Write(uint64_t offset, ConstByteSpan source) = 0;
	virtual void Resize(uint64_t size_bytes) = 0;
	//! Returns when every earlier write survives a loss of power.
	virtual void Sync() = 0;
	virtual uint64_t Size() const = 0;
};

} // namespace lm_diskann
