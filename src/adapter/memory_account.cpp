#include "adapter/memory_account.hpp"

#include "duckdb/common/algorithm.hpp"
#include "duckdb/storage/buffer_manager.hpp"

namespace duckdb {

namespace {

constexpr uint64_t RESERVATION_STEP = uint64_t(1) << 20;

} // namespace

MemoryAccount::MemoryAccount(BufferManager &buffer_manager_p) : buffer_manager(buffer_manager_p) {
}

MemoryAccount::~MemoryAccount() {
	buffer_manager.FreeReservedMemory(reserved_bytes);
}

void MemoryAccount::ReserveLocked(uint64_t bytes) {
	const auto wanted = used_bytes + bytes;
	if (wanted > reserved_bytes) {
		const auto step = AlignValue<uint64_t, RESERVATION_STEP>(wanted - reserved_bytes);
		buffer_manager.ReserveMemory(step);
		reserved_bytes += step;
	}
	used_bytes = wanted;
}

bool MemoryAccount::TryReserve(uint64_t bytes) {
	lock_guard<mutex> guard(lock);
	if (used_bytes + bytes > reserved_bytes &&
	    buffer_manager.GetUsedMemory() + bytes > Percent(buffer_manager.GetMaxMemory(), GROWTH_PERCENT)) {
		return false;
	}
	try {
		ReserveLocked(bytes);
	} catch (const OutOfMemoryException &) {
		return false;
	}
	return true;
}

void MemoryAccount::Reserve(uint64_t bytes) {
	lock_guard<mutex> guard(lock);
	ReserveLocked(bytes);
}

void MemoryAccount::Release(uint64_t bytes) {
	lock_guard<mutex> guard(lock);
	used_bytes -= MinValue(bytes, used_bytes);
	// One step stays as slack, so that a page more and a page less does not reach the buffer manager.
	const auto needed = AlignValue<uint64_t, RESERVATION_STEP>(used_bytes);
	const auto kept = used_bytes == 0 ? 0 : needed + RESERVATION_STEP;
	if (reserved_bytes > kept) {
		buffer_manager.FreeReservedMemory(reserved_bytes - kept);
		reserved_bytes = kept;
	}
}

uint64_t MemoryAccount::ReservedBytes() const {
	lock_guard<mutex> guard(lock);
	return reserved_bytes;
}

uint64_t MemoryAccount::UsedBytes() const {
	lock_guard<mutex> guard(lock);
	return used_bytes;
}

MemoryShare::MemoryShare(std::shared_ptr<MemoryAccount> account_p) : account(std::move(account_p)) {
}

MemoryShare::~MemoryShare() {
	account->Release(bytes);
}

void MemoryShare::Resize(uint64_t bytes_p) {
	lock_guard<mutex> guard(lock);
	if (bytes_p > bytes) {
		account->Reserve(bytes_p - bytes);
	} else if (bytes_p < bytes) {
		account->Release(bytes - bytes_p);
	}
	bytes = bytes_p;
}

void MemoryShare::Follow(uint64_t bytes_p) noexcept {
	try {
		Resize(bytes_p);
	} catch (...) { // NOLINT: it is in use, whether there is room for it or not
	}
}

} // namespace duckdb
