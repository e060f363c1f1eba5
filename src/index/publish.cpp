// Opening and publishing an index: its roots, and the small parts that are stored as a whole.

#include "base/error.hpp"
#include "index/index_state.hpp"

#include <algorithm>
#include <cstring>

namespace lm_diskann {

namespace {

//! Vectors of the delta beyond this go to the file before they are published.
constexpr uint64_t DELTA_BYTES_MAX = uint64_t(64) << 20;
//! Opening reads so much of the delta; searches read the rest.
constexpr uint64_t DELTA_LOADED_BYTES_MAX = uint64_t(16) << 20;

std::vector<NodeId> ReadEntries(ConstByteSpan bytes) {
	std::vector<NodeId> entries(bytes.size() / sizeof(uint32_t));
	for (size_t i = 0; i < entries.size(); i++) {
		std::memcpy(&entries[i].value, bytes.data() + i * sizeof(uint32_t), sizeof(uint32_t));
	}
	return entries;
}

std::vector<uint8_t> SerializeEntries(const std::vector<NodeId> &entries) {
	std::vector<uint8_t> bytes(entries.size() * sizeof(uint32_t));
	if (!bytes.empty()) {
		std::memcpy(bytes.data(), entries.data(), bytes.size());
	}
	return bytes;
}

ExtentSet ReadExtents(ConstByteSpan bytes, const char *name) {
	ExtentSet extents;
	if (bytes.size() % sizeof(Extent) != 0) {
		throw CorruptionError(std::string("the ") + name + " have " + std::to_string(bytes.size()) + " bytes");
	}
	for (size_t at = 0; at < bytes.size(); at += sizeof(Extent)) {
		Extent extent = {};
		std::memcpy(&extent, bytes.data() + at, sizeof(extent));
		if (extent.count == 0 || !extents.Add(extent)) {
			throw CorruptionError(std::string("the ") + name + " hold page " + std::to_string(extent.first) +
			                      " twice, or none at all");
		}
	}
	return extents;
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

//! The extents lie below `page_id_end`.
void CheckPages(const ExtentSet &extents, uint32_t page_id_end, const char *name) {
	if (!extents.All().empty()) {
		const auto &[first, count] = *extents.All().rbegin();
		if (uint64_t(first) + count > page_id_end) {
			throw CorruptionError(std::string("the ") + name + " reach page " +
			                      std::to_string(uint64_t(first) + count - 1) + " of " + std::to_string(page_id_end));
		}
	}
}

//! Replaces a stored byte string of the generation that is being made.
void ReplaceBlob(PageFile &file, BlobRef &blob, const std::vector<uint8_t> &bytes) {
	file.FreeBlob(blob);
	blob = file.WriteBlob(ConstByteSpan(bytes.data(), bytes.size()));
}

} // namespace

std::vector<uint8_t> ReadOptionalBlob(const PageFile &file, const BlobRef &blob) {
	return blob.size_bytes > 0 ? file.ReadBlob(blob) : std::vector<uint8_t>();
}

StoredRoots ReadRoots(ConstByteSpan bytes) {
	StoredRoots roots = {};
	if (bytes.size() != sizeof(roots)) {
		throw CorruptionError("the roots have " + std::to_string(bytes.size()) + " bytes, " +
		                      std::to_string(sizeof(roots)) + " were expected");
	}
	std::memcpy(&roots, bytes.data(), sizeof(roots));
	if (roots.version != ROOTS_VERSION) {
		throw CorruptionError("the roots have version " + std::to_string(roots.version) + ", " +
		                      std::to_string(ROOTS_VERSION) + " was expected");
	}
	return roots;
}

std::vector<BlobRef> BlobsOf(const StoredRoots &roots, const PageFile &file, const IndexConfiguration &configuration) {
	std::vector<BlobRef> blobs = {roots.quantizer, roots.entries,    roots.delta,         roots.tombstones,
	                              roots.unindexed, roots.node_pages, roots.retired_pages, roots.cleared_nodes};
	const Delta delta = Delta::Deserialize(ReadOptionalBlob(file, roots.delta), configuration.element_type,
	                                       configuration.dims, nullptr);
	const std::vector<BlobRef> chunks = delta.Blobs();
	blobs.insert(blobs.end(), chunks.begin(), chunks.end());
	return blobs;
}

std::shared_ptr<AnnIndex> AnnIndex::Open(std::unique_ptr<File> file, const Marker &marker,
                                         const IndexConfiguration &expected, std::shared_ptr<PageCache> cache) {
	auto page_file = PageFile::Open(std::move(file), marker);
	const std::vector<uint8_t> wanted = SerializeConfiguration(expected);
	const ConstByteSpan found = page_file->Configuration();
	if (!std::equal(wanted.begin(), wanted.end(), found.begin(), found.end()) ||
	    page_file->PageSize() != expected.page_size) {
		throw CorruptionError("the file was made with another configuration than the database names");
	}
	const StoredRoots roots = ReadRoots(page_file->Roots());
	const std::vector<uint8_t> quantizer_bytes = page_file->ReadBlob(roots.quantizer);
	Quantizer quantizer = Quantizer::Deserialize(quantizer_bytes);
	if (quantizer.GetMetric() != expected.metric || quantizer.Family() != expected.codes ||
	    quantizer.Dims() != expected.dims) {
		throw CorruptionError("the quantizer in the file does not belong to the configuration");
	}
	auto impl = std::make_unique<Impl>(expected, std::move(page_file), std::move(quantizer), std::move(cache));
	const PageFile &opened = *impl->file;
	impl->stored = roots;
	impl->node_pages = ReadExtents(ReadOptionalBlob(opened, roots.node_pages), "pages of nodes");
	RetiredPages retired;
	retired.pages = ReadExtents(ReadOptionalBlob(opened, roots.retired_pages), "retired pages");
	CheckPages(impl->node_pages, opened.PageIdEnd(), "pages of nodes");
	CheckPages(retired.pages, opened.PageIdEnd(), "retired pages");
	if (!retired.pages.All().empty()) {
		impl->retired.push_back(std::move(retired));
	}
	Graph &graph = impl->graph;
	if (roots.node_count > impl->node_pages.Count() * graph.layout.nodes_per_page) {
		throw CorruptionError("the file names " + std::to_string(roots.node_count) +
		                      " nodes, more than its pages hold");
	}
	graph.norm_max = roots.norm_max;
	graph.node_end = std::min<uint64_t>(NO_NODE.value, uint64_t(opened.PageIdEnd()) * graph.layout.nodes_per_page);
	graph.entries = ReadEntries(ReadOptionalBlob(opened, roots.entries));
	if (graph.entries.size() != graph.quantizer.ReferenceCount()) {
		throw CorruptionError("there are " + std::to_string(graph.entries.size()) + " entries for " +
		                      std::to_string(graph.quantizer.ReferenceCount()) + " references");
	}
	for (const NodeId entry : graph.entries) {
		if (entry != NO_NODE && !impl->node_pages.Contains(graph.layout.PageOf(entry).value)) {
			throw CorruptionError("entry node " + std::to_string(entry.value) + " does not exist");
		}
	}
	impl->delta = Delta::Deserialize(ReadOptionalBlob(opened, roots.delta), expected.element_type, expected.dims,
	                                 [&opened](const BlobRef &blob) { return opened.ReadBlob(blob); });
	impl->delta.Load(DELTA_LOADED_BYTES_MAX);
	impl->tombstones = RowSet::Deserialize(ReadOptionalBlob(opened, roots.tombstones));
	impl->unindexed = RowSet::Deserialize(ReadOptionalBlob(opened, roots.unindexed));
	impl->cleared_nodes = RowSet::Deserialize(ReadOptionalBlob(opened, roots.cleared_nodes));
	return std::shared_ptr<AnnIndex>(new AnnIndex(std::move(impl)));
}

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

void AnnIndex::Impl::SpillDelta() {
	{
		const std::shared_lock<std::shared_mutex> guard(state_mutex);
		if (delta.VectorBytes() <= DELTA_BYTES_MAX) {
			return;
		}
	}
	const std::lock_guard<std::mutex> write_guard(write_mutex);
	DeltaSnapshot snapshot;
	{
		const std::unique_lock<std::shared_mutex> guard(state_mutex);
		snapshot = delta.TakeSnapshot();
	}
	StoreDelta(snapshot);
	const std::unique_lock<std::shared_mutex> guard(state_mutex);
	delta.Evict(DELTA_BYTES_MAX / 2);
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
	std::vector<uint8_t> tombstones, unindexed, entries, node_pages, retired_pages, cleared_nodes;
	bool is_delta_changed = false, is_tombstones_changed = false, is_unindexed_changed = false,
	     is_graph_changed = false;
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
		std::swap(is_delta_changed, impl->is_delta_changed);
		std::swap(is_tombstones_changed, impl->is_tombstones_changed);
		std::swap(is_unindexed_changed, impl->is_unindexed_changed);
		std::swap(is_graph_changed, impl->is_graph_changed);
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
		const Marker marker = file.Publish(ConstByteSpan(reinterpret_cast<const uint8_t *>(&roots), sizeof(roots)));
		const std::unique_lock<std::shared_mutex> guard(impl->state_mutex);
		impl->stored.delta = roots.delta;
		impl->stored.tombstones = roots.tombstones;
		impl->stored.unindexed = roots.unindexed;
		impl->stored.entries = roots.entries;
		impl->stored.node_pages = roots.node_pages;
		impl->stored.retired_pages = roots.retired_pages;
		impl->stored.cleared_nodes = roots.cleared_nodes;
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
