#include "index/ann_index.hpp"

#include "base/error.hpp"
#include "graph/verify.hpp"
#include "index/index_state.hpp"

#include <algorithm>
#include <cstring>

namespace lm_diskann {

namespace {

template <class ELEMENT>
bool IsAllZero(const ELEMENT *vector, size_t dims) {
	return std::all_of(vector, vector + dims, [](ELEMENT value) { return value == 0; });
}

//! Without branches, so that the compiler looks at many at once: a commit waits for it.
bool IsAllFinite(const float *vector, size_t dims) {
	constexpr uint32_t EXPONENT = 0x7F800000;
	uint32_t is_any = 0;
	for (size_t i = 0; i < dims; i++) {
		uint32_t bits;
		std::memcpy(&bits, vector + i, sizeof(bits));
		is_any |= uint32_t((bits & EXPONENT) == EXPONENT);
	}
	return is_any == 0;
}

} // namespace

bool IsIndexable(Metric metric, const float *vector, size_t dims) {
	return IsAllFinite(vector, dims) && (metric != Metric::COSINE || !IsAllZero(vector, dims));
}

bool IsIndexable(Metric metric, const int8_t *vector, size_t dims) {
	return metric != Metric::COSINE || !IsAllZero(vector, dims);
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
    : configuration(configuration_p), file(std::move(file_p)), cache(std::move(cache_p)),
      graph(configuration.metric,
            NodeLayout::Create(configuration.page_size, configuration.dims, configuration.element_type,
                               configuration.vectors, configuration.max_degree, configuration.codes),
            std::move(quantizer)),
      delta(configuration.element_type, configuration.dims,
            [this](const BlobRef &blob) { return file->ReadBlob(blob); }) {
	graph.cache = cache.get();
	graph.file_key = cache->Attach(*file);
	stored.version = ROOTS_VERSION;
}

AnnIndex::Impl::~Impl() {
	cache->Detach(graph.file_key);
}

std::vector<bool> AnnIndex::Impl::FindInGraph(Span<const RowId> row_ids) const {
	std::vector<bool> found(row_ids.size());
	const auto may_be_there = [&](RowId row_id) { return uint64_t(row_id.value) < stored.graph_row_end; };
	if (std::none_of(row_ids.begin(), row_ids.end(), may_be_there)) {
		return found;
	}
	const RadixMap row_map(RowMapSpace(*file), stored.row_map);
	for (size_t i = 0; i < row_ids.size(); i++) {
		found[i] = may_be_there(row_ids[i]) && row_map.Find(uint64_t(row_ids[i].value)).has_value();
	}
	return found;
}

void AnnIndex::Impl::CheckNodeRow(RowId row_id) const {
	if (row_id.value < 0 || uint64_t(row_id.value) >= stored.graph_row_end) {
		throw CorruptionError("a node holds row " + std::to_string(row_id.value) +
		                      ", but the rows of the graph end at " + std::to_string(stored.graph_row_end));
	}
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

const IndexConfiguration &AnnIndex::Configuration() const {
	return impl->configuration;
}

IndexCounters &AnnIndex::Counters() const {
	return impl->counters;
}

IndexCounts AnnIndex::Impl::Counts() const {
	IndexCounts counts;
	counts.tombstone_count = tombstones.Count();
	counts.delta_count = delta.Count();
	counts.row_count = stored.node_count + counts.delta_count;
	counts.row_count -= std::min(counts.row_count, counts.tombstone_count);
	counts.is_spill_due = delta.VectorBytes() > DELTA_BYTES_MAX;
	return counts;
}

uint64_t AnnIndex::Impl::MemoryBytes() const {
	uint64_t bytes = delta.MemoryBytes() + graph.quantizer.MemoryBytes();
	for (const RowSet *rows : {&tombstones, &arriving, &unindexed, &cleared_nodes}) {
		bytes += rows->MemoryBytes();
	}
	for (const RetiredPages &pages : retired) {
		const std::shared_ptr<Epoch> past = pages.epoch.lock();
		bytes += past ? past->removed_rows.MemoryBytes() : 0;
	}
	return bytes + (compact ? compact->MemoryBytes() : 0);
}

IndexCounts AnnIndex::Counts() const {
	const std::shared_lock<std::shared_mutex> guard(impl->state_mutex);
	return impl->Counts();
}

ActivityProgress AnnIndex::CurrentActivity() const {
	return {impl->activity, double(impl->activity_share)};
}

IndexSummary AnnIndex::Summary() const {
	const std::shared_lock<std::shared_mutex> guard(impl->state_mutex);
	IndexSummary summary;
	static_cast<IndexCounts &>(summary) = impl->Counts();
	summary.unindexed_count = impl->unindexed.Count();
	summary.covered_rows = impl->stored.covered_rows;
	summary.file_size_bytes = impl->file->SizeBytes();
	summary.free_bytes = impl->file->HoleCount() * impl->file->PageSize();
	summary.cache_bytes = impl->cache->UsedBytes(impl->graph.file_key);
	summary.memory_bytes = impl->MemoryBytes();
	summary.generation = impl->file->Current();
	summary.build_seconds = impl->stored.build_seconds;
	return summary;
}

void AnnIndex::Append(const VectorBatch &batch) {
	impl->SpillDelta(Impl::DELTA_BYTES_HARD_MAX);
	const uint32_t dims = impl->configuration.dims;
	const Metric metric = impl->configuration.metric;
	std::vector<bool> is_indexable(batch.count);
	for (size_t i = 0; i < batch.count; i++) {
		is_indexable[i] = batch.floats ? IsIndexable(metric, batch.floats + i * dims, dims)
		                               : IsIndexable(metric, batch.bytes + i * dims, dims);
	}
	const std::unique_lock<std::shared_mutex> guard(impl->state_mutex);
	const std::vector<bool> is_in_graph = impl->FindInGraph(Span<const RowId>(batch.row_ids, batch.count));
	impl->delta.Expect(batch.count);
	for (size_t i = 0; i < batch.count; i++) {
		const RowId row_id = batch.row_ids[i];
		if (is_in_graph[i]) {
			impl->is_tombstones_changed |= impl->tombstones.Insert(row_id);
		}
		const void *vector = batch.floats ? static_cast<const void *>(batch.floats + i * dims) : batch.bytes + i * dims;
		if (is_indexable[i]) {
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
	impl->stored.covered_rows = std::max(covered_rows, impl->stored.graph_row_end);
}

bool AnnIndex::IsHealthy() const {
	return impl->is_healthy && !impl->file->IsPoisoned();
}

std::string AnnIndex::Why() const {
	return impl->is_healthy && impl->file->IsPoisoned() ? "a write to the index file failed" : impl->why.load();
}

} // namespace lm_diskann
