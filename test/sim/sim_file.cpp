#include "sim/sim_file.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>

namespace lm_diskann {

class SimFile : public File {
public:
	explicit SimFile(std::shared_ptr<SimDisk> disk_p) : disk(std::move(disk_p)) {
	}
	void Read(uint64_t offset, ByteSpan target) const override {
		std::shared_lock<std::shared_mutex> guard(disk->lock);
		if (offset > disk->live.size() || target.size() > disk->live.size() - offset) {
			throw FileError("simulated file: read beyond the end");
		}
		std::memcpy(target.data(), disk->live.data() + offset, target.size());
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

std::shared_ptr<SimDisk> SimDisk::Make(uint64_t seed, std::vector<uint8_t> image) {
	std::shared_ptr<SimDisk> disk(new SimDisk(seed));
	disk->durable = image;
	disk->live = std::move(image);
	return disk;
}

std::unique_ptr<File> SimDisk::OpenFile() {
	return std::make_unique<SimFile>(shared_from_this());
}

void SimDisk::FailChange(uint64_t countdown) {
	fail_from = change_count + countdown;
}

uint64_t SimDisk::ChangeCount() const {
	return change_count;
}

uint64_t SimDisk::SyncCount() const {
	return sync_count;
}

std::vector<uint8_t> SimDisk::Image() const {
	std::shared_lock<std::shared_mutex> guard(lock);
	return live;
}

uint64_t SimDisk::SizeBytes() const {
	std::shared_lock<std::shared_mutex> guard(lock);
	return live.size();
}

std::vector<std::pair<uint64_t, uint64_t>> SimDisk::TakeWrites() {
	return std::exchange(writes, {});
}

void SimDisk::Apply(const Change &change, std::vector<uint8_t> &image) {
	if (change.is_resize) {
		image.resize(change.offset);
		return;
	}
	image.resize(std::max<size_t>(image.size(), change.offset + change.bytes.size()));
	std::copy(change.bytes.begin(), change.bytes.end(), image.begin() + change.offset);
}

SimDisk::Change SimDisk::Torn(const Change &change, uint64_t sector) const {
	uint64_t begin = sector * SECTOR_BYTES;
	uint64_t end = std::min<uint64_t>(begin + SECTOR_BYTES, change.bytes.size());
	return Change {change.offset + begin,
	               std::vector<uint8_t>(change.bytes.begin() + begin, change.bytes.begin() + end), false};
}

bool SimDisk::IsFailing() {
	return change_count++ >= fail_from;
}

void SimDisk::Write(uint64_t offset, ConstByteSpan source) {
	std::unique_lock<std::shared_mutex> guard(lock);
	Change change {offset, std::vector<uint8_t>(source.begin(), source.end()), false};
	bool is_failing = IsFailing();
	if (is_failing) {
		change.bytes.resize(random() % (source.size() / SECTOR_BYTES + 1) * SECTOR_BYTES);
	}
	Apply(change, live);
	writes.emplace_back(offset, source.size());
	pending.push_back(std::move(change));
	if (is_failing) {
		throw FileError("simulated file: write failed");
	}
}

void SimDisk::Resize(uint64_t size_bytes) {
	std::unique_lock<std::shared_mutex> guard(lock);
	if (IsFailing()) {
		throw FileError("simulated file: resize failed");
	}
	Change change {size_bytes, {}, true};
	Apply(change, live);
	pending.push_back(std::move(change));
}

void SimDisk::Sync() {
	std::unique_lock<std::shared_mutex> guard(lock);
	if (IsFailing()) {
		// Nobody knows what is durable, and the operating system may have forgotten what was not.
		throw FileError("simulated file: sync failed");
	}
	sync_count++;
	durable = live;
	pending.clear();
}

std::shared_ptr<SimDisk> SimDisk::Crash() {
	std::unique_lock<std::shared_mutex> guard(lock);
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

} // namespace lm_diskann
