// Publishing an index: its roots, and the small parts that are stored as a whole.
#include "base/error.hpp"
#include "index/index_state.hpp"

#include <algorithm>
#include <cstring>

namespace lm_diskann {

namespace {

//! So much of the delta is written at a time while it leaves RAM: a copy of it is made.
constexpr uint64_t SPILL_STEP_BYTES = uint64_t(4) << 20;

std::vector<uint8_t> SerializeEntries(const std::vector<NodeId> &entries) {
	std::vector<uint8_t> bytes(entries.size() * sizeof(uint32_t));
	if (!bytes.empty()) {
		std::memcpy(bytes.data(), entries.data(), bytes.size());
	}
	return bytes;
}

std::vector<uint8_t> SerializeExtents(const ExtentSet &extents) {
	std::vector<uint8_t> bytes;
	for (const auto &[first, count] : extents.All()) {
		const Extent extent {first, count};
		const size_t at = bytes.size();
		bytes.resize(at + sizeof(extent));
		std::memcpy(bytes.data() + at, &extent, sizeof(extent));
	}
	return bytes;
}

//! Replaces a stored byte string of the generation that is being made.
void ReplaceBlob(PageFile &file, BlobRef &blob, const std::vector<uint8_t> &bytes) {
	file.FreeBlob(blob);
	blob = file.WriteBlob(ConstByteSpan(bytes.data(), bytes.size()));
}

} // namespace

bool AnnIndex::HasUnpublishedChanges() const {
	const std::shared_lock<std::shared_mutex> guard(impl->state_mutex);
	return impl->is_unpublished;
}

void AnnIndex::Impl::StoreDelta(DeltaSnapshot &snapshot) {
	for (DeltaSnapshot::Chunk &chunk : snapshot.chunks) {
		if (!chunk.vectors.empty()) {
			chunk.blob = file->WriteBlob(ConstByteSpan(chunk.vectors.data(), chunk.vectors.size()));
		}
	}
	std::vector<BlobRef> replaced;
	{
		const std::unique_lock<std::shared_mutex> guard(state_mutex);
		replaced = delta.SetStored(snapshot);
	}
	replaced.insert(replaced.end(), snapshot.released.begin(), snapshot.released.end());
	for (const BlobRef &blob : replaced) {
		file->FreeBlob(blob);
	}
}

void AnnIndex::Impl::SpillDelta(uint64_t bytes_max) {
	{
		const std::shared_lock<std::shared_mutex> guard(state_mutex);
		if (delta.VectorBytes() <= bytes_max) {
			return;
		}
	}
	const std::lock_guard<std::mutex> write_guard(write_mutex);
	RequireHealthy();
	while (true) {
		DeltaSnapshot snapshot;
		{
			const std::unique_lock<std::shared_mutex> guard(state_mutex);
			delta.Evict(DELTA_BYTES_MAX / 2);
			if (delta.VectorBytes() <= DELTA_BYTES_MAX / 2) {
				return;
			}
			snapshot = delta.TakeUnstored(SPILL_STEP_BYTES);
		}
		const bool is_last = snapshot.chunks.empty();
		StoreDelta(snapshot);
		if (is_last) {
			return;
		}
	}
}

void AnnIndex::SpillDelta() {
	impl->SpillDelta(Impl::DELTA_BYTES_MAX);
}

Marker AnnIndex::Publish() {
	const std::lock_guard<std::mutex> write_guard(impl->write_mutex);
	PageFile &file = *impl->file;
	if (!impl->is_healthy) {
		// Half of a batch may be in the file.
		const std::unique_lock<std::shared_mutex> guard(impl->state_mutex);
		impl->is_unpublished = true;
		throw FileError(impl->why.load());
	}
	// Everything that belongs to this generation, at one moment; searches and deletes go on while it is written.
	StoredRoots roots = {};
	DeltaSnapshot delta;
	std::vector<uint8_t> tombstones, unindexed, entries, node_pages, retired_pages, cleared_nodes, calibration;
	bool is_delta_changed = false, is_tombstones_changed = false, is_unindexed_changed = false,
	     is_graph_changed = false, is_calibration_changed = false;
	{
		const std::unique_lock<std::shared_mutex> guard(impl->state_mutex);
		if (!impl->is_unpublished) {
			return file.CurrentMarker();
		}
		roots = impl->stored;
		roots.norm_max = impl->graph.norm_max;
		if (impl->is_delta_changed) {
			delta = impl->delta.TakeSnapshot();
		}
		if (impl->is_tombstones_changed) {
			tombstones = impl->tombstones.Serialize();
		}
		if (impl->is_unindexed_changed) {
			unindexed = impl->unindexed.Serialize();
		}
		if (impl->is_graph_changed) {
			entries = SerializeEntries(impl->graph.entries);
			node_pages = SerializeExtents(impl->node_pages);
			cleared_nodes = impl->cleared_nodes.Serialize();
			ExtentSet all_retired;
			for (const RetiredPages &retired : impl->retired) {
				all_retired.AddAll(retired.pages);
			}
			retired_pages = SerializeExtents(all_retired);
		}
		if (impl->is_calibration_changed) {
			calibration = impl->calibration.Serialize();
		}
		std::swap(is_delta_changed, impl->is_delta_changed);
		std::swap(is_tombstones_changed, impl->is_tombstones_changed);
		std::swap(is_unindexed_changed, impl->is_unindexed_changed);
		std::swap(is_graph_changed, impl->is_graph_changed);
		std::swap(is_calibration_changed, impl->is_calibration_changed);
		impl->is_unpublished = false;
	}
	// After an error from here on nothing more is published.
	try {
		impl->cache->Flush(impl->graph.file_key);
		if (is_delta_changed) {
			impl->StoreDelta(delta);
			ReplaceBlob(file, roots.delta, delta.Serialize());
		}
		if (is_tombstones_changed) {
			ReplaceBlob(file, roots.tombstones, tombstones);
		}
		if (is_unindexed_changed) {
			ReplaceBlob(file, roots.unindexed, unindexed);
		}
		if (is_graph_changed) {
			ReplaceBlob(file, roots.entries, entries);
			ReplaceBlob(file, roots.node_pages, node_pages);
			ReplaceBlob(file, roots.retired_pages, retired_pages);
			ReplaceBlob(file, roots.cleared_nodes, cleared_nodes);
		}
		if (is_calibration_changed) {
			ReplaceBlob(file, roots.calibration, calibration);
		}
		const Marker marker = file.Publish(ConstByteSpan(reinterpret_cast<const uint8_t *>(&roots), sizeof(roots)));
		const std::unique_lock<std::shared_mutex> guard(impl->state_mutex);
		impl->stored.delta = roots.delta;
		impl->stored.tombstones = roots.tombstones;
		impl->stored.unindexed = roots.unindexed;
		impl->stored.entries = roots.entries;
		impl->stored.node_pages = roots.node_pages;
		impl->stored.retired_pages = roots.retired_pages;
		impl->stored.cleared_nodes = roots.cleared_nodes;
		impl->stored.calibration = roots.calibration;
		return marker;
	} catch (...) {
		impl->MarkUnhealthy("the index could not be published");
		const std::unique_lock<std::shared_mutex> guard(impl->state_mutex);
		impl->is_unpublished = true;
		throw;
	}
}

void AnnIndex::Confirm(Generation generation) {
	const std::lock_guard<std::mutex> write_guard(impl->write_mutex);
	impl->file->Confirm(generation);
}

} // namespace lm_diskann
