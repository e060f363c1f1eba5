// Making the file smaller: what lies at its end moves to the free places before it.
//
// Moving pages does not change the graph, so searches, merges and publishes go on; a batch is bounded by bytes. The
// order of blocks in the file is left as it comes: one node, or some, to a block are read one by one wherever they lie.
#include "index/maintenance.hpp"

#include <algorithm>

namespace lm_diskann {

namespace {

//! Bytes that are moved while a publish waits.
constexpr uint64_t MOVED_BYTES = uint64_t(1) << 20;

} // namespace

bool Maintenance::Shrink(const std::function<bool()> &is_stopped) {
	ReleaseRetired();
	const auto page_max = uint32_t(std::max<uint64_t>(1, MOVED_BYTES / file.PageSize()));
	uint32_t moved = page_max;
	uint64_t moved_sum = 0;
	while (moved == page_max) {
		if (is_stopped()) {
			return true;
		}
		const std::lock_guard<std::mutex> write_guard(state.write_mutex);
		moved = file.MoveTail(page_max);
		state.counters.blocks_written += moved;
		moved_sum += moved;
		state.activity_share = float(double(moved_sum) / double(moved_sum + file.HoleCount() + 1));
		const std::unique_lock<std::shared_mutex> guard(state.state_mutex);
		state.is_unpublished |= moved > 0 || !file.IsPacked();
	}
	MoveBlobs();
	return false;
}

void Maintenance::MoveBlobs() {
	const std::lock_guard<std::mutex> write_guard(state.write_mutex);
	const Slot end = file.PackedEnd();
	const auto is_in_tail = [&](const BlobRef &blob) { return blob.size_bytes > 0 && blob.first.value >= end.value; };
	BlobRef quantizer = state.stored.quantizer;
	if (is_in_tail(quantizer)) {
		const std::vector<uint8_t> bytes = file.ReadBlob(quantizer);
		file.FreeBlob(quantizer);
		quantizer = file.WriteBlob(ConstByteSpan(bytes.data(), bytes.size()));
	}
	const std::unique_lock<std::shared_mutex> guard(state.state_mutex);
	const StoredRoots &stored = state.stored;
	const bool is_moved = !(quantizer.first == stored.quantizer.first);
	const bool is_delta = is_in_tail(stored.delta);
	const bool is_tombstones = is_in_tail(stored.tombstones);
	const bool is_unindexed = is_in_tail(stored.unindexed);
	const bool is_calibration = is_in_tail(stored.calibration);
	const bool is_graph = is_in_tail(stored.entries) || is_in_tail(stored.node_pages) ||
	                      is_in_tail(stored.retired_pages) || is_in_tail(stored.cleared_nodes);
	state.stored.quantizer = quantizer;
	state.is_delta_changed |= is_delta;
	state.is_tombstones_changed |= is_tombstones;
	state.is_unindexed_changed |= is_unindexed;
	state.is_calibration_changed |= is_calibration;
	state.is_graph_changed |= is_graph;
	state.is_unpublished |= is_moved || is_delta || is_tombstones || is_unindexed || is_calibration || is_graph;
}

bool AnnIndex::Shrink(const std::function<bool()> &is_stopped) {
	return Maintenance(*impl, Activity::SHRINKING).Shrink(is_stopped);
}

} // namespace lm_diskann
