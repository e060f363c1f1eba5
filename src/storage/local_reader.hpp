// Reads of a local file past the operating system's page cache, a batch at a time: through io_uring where the kernel
// allows it, else by a few threads. It stands beside the host's own handle, which does everything else.
#pragma once

#include "storage/file.hpp"

#include <memory>
#include <string>

namespace lm_diskann {

//! Thread-safe.
class LocalReader {
public:
	//! Offsets and sizes of direct reads are multiples of it.
	static constexpr uint64_t ALIGNMENT = 4096;

	//! How a batch is read; AUTOMATIC asks the kernel.
	enum class Method : uint8_t { AUTOMATIC, THREADS };

	//! None when the file cannot be opened so: not local, or a file system without direct I/O.
	static std::unique_ptr<LocalReader> TryOpen(const std::string &path, Method method = Method::AUTOMATIC);
	~LocalReader();

	//! True when the open file is the one with this device and inode.
	bool Is(uint64_t device, uint64_t inode) const;
	//! True when every request is aligned: the others are the host's.
	static bool Serves(Span<const ReadRequest> requests);
	//! Returns when all are read. Throws FileError; nothing is under way then.
	void ReadBatch(Span<const ReadRequest> requests) const;

private:
	struct Impl;
	explicit LocalReader(std::unique_ptr<Impl> impl_p);
	std::unique_ptr<Impl> impl;
};

} // namespace lm_diskann
