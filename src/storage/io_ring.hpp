// Batches of reads through io_uring, by system calls alone (no library): one call submits a batch and waits for it.
#pragma once

#include "storage/file.hpp"

#include <memory>

namespace lm_diskann {

//! Belongs to one thread at a time.
class IoRing {
public:
	//! None where the kernel has no io_uring, or does not allow it (containers often forbid it).
	static std::unique_ptr<IoRing> TryCreate();
	~IoRing();
	IoRing(const IoRing &) = delete;
	IoRing &operator=(const IoRing &) = delete;

	//! Reads from an open file; results[i] is the number of bytes of request i, or a negative error number. Returns
	//! when no read is under way. False: the ring failed, some reads may still be under way, and their memory and the
	//! ring must stay for ever.
	bool Read(int file, Span<const ReadRequest> requests, int32_t *results);

private:
	struct Queues;

	explicit IoRing(std::unique_ptr<Queues> queues_p);
	bool ReadSome(int file, Span<const ReadRequest> requests, int32_t *results);

	std::unique_ptr<Queues> queues;
};

} // namespace lm_diskann
