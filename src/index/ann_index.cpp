#include "index/ann_index.hpp"

#include "base/error.hpp"
#include "graph/verify.hpp"
#include "index/index_state.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace lm_diskann {

namespace {

template <class ELEMENT>
bool IsAllZero(const ELEMENT *vector, size_t dims) {
	return std::all_of(vector, vector + dims, [](ELEMENT value) { return value == 0; });
}

std::vector<NodeId> ReadEntries(ConstByteSpan bytes) {
	std::vector<NodeId> entries(bytes.size() / sizeof(uint32_t));
	for (size_t i = 0; i < entries.size(); i++) {
		std::memcpy(&entries[i].value, bytes.data() + i * sizeof(uint32_t), sizeof(uint32_t));
	}
	return entries;
}

//! Replaces a stored byte string of the generation that is being made.
void ReplaceBlob(PageFile &file, BlobRef &blob, const std::vector<uint8_t> &bytes) {
	if (blob.size_bytes > 0) {
		file.FreeBlob(blob);
	}
	blob = bytes.empty() ? BlobRef() : file.WriteBlob(ConstByteSpan(bytes.data(), bytes.size()));
}

std::vector<uint8_t> ReadOptionalBlob(const PageFile &file, const BlobRef &blob) {
	return blob.size_bytes > 0 ? file.ReadBlob(blob) : std::vector<uint8_t>();
}

} // namespace

bool IsIndexable(Metric metric, const float *vector, size_t dims) {
	return std::all_of(vector, vector + dims, [](float value) { return std::isfinite(value); }) &&
	       (metric != Metric::COSINE || !IsAllZero(vector, dims));
}

bool IsIndexable(Metric metric, const int8_t *vector, size_t dims) {
	return metric != Metric::COSINE || !IsAllZero(vector, dims);
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

RadixPageSpace RowMapSpace(PageFile &file) {
	RadixPageSpace space;
	space.page_size = file.PageSize();
	space.read = [&file](uint64_t address, ByteSpan page) {
		if (address >= file.PageIdEnd()) {
			throw CorruptionError("the row map names page " + std::to_string(address) + " of " +
			                      std::to_string(file.PageIdEnd()));
		}
		file.ReadPage(PageId(uint32_t(address)), PageKind::ROW_MAP, page);
	};
	space.write = [&file](ByteSpan page) {
		const PageId id = file.ReservePages(1);
		file.WritePage(id, PageKind::ROW_MAP, page);
		return uint64_t(id.value);
	};
	space.release = [&file](uint64_t address) { file.FreePage(PageId(uint32_t(address))); };
	return space;
}

AnnIndex::Impl::Impl(const IndexConfiguration &configuration_p, std::unique_ptr<PageFile> file_p, Quantizer quantizer,
                     std::shared_ptr<PageCache> cache_p)
    : configuration(configuration_p), file(std::move(file_p)),
      cache(std::move(cache_p)), graph {configuration.metric,
                                        NodeLayout::Create(configuration.page_size, configuration.dims,
                                                           configuration.element_type, configuration.vectors,
                                                           configuration.max_degree, configuration.codes),
                                        std::move(quantizer),
                                        {},
                                        0,
                                        cache.get(),
                                        cache->Attach(*file)},
      delta(configuration.element_type, configuration.dims) {
	stored.version = ROOTS_VERSION;
}

AnnIndex::Impl::~Impl() {
	cache->Detach(graph.file_key);
}

std::vector<bool> AnnIndex::Impl::FindInGraph(Span<const RowId> row_ids) const {
	const RadixMap row_map(RowMapSpace(*file), stored.row_map);
	std::vector<bool> found(row_ids.size());
	for (size_t i = 0; i < row_ids.size(); i++) {
		const auto key = uint64_t(row_ids[i].value);
		found[i] = key < stored.graph_row_end && row_map.Find(key).has_value();
	}
	return found;
}

void AnnIndex::Impl::Hide(RowId row_id) {
	if (delta.Erase(row_id)) {
		is_delta_changed = true;
		is_unpublished = true;
	} else if (unindexed.Erase(row_id)) {
		is_unindexed_changed = true;
		is_unpublished = true;
	} else if (uint64_t(row_id.value) < stored.graph_row_end && tombstones.Insert(row_id)) {
		is_tombstones_changed = true;
		is_unpublished = true;
	}
}

void AnnIndex::Impl::MarkUnhealthy(const char *reason) noexcept {
	why = reason;
	is_healthy = false;
}

AnnIndex::AnnIndex(std::unique_ptr<Impl> impl_p) : impl(std::move(impl_p)) {
}
AnnIndex::~AnnIndex() = default;

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
	impl->stored = roots;
	Graph &graph = impl->graph;
	graph.node_count = roots.node_count;
	if (graph.node_count >= NO_NODE.value || graph.layout.PageCount(graph.node_count) > impl->file->PageIdEnd()) {
		throw CorruptionError("the file names " + std::to_string(graph.node_count) +
		                      " nodes, more than its pages hold");
	}
	graph.entries = ReadEntries(ReadOptionalBlob(*impl->file, roots.entries));
	for (const NodeId entry : graph.entries) {
		if (entry != NO_NODE && entry.value >= graph.node_count) {
			throw CorruptionError("entry node " + std::to_string(entry.value) + " of " +
			                      std::to_string(graph.node_count) + " does not exist");
		}
	}
	if (roots.delta.size_bytes > 0) {
		impl->delta = Delta::Deserialize(impl->file->ReadBlob(roots.delta), expected.element_type, expected.dims);
	}
	impl->tombstones = RowSet::Deserialize(ReadOptionalBlob(*impl->file, roots.tombstones));
	impl->unindexed = RowSet::Deserialize(ReadOptionalBlob(*impl->file, roots.unindexed));
	return std::shared_ptr<AnnIndex>(new AnnIndex(std::move(impl)));
}

const IndexConfiguration &AnnIndex::Configuration() const {
	return impl->configuration;
}

IndexCounters &AnnIndex::Counters() const {
	return impl->counters;
}

IndexSummary AnnIndex::Summary() const {
	const std::shared_lock<std::shared_mutex> guard(impl->state_mutex);
	IndexSummary summary;
	summary.tombstone_count = impl->tombstones.Count();
	summary.delta_count = impl->delta.Count();
	summary.row_count = impl->graph.node_count + summary.delta_count;
	summary.row_count -= std::min(summary.row_count, summary.tombstone_count);
	summary.unindexed_count = impl->unindexed.Count();
	summary.covered_rows = impl->stored.covered_rows;
	summary.file_size_bytes = impl->file->SizeBytes();
	summary.cache_bytes = impl->cache->UsedBytes(impl->graph.file_key);
	summary.delta_bytes = impl->delta.MemoryBytes() + impl->tombstones.MemoryBytes() + impl->unindexed.MemoryBytes() +
	                      impl->graph.quantizer.MemoryBytes();
	summary.generation = impl->file->Current();
	summary.build_seconds = impl->stored.build_seconds;
	return summary;
}

void AnnIndex::Append(const VectorBatch &batch) {
	const std::unique_lock<std::shared_mutex> guard(impl->state_mutex);
	const std::vector<bool> is_in_graph = impl->FindInGraph(Span<const RowId>(batch.row_ids, batch.count));
	const uint32_t dims = impl->configuration.dims;
	const Metric metric = impl->configuration.metric;
	for (size_t i = 0; i < batch.count; i++) {
		const RowId row_id = batch.row_ids[i];
		if (is_in_graph[i]) {
			impl->is_tombstones_changed |= impl->tombstones.Insert(row_id);
		}
		const void *vector = batch.floats ? static_cast<const void *>(batch.floats + i * dims) : batch.bytes + i * dims;
		const bool is_indexable = batch.floats ? IsIndexable(metric, batch.floats + i * dims, dims)
		                                       : IsIndexable(metric, batch.bytes + i * dims, dims);
		if (is_indexable) {
			impl->delta.Put(row_id, vector);
			impl->is_delta_changed = true;
			impl->is_unindexed_changed |= impl->unindexed.Erase(row_id);
		} else {
			impl->is_delta_changed |= impl->delta.Erase(row_id);
			impl->is_unindexed_changed |= impl->unindexed.Insert(row_id);
		}
		impl->is_unpublished = true;
		impl->Cover(row_id);
	}
	impl->counters.inserts += batch.count;
}

void AnnIndex::AppendNull(Span<const RowId> row_ids) {
	const std::unique_lock<std::shared_mutex> guard(impl->state_mutex);
	const std::vector<bool> is_in_graph = impl->FindInGraph(row_ids);
	for (size_t i = 0; i < row_ids.size(); i++) {
		const RowId row_id = row_ids[i];
		if (is_in_graph[i]) {
			impl->is_tombstones_changed |= impl->tombstones.Insert(row_id);
		}
		impl->is_delta_changed |= impl->delta.Erase(row_id);
		impl->is_unindexed_changed |= impl->unindexed.Insert(row_id);
		impl->is_unpublished = true;
		impl->Cover(row_id);
	}
	impl->counters.inserts += row_ids.size();
}

void AnnIndex::Delete(Span<const RowId> row_ids) noexcept {
	try {
		const std::unique_lock<std::shared_mutex> guard(impl->state_mutex);
		for (const RowId row_id : row_ids) {
			impl->Hide(row_id);
		}
		impl->counters.deletes += row_ids.size();
	} catch (...) {
		// A deleted row that stays is dropped by the host's visibility check, so answers stay right.
		impl->MarkUnhealthy("a delete could not be noted (out of memory)");
	}
}

uint64_t AnnIndex::CoveredRows() const {
	const std::shared_lock<std::shared_mutex> guard(impl->state_mutex);
	return impl->stored.covered_rows;
}

void AnnIndex::SetCoveredRows(uint64_t covered_rows) {
	const std::unique_lock<std::shared_mutex> guard(impl->state_mutex);
	impl->is_unpublished |= covered_rows != impl->stored.covered_rows;
	impl->stored.covered_rows = covered_rows;
}

bool AnnIndex::IsHealthy() const {
	return impl->is_healthy && !impl->file->IsPoisoned();
}

std::string AnnIndex::Why() const {
	return impl->is_healthy && impl->file->IsPoisoned() ? "a write to the index file failed" : impl->why.load();
}

bool AnnIndex::HasUnpublishedChanges() const {
	const std::shared_lock<std::shared_mutex> guard(impl->state_mutex);
	return impl->is_unpublished;
}

Marker AnnIndex::Publish() {
	const std::unique_lock<std::shared_mutex> guard(impl->state_mutex);
	PageFile &file = *impl->file;
	if (!impl->is_unpublished) {
		return file.CurrentMarker();
	}
	StoredRoots roots = impl->stored;
	if (impl->is_delta_changed) {
		ReplaceBlob(file, roots.delta, impl->delta.Count() > 0 ? impl->delta.Serialize() : std::vector<uint8_t>());
	}
	if (impl->is_tombstones_changed) {
		ReplaceBlob(file, roots.tombstones, impl->tombstones.Serialize());
	}
	if (impl->is_unindexed_changed) {
		ReplaceBlob(file, roots.unindexed, impl->unindexed.Serialize());
	}
	const Marker marker = file.Publish(ConstByteSpan(reinterpret_cast<const uint8_t *>(&roots), sizeof(roots)));
	impl->stored = roots;
	impl->is_delta_changed = false;
	impl->is_tombstones_changed = false;
	impl->is_unindexed_changed = false;
	impl->is_unpublished = false;
	return marker;
}

void AnnIndex::Confirm(Generation generation) {
	const std::unique_lock<std::shared_mutex> guard(impl->state_mutex);
	impl->file->Confirm(generation);
}

std::vector<RowId> AnnIndex::CollectRowIds() {
	const std::shared_lock<std::shared_mutex> guard(impl->state_mutex);
	std::vector<RowId> row_ids;
	ForEachNode(impl->graph, *impl->file, [&](NodeId, RowId row_id) {
		if (!impl->tombstones.Contains(row_id)) {
			row_ids.push_back(row_id);
		}
	});
	impl->delta.ForEach([&](RowId row_id, const uint8_t *) { row_ids.push_back(row_id); });
	std::sort(row_ids.begin(), row_ids.end());
	return row_ids;
}

} // namespace lm_diskann
