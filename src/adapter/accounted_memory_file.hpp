// The file of an index of an in-memory database or temporary table.
#pragma once

#include "adapter/instance_state.hpp"

#include "storage/memory_file.hpp"

namespace duckdb {

//! A MemoryFile whose bytes count against memory_limit. Growth that DuckDB cannot make room for throws FileError.
class AccountedMemoryFile final : public lm_diskann::MemoryFile {
public:
	explicit AccountedMemoryFile(std::shared_ptr<MemoryAccount> account_p);

	void Write(uint64_t offset, lm_diskann::ConstByteSpan source) override;
	void Resize(uint64_t size_bytes_p) override;

private:
	void AccountFor(uint64_t size_bytes_p);

	MemoryShare share;
};

} // namespace duckdb
