// The core's File over DuckDB's FileSystem: every byte of an index goes through the host.
#pragma once

#include "adapter/file_registry.hpp"

#include "storage/file.hpp"

#include "duckdb/common/file_system.hpp"

namespace duckdb {

//! Positional reads and writes on one open handle. Thread rules as File says: DuckDB's positional calls keep no file
//! position. Everything DuckDB throws, also its FatalException for EIO, arrives as FileError with DuckDB's text.
class DuckDBFile final : public lm_diskann::File {
public:
	//! `claim` is given back when the handle is closed.
	DuckDBFile(unique_ptr<FileHandle> handle_p, unique_ptr<FileClaim> claim_p);

	void Read(uint64_t offset, lm_diskann::ByteSpan target) const override;
	void Write(uint64_t offset, lm_diskann::ConstByteSpan source) override;
	void Resize(uint64_t size_bytes) override;
	void Sync() override;
	uint64_t Size() const override;

private:
	//! Goes after the handle.
	unique_ptr<FileClaim> claim;
	unique_ptr<FileHandle> handle;
};

} // namespace duckdb
