// The core's File over DuckDB's FileSystem: every byte of an index goes through the host.
#pragma once

#include "adapter/file_registry.hpp"

#include "storage/file.hpp"
#include "storage/local_reader.hpp"

#include "duckdb/common/file_system.hpp"
#include "duckdb/common/mutex.hpp"

#include <atomic>
#include <memory>

namespace duckdb {

//! Whether reads shall go past the operating system's page cache (lm_diskann_direct_io), at any time anew.
using DirectIoSwitch = std::shared_ptr<std::atomic<bool>>;

//! Positional reads and writes on one open handle. Thread rules as File says: DuckDB's positional calls keep no file
//! position. Everything DuckDB throws, also its FatalException for EIO, arrives as FileError with DuckDB's text.
class DuckDBFile final : public lm_diskann::File {
public:
	//! `claim` is given back when the handle is closed. `paths` are those that the file has or may come to have.
	DuckDBFile(unique_ptr<FileHandle> handle_p, unique_ptr<FileClaim> claim_p, DirectIoSwitch is_direct_p,
	           vector<string> paths_p);

	void Read(uint64_t offset, lm_diskann::ByteSpan target) const override;
	void ReadBatch(lm_diskann::Span<const lm_diskann::ReadRequest> requests) const override;
	void Write(uint64_t offset, lm_diskann::ConstByteSpan source) override;
	void Resize(uint64_t size_bytes) override;
	void Sync() override;
	uint64_t Size() const override;

private:
	//! True when all were read past the page cache; else the handle has to read them.
	bool TryReadDirectly(lm_diskann::Span<const lm_diskann::ReadRequest> requests) const;
	//! Opens the file beside the handle when that is wanted and possible; tried once.
	const lm_diskann::LocalReader *DirectReader() const;

	DirectIoSwitch is_direct;
	vector<string> paths;
	//! Goes after the handle.
	unique_ptr<FileClaim> claim;
	mutable mutex direct_lock;
	mutable bool is_direct_tried = false;
	//! Closed after the handle: closing any handle of a file drops this process's locks on it.
	mutable std::unique_ptr<lm_diskann::LocalReader> direct_owner;
	mutable std::atomic<const lm_diskann::LocalReader *> direct {nullptr};
	unique_ptr<FileHandle> handle;
};

} // namespace duckdb
