// A file whose medium can lose power, fail and lie: the fault model of the storage and index tests.
//
// A SimDisk has a live image, which reads see, and a durable one, which the last sync left, with the changes since then
// in between. A loss of power keeps each of these changes whole, torn at 512-byte sectors or not at all, in any order.
// The n-th operation can be made to fail, once or from there on: a write halfway, a sync with nobody knowing what is
// durable, a read short of its end. A read can also succeed with a bit flipped. Every choice follows from the seed.
#pragma once

#include "storage/file.hpp"

#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

namespace lm_diskann {

//! What goes wrong, and when.
struct Fault {
	enum class Kind : uint8_t {
		IO_ERROR,   //!< EIO
		NO_SPACE,   //!< ENOSPC
		SHORT_READ, //!< reads only: some bytes arrive, then the file throws as DuckDB's does
		FLIPPED_BIT //!< reads only: the read succeeds with one wrong bit
	};
	//! Kinds of operations, as bits.
	static constexpr uint8_t READ = 1, WRITE = 2, RESIZE = 4, SYNC = 8;
	static constexpr uint8_t CHANGES = WRITE | RESIZE | SYNC, EVERY = READ | CHANGES;

	Kind kind = Kind::IO_ERROR;
	//! Only these are counted and hit.
	uint8_t operations = EVERY;
	//! Operations that still work.
	uint64_t countdown = 0;
	//! Every counted operation from there on, not just one.
	bool is_lasting = false;
};

//! Any fault, within the next `countdown_max` operations that it counts.
Fault RandomFault(std::mt19937_64 &random, uint64_t countdown_max);

//! Threads as File demands.
class SimDisk : public std::enable_shared_from_this<SimDisk> {
public:
	static constexpr uint64_t SECTOR_BYTES = 512;

	static std::shared_ptr<SimDisk> Make(uint64_t seed, std::vector<uint8_t> image = {});

	//! A file over this disk; several may follow each other.
	std::unique_ptr<File> OpenFile();
	//! What a loss of power at this moment leaves, as another disk whose image is durable. It has no fault.
	std::shared_ptr<SimDisk> Crash();

	//! Takes the place of any fault injected before.
	void Inject(const Fault &fault_p);
	//! From here on everything works.
	void Heal();
	//! Makes the `countdown`-th change from here fail (0: the next) and every change after it.
	void FailChange(uint64_t countdown);
	//! Operations that failed or lied so far.
	uint64_t FaultCount() const;
	//! Reads, writes, resizes and syncs so far.
	uint64_t OperationCount() const;
	//! The same without reads.
	uint64_t ChangeCount() const;
	uint64_t SyncCount() const;

	std::vector<uint8_t> Image() const;
	uint64_t SizeBytes() const;
	//! Offsets written since the last call, with sizes.
	std::vector<std::pair<uint64_t, uint64_t>> TakeWrites();

private:
	friend class SimFile;

	//! A write of `bytes` at `offset`, or a resize to `offset`.
	struct Change {
		uint64_t offset = 0;
		std::vector<uint8_t> bytes;
		bool is_resize = false;
	};

	explicit SimDisk(uint64_t seed) : random(seed) {
	}
	static void Apply(const Change &change, std::vector<uint8_t> &image);
	//! Counts an operation; true when the fault hits it. `lock` is held.
	bool IsHit(uint8_t operation);
	//! Throws the FileError of the fault.
	[[noreturn]] void Fail(const std::string &operation) const;
	Change Torn(const Change &change, uint64_t sector) const;
	void Read(uint64_t offset, ByteSpan target);
	void Write(uint64_t offset, ConstByteSpan source);
	void Resize(uint64_t size_bytes);
	void Sync();

	mutable std::mutex lock;
	std::mt19937_64 random;
	std::vector<uint8_t> live;
	std::vector<uint8_t> durable;
	std::vector<Change> pending;
	std::vector<std::pair<uint64_t, uint64_t>> writes;
	bool has_fault = false;
	Fault fault;
	uint64_t fault_count = 0;
	uint64_t operation_count = 0;
	uint64_t change_count = 0;
	uint64_t sync_count = 0;
};

} // namespace lm_diskann
