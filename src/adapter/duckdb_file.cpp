#include "adapter/duckdb_file.hpp"

#include "adapter/errors.hpp"

#include "base/error.hpp"

#include "duckdb/common/numeric_utils.hpp"
#include "duckdb/main/client_context.hpp"

namespace duckdb {

namespace {

//! Runs one call of the file system and turns whatever it throws into the one error the core expects of a File.
template <class CALL>
auto AsFileError(const char *verb, const FileHandle &handle, CALL &&call) -> decltype(call()) {
	try {
		return call();
	} catch (...) {
		throw lm_diskann::FileError(string("cannot ") + verb + " file \"" + handle.path + "\": " + HandledErrorText());
	}
}

} // namespace

DuckDBFile::DuckDBFile(unique_ptr<FileHandle> handle_p, unique_ptr<FileClaim> claim_p)
    : claim(std::move(claim_p)), handle(std::move(handle_p)) {
}

void DuckDBFile::Read(uint64_t offset, lm_diskann::ByteSpan target) const {
	AsFileError("read", *handle, [&] { handle->Read(target.data(), target.size(), offset); });
}

void DuckDBFile::Write(uint64_t offset, lm_diskann::ConstByteSpan source) {
	AsFileError("write", *handle, [&] {
		// DuckDB's interface takes a mutable buffer, but only reads it.
		auto bytes = const_cast<uint8_t *>(source.data()); // NOLINT
		handle->Write(QueryContext(), bytes, source.size(), offset);
	});
}

void DuckDBFile::Resize(uint64_t size_bytes) {
	AsFileError("resize", *handle, [&] { handle->Truncate(NumericCast<int64_t>(size_bytes)); });
}

void DuckDBFile::Sync() {
	AsFileError("sync", *handle, [&] { handle->Sync(); });
}

uint64_t DuckDBFile::Size() const {
	return AsFileError("examine", *handle, [&] { return uint64_t(handle->GetFileSize()); });
}

} // namespace duckdb
