// A file whose medium can lose power: the fault model of the storage tests.
//
// A SimDisk has a live image, which reads see, and a durable one, which the last sync left, with the changes since then
// in between. A loss of power keeps each of these changes whole, torn at 512-byte sectors or not at all, in any order.
// The n-th change can be made to fail, a write halfway. Every choice follows from the seed.
#pragma once

#include "storage/file.hpp"

#include <memory>
#include <random>
#include <shared_mutex>
#include <vector>

namespace lm_diskann {

//! Threads as File demands.
class SimDisk : public std::enable_shared_from_this<SimDisk> {
public:
	static constexpr uint64_t SECTOR_BYTES = 512;

	static std::shared_ptr<SimDisk> Make(uint64_t seed, std::vector<uint8_t> image = {});

	//! A file over this disk; several may follow each other.
	std::unique_ptr<File> OpenFile();
	//! What a loss of power at this moment leaves, as another disk whose image is durable.
	std::shared_ptr<SimDisk> Crash();
	//! Makes the `countdown`-th change from here fail (0: the next) and every change after it.
	void FailChange(uint64_t countdown);
	//! Writes, resizes and syncs so far.
	uint64_t ChangeCount() const;
	std::vector<uint8_t> Image() const;
	uint64_t SizeBytes() const;
	//! Offsets written since the last call, with sizes.
	std::vector<std::pair<uint64_t, uint64_t>> TakeWrites();
	uint64_t SyncCount() const;

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
	bool IsFailing();
	Change Torn(const Change &change, uint64_t sector) const;
	void Write(uint64_t offset, ConstByteSpan source);
	void Resize(uint64_t size_bytes);
	void Sync();

	mutable std::shared_mutex lock;
	std::mt19937_64 random;
	std::vector<uint8_t> live;
	std::vector<uint8_t> durable;
	std::vector<Change> pending;
	std::vector<std::pair<uint64_t, uint64_t>> writes;
	uint64_t change_count = 0;
	uint64_t sync_count = 0;
	uint64_t fail_from = UINT64_MAX;
};

} // namespace lm_diskann
