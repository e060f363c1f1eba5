// A file in RAM that counts what is written to it.
#pragma once

#include "storage/memory_file.hpp"

namespace lm_diskann {

class CountingFile : public MemoryFile {
public:
	//! `written_bytes`, which outlives the file, grows by the bytes of each write.
	explicit CountingFile(uint64_t &written_bytes_p) : written_bytes(written_bytes_p) {
	}
	void Write(uint64_t offset, ConstByteSpan source) override {
		written_bytes += source.size();
		MemoryFile::Write(offset, source);
	}

private:
	uint64_t &written_bytes;
};

} // namespace lm_diskann
