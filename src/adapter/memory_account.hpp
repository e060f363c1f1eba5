// What counts in memory_limit beside DuckDB's own buffers.
#pragma once

#include "duckdb/common/common.hpp"
#include "duckdb/common/mutex.hpp"

#include <memory>

namespace duckdb {

class BufferManager;

inline uint64_t Percent(uint64_t bytes, uint64_t percent) {
	// memory_limit may be the largest number there is.
	return bytes / 100 * percent;
}

//! Memory reserved in DuckDB's buffer manager, so that it counts against memory_limit and shows in duckdb_memory()
//! under EXTENSION. Moves in steps, so that the buffer manager is not asked for every page. Thread-safe.
class MemoryAccount {
public:
	//! Up to this share of memory_limit TryReserve reserves.
	static constexpr uint64_t GROWTH_PERCENT = 80;

	explicit MemoryAccount(BufferManager &buffer_manager_p);
	~MemoryAccount();

	//! False, and nothing changed, when memory is short: other operators come first.
	bool TryReserve(uint64_t bytes);
	//! Throws OutOfMemoryException when DuckDB cannot make room.
	void Reserve(uint64_t bytes);
	void Release(uint64_t bytes);
	uint64_t ReservedBytes() const;
	//! What of it is in use.
	uint64_t UsedBytes() const;

private:
	void ReserveLocked(uint64_t bytes);

	BufferManager &buffer_manager;
	mutable mutex lock;
	uint64_t used_bytes = 0;
	uint64_t reserved_bytes = 0;
};

//! A number of bytes on an account that follows the size of something; gives them back at the end.
class MemoryShare {
public:
	explicit MemoryShare(std::shared_ptr<MemoryAccount> account_p);
	~MemoryShare();
	MemoryShare(const MemoryShare &) = delete;
	MemoryShare &operator=(const MemoryShare &) = delete;

	//! Throws OutOfMemoryException for growth that DuckDB cannot make room for; then nothing changed.
	void Resize(uint64_t bytes);
	//! Resizes as far as DuckDB can make room, for what is there already.
	void Follow(uint64_t bytes) noexcept;

private:
	std::shared_ptr<MemoryAccount> account;
	mutex lock;
	uint64_t bytes = 0;
};

} // namespace duckdb
