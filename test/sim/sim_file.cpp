#include "sim/sim_file.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace lm_diskann {

class SimFile : public File {
public:
	explicit SimFile(std::shared_ptr<SimDisk> disk_p) : disk(std::move(disk_p)) {
	}
	void Read(uint64_t offset, ByteSpan target) const override {
		disk->Read(offset, target);
	}
	void Write(uint64_t offset, ConstByteSpan source) override {
		disk->Write(offset, source);
	}
	void Resize(uint64_t size_bytes) override {
		disk->Resize(size_bytes);
	}
	void Sync() override {
		disk->Sync();
	}
	uint64_t Size() const override {
		return disk->SizeBytes();
	}

private:
	std::shared_ptr<SimDisk> disk;
};

Fault RandomFault(std::mt19937_64 &random, uint64_t countdown_max) {
	static constexpr uint8_t OPERATIONS[] = {Fault::EVERY, Fault::EVERY,  Fault::CHANGES, Fault::READ,
	                                         Fault::WRITE, Fault::RESIZE, Fault::SYNC};
	Fault fault;
	fault.kind = Fault::Kind(random() % 4);
	fault.operations = OPERATIONS[random() % std::size(OPERATIONS)];
	fault.countdown = random() % countdown_max;
	fault.is_lasting = random() % 2 == 0;
	return fault;
}

std::shared_ptr<SimDisk> SimDisk::Make(uint64_t seed, std::vector<uint8_t> image) {
	std::shared_ptr<SimDisk> disk(new SimDisk(seed));
	disk->durable = image;
	disk->live = std::move(image);
	return disk;
}

std::unique_ptr<File> SimDisk::OpenFile() {
	return std::make_unique<SimFile>(shared_from_this());
}

// --- faults ----------------------------------------------------------------------------------------------------------

void SimDisk::Inject(const Fault &fault_p) {
	std::lock_guard<std::mutex> guard(lock);
	fault = fault_p;
	if (fault.kind == Fault::Kind::SHORT_READ || fault.kind == Fault::Kind::FLIPPED_BIT) {
		fault.operations = Fault::READ;
	}
	has_fault = true;
}

void SimDisk::Heal() {
	std::lock_guard<std::mutex> guard(lock);
	has_fault = false;
}

void SimDisk::FailChange(uint64_t countdown) {
	Fault failing;
	failing.operations = Fault::CHANGES;
	failing.countdown = countdown;
	failing.is_lasting = true;
	Inject(failing);
}

bool SimDisk::IsHit(uint8_t operation) {
	operation_count++;
	change_count += operation != Fault::READ ? 1 : 0;
	if (!has_fault || (fault.operations & operation) == 0) {
		return false;
	}
	if (fault.countdown > 0) {
		fault.countdown--;
		return false;
	}
	has_fault = fault.is_lasting;
	fault_count++;
	return true;
}

void SimDisk::Fail(const std::string &operation) const {
	switch (fault.kind) {
	case Fault::Kind::NO_SPACE:
		throw FileError("simulated file: " + operation + " failed: no space left on device");
	case Fault::Kind::SHORT_READ:
		throw FileError("simulated file: " + operation + " was short");
	default:
		throw FileError("simulated file: " + operation + " failed: input/output error");
	}
}

// --- operations ------------------------------------------------------------------------------------------------------

void SimDisk::Read(uint64_t offset, ByteSpan target) {
	std::lock_guard<std::mutex> guard(lock);
	const bool is_hit = IsHit(Fault::READ);
	if (offset > live.size() || target.size() > live.size() - offset) {
		throw FileError("simulated file: read beyond the end");
	}
	size_t size = target.size();
	if (is_hit && fault.kind == Fault::Kind::SHORT_READ && size > 0) {
		size = random() % size;
	}
	std::copy_n(live.begin() + ptrdiff_t(offset), size, target.data());
	if (is_hit && fault.kind == Fault::Kind::FLIPPED_BIT) {
		if (size > 0) {
			target[random() % size] ^= uint8_t(1U << random() % 8);
		}
	} else if (is_hit) {
		Fail("read");
	}
}

void SimDisk::Write(uint64_t offset, ConstByteSpan source) {
	std::lock_guard<std::mutex> guard(lock);
	Change change {offset, std::vector<uint8_t>(source.begin(), source.end()), false};
	const bool is_hit = IsHit(Fault::WRITE);
	if (is_hit) {
		change.bytes.resize(random() % (source.size() / SECTOR_BYTES + 1) * SECTOR_BYTES);
	}
	Apply(change, live);
	writes.emplace_back(offset, source.size());
	pending.push_back(std::move(change));
	if (is_hit) {
		Fail("write");
	}
}

void SimDisk::Resize(uint64_t size_bytes) {
	std::lock_guard<std::mutex> guard(lock);
	if (IsHit(Fault::RESIZE)) {
		Fail("resize");
	}
	Change change {size_bytes, {}, true};
	Apply(change, live);
	pending.push_back(std::move(change));
}

void SimDisk::Sync() {
	std::lock_guard<std::mutex> guard(lock);
	if (IsHit(Fault::SYNC)) {
		// Nobody knows what is durable, and the operating system may have forgotten what was not.
		Fail("sync");
	}
	sync_count++;
	for (const Change &change : pending) {
		Apply(change, durable);
	}
	pending.clear();
}

// --- loss of power ---------------------------------------------------------------------------------------------------

void SimDisk::Apply(const Change &change, std::vector<uint8_t> &image) {
	if (change.is_resize) {
		image.resize(change.offset);
		return;
	}
	image.resize(std::max<size_t>(image.size(), change.offset + change.bytes.size()));
	std::copy(change.bytes.begin(), change.bytes.end(), image.begin() + ptrdiff_t(change.offset));
}

SimDisk::Change SimDisk::Torn(const Change &change, uint64_t sector) const {
	uint64_t begin = sector * SECTOR_BYTES;
	uint64_t end = std::min<uint64_t>(begin + SECTOR_BYTES, change.bytes.size());
	return Change {change.offset + begin,
	               std::vector<uint8_t>(change.bytes.begin() + ptrdiff_t(begin), change.bytes.begin() + ptrdiff_t(end)),
	               false};
}

std::shared_ptr<SimDisk> SimDisk::Crash() {
	std::lock_guard<std::mutex> guard(lock);
	std::vector<Change> order = pending;
	if (random() % 2 == 0) {
		std::shuffle(order.begin(), order.end(), random);
	}
	std::vector<uint8_t> image = durable;
	for (const Change &change : order) {
		uint64_t fate = random() % 4;
		if (fate == 0) {
			continue;
		}
		if (fate == 1 && !change.is_resize) {
			for (uint64_t sector = 0; sector * SECTOR_BYTES < change.bytes.size(); sector++) {
				if (random() % 2 == 0) {
					Apply(Torn(change, sector), image);
				}
			}
			continue;
		}
		Apply(change, image);
	}
	return Make(random(), std::move(image));
}

// --- what a test sees ------------------------------------------------------------------------------------------------

uint64_t SimDisk::FaultCount() const {
	std::lock_guard<std::mutex> guard(lock);
	return fault_count;
}

uint64_t SimDisk::OperationCount() const {
	std::lock_guard<std::mutex> guard(lock);
	return operation_count;
}

uint64_t SimDisk::ChangeCount() const {
	std::lock_guard<std::mutex> guard(lock);
	return change_count;
}

uint64_t SimDisk::SyncCount() const {
	std::lock_guard<std::mutex> guard(lock);
	return sync_count;
}

std::vector<uint8_t> SimDisk::Image() const {
	std::lock_guard<std::mutex> guard(lock);
	return live;
}

uint64_t SimDisk::SizeBytes() const {
	std::lock_guard<std::mutex> guard(lock);
	return live.size();
}

std::vector<std::pair<uint64_t, uint64_t>> SimDisk::TakeWrites() {
	std::lock_guard<std::mutex> guard(lock);
	return std::exchange(writes, {});
}

} // namespace lm_diskann
