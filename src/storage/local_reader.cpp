#include "storage/local_reader.hpp"

#include "base/aligned_buffer.hpp"
#include "base/error.hpp"
#include "storage/io_ring.hpp"
#include "storage/read_threads.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <vector>

namespace lm_diskann {

namespace {

//! Reads until the end of `target`; returns 0 or the error number.
int ReadFully(int file, uint64_t offset, ByteSpan target) {
	size_t done = 0;
	while (done < target.size()) {
		const ssize_t count = ::pread(file, target.data() + done, target.size() - done, off_t(offset + done));
		if (count == 0) {
			return ENODATA;
		}
		if (count < 0 && errno != EINTR) {
			return errno;
		}
		done += count > 0 ? size_t(count) : 0;
	}
	return 0;
}

//! What one batch needs while it is read. Targets need no alignment: bytes come through `bounce`.
struct Lane {
	std::unique_ptr<IoRing> ring;
	AlignedBuffer<uint8_t> memory;
	std::vector<ReadRequest> aligned;
	std::vector<int32_t> results;

	//! `aligned` becomes `requests` with targets in `memory`.
	void Arrange(Span<const ReadRequest> requests) {
		size_t size = 0;
		for (const ReadRequest &request : requests) {
			size += request.target.size();
		}
		if (memory.size() < size) {
			memory = AlignedBuffer<uint8_t>(size);
		}
		uint8_t *next = memory.data();
		aligned.clear();
		for (const ReadRequest &request : requests) {
			aligned.push_back({request.offset, ByteSpan(next, request.target.size())});
			next += request.target.size();
		}
		results.assign(requests.size(), 0);
	}
};

} // namespace

struct LocalReader::Impl {
	Impl(std::string path_p, int file_p, Method method_p) : path(std::move(path_p)), file(file_p), method(method_p) {
	}
	~Impl() {
		::close(file);
	}

	std::unique_ptr<Lane> TakeLane() {
		{
			const std::lock_guard<std::mutex> guard(lock);
			if (!lanes.empty()) {
				std::unique_ptr<Lane> lane = std::move(lanes.back());
				lanes.pop_back();
				return lane;
			}
		}
		auto lane = std::make_unique<Lane>();
		lane->ring = method == Method::AUTOMATIC ? IoRing::TryCreate() : nullptr;
		return lane;
	}
	void GiveLane(std::unique_ptr<Lane> lane) {
		const std::lock_guard<std::mutex> guard(lock);
		lanes.push_back(std::move(lane));
	}

	//! False: the lane is lost.
	bool ReadInto(Lane &lane) {
		const size_t count = lane.aligned.size();
		if (count > 1 && lane.ring) {
			if (!lane.ring->Read(file, Span<const ReadRequest>(lane.aligned.data(), count), lane.results.data())) {
				return false;
			}
			for (size_t i = 0; i < count; i++) {
				// Short reads and errors are rare; reading once more settles them.
				const bool is_done = lane.results[i] == int32_t(lane.aligned[i].target.size());
				lane.results[i] = is_done ? 0 : ReadFully(file, lane.aligned[i].offset, lane.aligned[i].target);
			}
			return true;
		}
		const auto read = [&](size_t i) {
			lane.results[i] = ReadFully(file, lane.aligned[i].offset, lane.aligned[i].target);
		};
		if (count > 1) {
			threads.ForEach(count, read);
		} else {
			read(0);
		}
		return true;
	}

	const std::string path;
	const int file;
	const Method method;
	ReadThreads threads;
	std::mutex lock;
	//! As many as there were batches at once.
	std::vector<std::unique_ptr<Lane>> lanes;
};

LocalReader::LocalReader(std::unique_ptr<Impl> impl_p) : impl(std::move(impl_p)) {
}

LocalReader::~LocalReader() = default;

std::unique_ptr<LocalReader> LocalReader::TryOpen(const std::string &path, Method method) {
	const int file = ::open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (file < 0) {
		return nullptr;
	}
	return std::unique_ptr<LocalReader>(new LocalReader(std::make_unique<Impl>(path, file, method)));
}

bool LocalReader::Is(uint64_t device, uint64_t inode) const {
	struct stat status = {};
	return ::fstat(impl->file, &status) == 0 && uint64_t(status.st_dev) == device && uint64_t(status.st_ino) == inode;
}

bool LocalReader::Serves(Span<const ReadRequest> requests) {
	for (const ReadRequest &request : requests) {
		if (request.offset % ALIGNMENT != 0 || request.target.size() % ALIGNMENT != 0) {
			return false;
		}
	}
	return true;
}

void LocalReader::ReadBatch(Span<const ReadRequest> requests) const {
	if (requests.empty()) {
		return;
	}
	std::unique_ptr<Lane> lane = impl->TakeLane();
	lane->Arrange(requests);
	if (!impl->ReadInto(*lane)) {
		// The kernel may still write there.
		(void)lane.release(); // NOLINT
		throw FileError("cannot read file \"" + impl->path + "\" through io_uring");
	}
	int error = 0;
	for (size_t i = 0; i < requests.size(); i++) {
		error = lane->results[i] != 0 ? lane->results[i] : error;
		std::memcpy(requests[i].target.data(), lane->aligned[i].target.data(), requests[i].target.size());
	}
	impl->GiveLane(std::move(lane));
	if (error != 0) {
		throw FileError("cannot read file \"" + impl->path + "\": " + std::strerror(error));
	}
}

} // namespace lm_diskann
