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

AnnIndex::Impl::Unpublished AnnIndex::Impl::TakeUnpublished() {
	Unpublished taken;
	taken.roots = stored;
	taken.roots.norm_max = graph.norm_max;
	const auto add = [&](BlobRef StoredRoots::*blob, std::vector<uint8_t> bytes) {
		taken.parts.emplace_back(blob, std::move(bytes));
	};
	if (is_delta_changed) {
		taken.delta = delta.TakeSnapshot();
	}
	if (is_tombstones_changed) {
		add(&StoredRoots::tombstones, tombstones.Serialize());
	}
	if (is_unindexed_changed) {
		add(&StoredRoots::unindexed, unindexed.Serialize());
	}
	if (is_graph_changed) {
		ExtentSet all_retired;
		for (const RetiredPages &pages : retired) {
			all_retired.AddAll(pages.pages);
		}
		add(&StoredRoots::entries, SerializeEntries(graph.entries));
		add(&StoredRoots::node_pages, SerializeExtents(node_pages));
		add(&StoredRoots::retired_pages, SerializeExtents(all_retired));
		add(&StoredRoots::cleared_nodes, cleared_nodes.Serialize());
	}
	if (is_calibration_changed) {
		add(&StoredRoots::calibration, calibration.Serialize());
	}
	is_delta_changed = is_tombstones_changed = is_unindexed_changed = is_graph_changed = is_calibration_changed = false;
	is_unpublished = false;
	return taken;
}

void AnnIndex::Impl::WriteUnpublished(Unpublished &taken) {
	cache->Flush(graph.file_key);
	if (taken.delta) {
		StoreDelta(*taken.delta);
		taken.parts.emplace_back(&StoredRoots::delta, taken.delta->Serialize());
	}
	for (const auto &[blob, bytes] : taken.parts) {
		ReplaceBlob(*file, taken.roots.*blob, bytes);
	}
}

Marker AnnIndex::Publish() {
	const std::lock_guard<std::mutex> write_guard(impl->write_mutex);
	const auto remain_unpublished = [&] {
		const std::unique_lock<std::shared_mutex> guard(impl->state_mutex);
		impl->is_unpublished = true;
	};
	if (!impl->is_healthy) {
		// Half of a batch may be in the file.
		remain_unpublished();
		throw FileError(impl->why.load());
	}
	Impl::Unpublished taken;
	{
		// At one moment; searches and deletes go on while it is written.
		const std::unique_lock<std::shared_mutex> guard(impl->state_mutex);
		if (!impl->is_unpublished) {
			return impl->file->CurrentMarker();
		}
		taken = impl->TakeUnpublished();
	}
	// After an error from here on nothing more is published.
	try {
		impl->WriteUnpublished(taken);
		const auto *roots = reinterpret_cast<const uint8_t *>(&taken.roots);
		const Marker marker = impl->file->Publish(ConstByteSpan(roots, sizeof(taken.roots)));
		const std::unique_lock<std::shared_mutex> guard(impl->state_mutex);
		for (const auto &[blob, bytes] : taken.parts) {
			impl->stored.*blob = taken.roots.*blob;
		}
		return marker;
	} catch (...) {
		impl->MarkUnhealthy("the index could not be published");
		remain_unpublished();
		throw;
	}
}

void AnnIndex::Confirm(Generation generation) {
	const std::lock_guard<std::mutex> write_guard(impl->write_mutex);
	impl->file->Confirm(generation);
}

} // namespace lm_diskann
