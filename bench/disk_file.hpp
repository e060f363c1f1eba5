// A file of the operating system behind the core's gate, as DuckDB's file system is in the extension.
#pragma once

#include "storage/local_reader.hpp"

#include <memory>
#include <string>

namespace lm_diskann {

class DiskFile final : public File {
public:
	enum class Mode : uint8_t { CREATE, READ, READ_DIRECT };

	//! READ_DIRECT reads batches past the page cache of the operating system, as the extension does with
	//! lm_diskann_direct_io. Throws FileError.
	DiskFile(const std::string &path_p, Mode mode);
	~DiskFile() override;

	void Read(uint64_t offset, ByteSpan target) const override;
	void ReadBatch(Span<const ReadRequest> requests) const override;
	void Write(uint64_t offset, ConstByteSpan source) override;
	void Resize(uint64_t size_bytes) override;
	void Sync() override;
	uint64_t Size() const override;

private:
	std::string path;
	int descriptor;
	std::unique_ptr<LocalReader> direct;
};

} // namespace lm_diskann
