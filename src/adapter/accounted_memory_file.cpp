#include "adapter/accounted_memory_file.hpp"

#include "adapter/errors.hpp"

#include "base/error.hpp"

#include "duckdb/common/exception.hpp"

#include <algorithm>

namespace duckdb {

AccountedMemoryFile::AccountedMemoryFile(std::shared_ptr<MemoryAccount> account_p) : share(std::move(account_p)) {
}

void AccountedMemoryFile::AccountFor(uint64_t size_bytes_p) {
	try {
		share.Resize(size_bytes_p);
	} catch (const OutOfMemoryException &) {
		throw lm_diskann::FileError("cannot keep the index in memory: " + HandledErrorText());
	}
}

void AccountedMemoryFile::Write(uint64_t offset, lm_diskann::ConstByteSpan source) {
	AccountFor(std::max<uint64_t>(Size(), offset + source.size()));
	MemoryFile::Write(offset, source);
}

void AccountedMemoryFile::Resize(uint64_t size_bytes_p) {
	AccountFor(std::max<uint64_t>(Size(), size_bytes_p));
	MemoryFile::Resize(size_bytes_p);
	AccountFor(size_bytes_p);
}

} // namespace duckdb
