#include "storage/io_ring.hpp"

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <sched.h>

namespace lm_diskann {

namespace {

constexpr unsigned ENTRY_COUNT = 64;

//! A region that the kernel shares; unmapped at the end.
class Mapping {
public:
	Mapping(int ring, size_t size_p, uint64_t offset) : size(size_p) {
		void *mapped = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, off_t(offset));
		bytes = mapped == MAP_FAILED ? nullptr : static_cast<uint8_t *>(mapped);
	}
	~Mapping() {
		if (bytes) {
			::munmap(bytes, size);
		}
	}
	Mapping(const Mapping &) = delete;
	Mapping &operator=(const Mapping &) = delete;

	bool IsThere() const {
		return bytes != nullptr;
	}
	template <class T>
	T *At(uint64_t offset) const {
		return reinterpret_cast<T *>(bytes + offset);
	}

private:
	uint8_t *bytes;
	size_t size;
};

class Descriptor {
public:
	explicit Descriptor(int value_p) : value(value_p) {
	}
	~Descriptor() {
		::close(value);
	}
	Descriptor(const Descriptor &) = delete;
	Descriptor &operator=(const Descriptor &) = delete;

	const int value;
};

//! What the kernel's side reads or writes too.
unsigned Load(const unsigned *shared) {
	return __atomic_load_n(shared, __ATOMIC_ACQUIRE);
}
void Store(unsigned *shared, unsigned value) {
	__atomic_store_n(shared, value, __ATOMIC_RELEASE);
}

} // namespace

struct IoRing::Queues {
	Queues(int descriptor, const io_uring_params &parameters)
	    : ring(descriptor),
	      rings(descriptor,
	            std::max<size_t>(parameters.sq_off.array + parameters.sq_entries * sizeof(unsigned),
	                             parameters.cq_off.cqes + parameters.cq_entries * sizeof(io_uring_cqe)),
	            IORING_OFF_SQ_RING),
	      entries(descriptor, parameters.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES) {
		if (IsThere()) {
			submit_tail = rings.At<unsigned>(parameters.sq_off.tail);
			submit_mask = *rings.At<unsigned>(parameters.sq_off.ring_mask);
			submit_order = rings.At<unsigned>(parameters.sq_off.array);
			done_head = rings.At<unsigned>(parameters.cq_off.head);
			done_tail = rings.At<unsigned>(parameters.cq_off.tail);
			done_mask = *rings.At<unsigned>(parameters.cq_off.ring_mask);
			done = rings.At<io_uring_cqe>(parameters.cq_off.cqes);
		}
	}

	bool IsThere() const {
		return rings.IsThere() && entries.IsThere();
	}

	Descriptor ring;
	Mapping rings;
	Mapping entries;
	unsigned *submit_tail = nullptr;
	unsigned submit_mask = 0;
	unsigned *submit_order = nullptr;
	unsigned *done_head = nullptr;
	unsigned *done_tail = nullptr;
	unsigned done_mask = 0;
	io_uring_cqe *done = nullptr;
};

IoRing::IoRing(std::unique_ptr<Queues> queues_p) : queues(std::move(queues_p)) {
}

IoRing::~IoRing() = default;

std::unique_ptr<IoRing> IoRing::TryCreate() {
	io_uring_params parameters;
	std::memset(&parameters, 0, sizeof(parameters));
	const auto descriptor = int(::syscall(__NR_io_uring_setup, ENTRY_COUNT, &parameters));
	if (descriptor < 0) {
		return nullptr;
	}
	auto queues = std::make_unique<Queues>(descriptor, parameters);
	const bool has_one_mapping = (parameters.features & IORING_FEAT_SINGLE_MMAP) != 0;
	if (!has_one_mapping || !queues->IsThere()) {
		return nullptr;
	}
	return std::unique_ptr<IoRing>(new IoRing(std::move(queues)));
}

bool IoRing::Read(int file, Span<const ReadRequest> requests, int32_t *results) {
	for (size_t begin = 0; begin < requests.size(); begin += ENTRY_COUNT) {
		const size_t count = std::min<size_t>(ENTRY_COUNT, requests.size() - begin);
		if (!ReadSome(file, Span<const ReadRequest>(requests.data() + begin, count), results + begin)) {
			return false;
		}
	}
	return true;
}

bool IoRing::ReadSome(int file, Span<const ReadRequest> requests, int32_t *results) {
	unsigned tail = *queues->submit_tail;
	for (size_t i = 0; i < requests.size(); i++, tail++) {
		const unsigned place = tail & queues->submit_mask;
		auto &entry = queues->entries.At<io_uring_sqe>(0)[place];
		std::memset(&entry, 0, sizeof(entry));
		entry.opcode = IORING_OP_READ;
		entry.fd = file;
		entry.off = requests[i].offset;
		entry.addr = uint64_t(reinterpret_cast<uintptr_t>(requests[i].target.data()));
		entry.len = uint32_t(requests[i].target.size());
		entry.user_data = i;
		queues->submit_order[place] = place;
	}
	Store(queues->submit_tail, tail);
	auto to_submit = unsigned(requests.size());
	for (size_t left = requests.size(); left > 0;) {
		const auto submitted = ::syscall(__NR_io_uring_enter, queues->ring.value, to_submit, unsigned(left),
		                                 IORING_ENTER_GETEVENTS, nullptr, size_t(0));
		if (submitted >= 0) {
			to_submit -= unsigned(submitted);
		} else if (errno == EAGAIN || errno == EBUSY) {
			::sched_yield();
		} else if (errno != EINTR) {
			return false;
		}
		unsigned head = *queues->done_head;
		for (; head != Load(queues->done_tail); head++, left--) {
			const io_uring_cqe &completion = queues->done[head & queues->done_mask];
			results[completion.user_data] = completion.res;
		}
		Store(queues->done_head, head);
	}
	return true;
}

} // namespace lm_diskann
