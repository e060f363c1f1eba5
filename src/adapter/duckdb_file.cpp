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

DuckDBFile::DuckDBFile(unique_ptr<FileHandle> handle_p, unique_ptr<FileClaim> claim_p, DirectIoSwitch is_direct_p,
                       vector<string> paths_p)
    : is_direct(std::move(is_direct_p)), paths(std::move(paths_p)), claim(std::move(claim_p)),
      handle(std::move(handle_p)) {
}

void DuckDBFile::Read(uint64_t offset, lm_diskann::ByteSpan target) const {
	const lm_diskann::ReadRequest request = {offset, target};
	ReadBatch(lm_diskann::Span<const lm_diskann::ReadRequest>(&request, 1));
}

void DuckDBFile::ReadBatch(lm_diskann::Span<const lm_diskann::ReadRequest> requests) const {
	if (is_direct->load(std::memory_order_relaxed) && TryReadDirectly(requests)) {
		return;
	}
	AsFileError("read", *handle, [&] {
		for (const auto &request : requests) {
			handle->Read(request.target.data(), request.target.size(), request.offset);
		}
	});
}

bool DuckDBFile::TryReadDirectly(lm_diskann::Span<const lm_diskann::ReadRequest> requests) const {
	if (!lm_diskann::LocalReader::Serves(requests)) {
		return false;
	}
	const auto reader = DirectReader();
	if (!reader) {
		return false;
	}
	try {
		reader->ReadBatch(requests);
		return true;
	} catch (const std::exception &) { // NOLINT: the handle reads it again, and reports what is wrong
		return false;
	}
}

const lm_diskann::LocalReader *DuckDBFile::DirectReader() const {
	if (const auto opened = direct.load(std::memory_order_acquire)) {
		return opened;
	}
	lock_guard<mutex> guard(direct_lock);
	if (!is_direct_tried && handle->OnDiskFile() && handle->file_system.GetName() == "LocalFileSystem") {
		for (const auto &path : paths) {
			if (!direct_owner && claim->IsOf(path)) {
				direct_owner = lm_diskann::LocalReader::TryOpen(path);
			}
		}
		if (direct_owner && claim->IsOf(*direct_owner)) {
			direct.store(direct_owner.get(), std::memory_order_release);
		}
	}
	is_direct_tried = true;
	return direct.load(std::memory_order_relaxed);
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
