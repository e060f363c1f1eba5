#include "disk_file.hpp"

#include "base/error.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace lm_diskann {

namespace {

int FlagsOf(DiskFile::Mode mode) {
	switch (mode) {
	case DiskFile::Mode::CREATE:
		return O_RDWR | O_CREAT | O_TRUNC;
	case DiskFile::Mode::READ_DIRECT:
	case DiskFile::Mode::READ:
		break;
	}
	return O_RDONLY;
}

void Require(bool is_done, const char *verb, const std::string &path) {
	if (!is_done) {
		throw FileError(std::string("cannot ") + verb + " \"" + path + "\": " + std::strerror(errno));
	}
}

} // namespace

DiskFile::DiskFile(const std::string &path_p, Mode mode)
    : path(path_p), descriptor(::open(path.c_str(), FlagsOf(mode) | O_CLOEXEC, 0644)) {
	Require(descriptor >= 0, "open", path);
	if (mode == Mode::READ_DIRECT) {
		direct = LocalReader::TryOpen(path);
		Require(direct != nullptr, "directly open", path);
	}
}

DiskFile::~DiskFile() {
	::close(descriptor);
}

void DiskFile::Read(uint64_t offset, ByteSpan target) const {
	const ssize_t count = ::pread(descriptor, target.data(), target.size(), off_t(offset));
	Require(count == ssize_t(target.size()), "read", path);
}

void DiskFile::ReadBatch(Span<const ReadRequest> requests) const {
	if (direct && LocalReader::Serves(requests)) {
		direct->ReadBatch(requests);
		return;
	}
	File::ReadBatch(requests);
}

void DiskFile::Write(uint64_t offset, ConstByteSpan source) {
	const ssize_t count = ::pwrite(descriptor, source.data(), source.size(), off_t(offset));
	Require(count == ssize_t(source.size()), "write", path);
}

void DiskFile::Resize(uint64_t size_bytes) {
	Require(::ftruncate(descriptor, off_t(size_bytes)) == 0, "resize", path);
}

void DiskFile::Sync() {
	Require(::fsync(descriptor) == 0, "sync", path);
}

uint64_t DiskFile::Size() const {
	struct stat status = {};
	Require(::fstat(descriptor, &status) == 0, "examine", path);
	return uint64_t(status.st_size);
}

} // namespace lm_diskann
