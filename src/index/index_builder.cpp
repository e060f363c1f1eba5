// CREATE INDEX in the core: rows in, generation 1 out. The phases:
//
//   training -> assigning (nearest reference of each row) -> arranging (vectors into node order) -> linking ->
//   connecting -> encoding -> writing -> finishing (row map and small parts)
//
// Nodes are numbered along a chain of references, so rows that are near each other get blocks near each other.
#include "base/error.hpp"
#include "graph/write.hpp"
#include "index/index_state.hpp"
#include "vector/distance.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

namespace lm_diskann {

namespace {

constexpr size_t ROW_ITEM_SIZE = 512;
constexpr uint64_t RESERVE_STEP = uint64_t(1) << 20;
//! Rows of the training sample per reference, and the bytes it may have in all.
constexpr uint64_t SAMPLE_PER_REFERENCE = 64, REFERENCE_COUNT_MAX = 1024;
constexpr uint64_t SAMPLE_BYTES_MAX = uint64_t(64) << 20;
//! Shares of the progress: up to arranging, linking, writing.
constexpr double ARRANGED_SHARE = 0.08, LINKED_SHARE = 0.85;

struct Chunk {
	std::vector<RowId> row_ids;
	std::vector<uint8_t> vectors;
};

struct SourceRow {
	RowId row_id;
	const uint8_t *vector;
};

} // namespace

struct IndexBuilder::Impl {
	explicit Impl(const IndexConfiguration &configuration_p, std::function<void(uint64_t)> reserve_memory_p)
	    : configuration(configuration_p), reserve_memory(std::move(reserve_memory_p)),
	      layout(NodeLayout::Create(configuration.page_size, configuration.dims, configuration.element_type,
	                                configuration.vectors, configuration.max_degree, configuration.codes)),
	      vector_bytes(configuration.dims * (configuration.element_type == ElementType::FLOAT32 ? 4 : 1)),
	      work([this](Phase &phase) { return NextPhase(phase); }), start_time(std::chrono::steady_clock::now()) {
	}

	bool IsIndexableAt(const VectorBatch &batch, size_t i) const {
		const size_t dims = configuration.dims;
		return batch.floats ? IsIndexable(configuration.metric, batch.floats + i * dims, dims)
		                    : IsIndexable(configuration.metric, batch.bytes + i * dims, dims);
	}

	void SortRows();
	bool NextPhase(Phase &phase);
	void Train();
	void AssignRows(size_t item);
	void Arrange();
	void CopyRows(size_t item);
	void PrepareLinking();
	void FinishFile();
	std::vector<uint32_t> ChainReferences() const;
	const float *AsFloats(const SourceRow &row, std::vector<float> &widened) const;
	template <class FUNCTION>
	void SetRowPhase(Phase &phase, const char *name, FUNCTION run) {
		phase.name = name;
		phase.item_count = (rows.size() + ROW_ITEM_SIZE - 1) / ROW_ITEM_SIZE;
		phase.run = run;
	}

	IndexConfiguration configuration;
	std::function<void(uint64_t)> reserve_memory;
	NodeLayout layout;
	size_t vector_bytes;
	PhasedWork work;
	std::chrono::steady_clock::time_point start_time;

	//! Guards what Add changes.
	std::mutex mutex;
	std::vector<Chunk> chunks;
	RowSet unindexed;
	uint64_t row_count = 0;
	uint64_t unindexable_count = 0;
	uint64_t covered_rows = 0;
	uint64_t unreserved_bytes = 0;

	//! From Start on; set by one phase and constant in the later ones.
	enum class Stage : uint8_t { TRAINING, ASSIGNING, ARRANGING, LINKING, WRITING, FINISHING, DONE };
	Stage stage = Stage::TRAINING;
	std::atomic<size_t> assigned_count {0};
	std::unique_ptr<PageFile> file;
	std::vector<SourceRow> rows;
	std::unique_ptr<Quantizer> quantizer;
	//! By row, then by node.
	std::vector<uint16_t> references;
	std::vector<float> reference_distances;
	std::vector<uint32_t> row_of_node;
	std::vector<RowId> row_ids;
	std::vector<NodeId> entries;
	std::unique_ptr<BuildSpace> space;
	std::unique_ptr<GraphBuilder> builder;
	std::unique_ptr<GraphWriter> writer;
	//! The two, once they may be asked for their progress.
	std::atomic<const GraphBuilder *> linking {nullptr};
	std::atomic<const GraphWriter *> writing {nullptr};
	StoredRoots roots = {};
};

void IndexBuilder::Impl::SortRows() {
	rows.reserve(row_count);
	for (const Chunk &chunk : chunks) {
		for (size_t i = 0; i < chunk.row_ids.size(); i++) {
			rows.push_back({chunk.row_ids[i], chunk.vectors.data() + i * vector_bytes});
		}
	}
	std::sort(rows.begin(), rows.end(), [](const SourceRow &a, const SourceRow &b) { return a.row_id < b.row_id; });
}

const float *IndexBuilder::Impl::AsFloats(const SourceRow &row, std::vector<float> &widened) const {
	if (configuration.element_type == ElementType::FLOAT32) {
		// A chunk's vectors start at an allocation and have a multiple of 4 bytes.
		return reinterpret_cast<const float *>(row.vector);
	}
	widened.resize(configuration.dims);
	WidenInt8(reinterpret_cast<const int8_t *>(row.vector), widened.data(), configuration.dims);
	return widened.data();
}

bool IndexBuilder::Impl::NextPhase(Phase &phase) {
	switch (stage) {
	case Stage::TRAINING:
		phase = {"training", 1, [this](size_t) { Train(); }};
		stage = Stage::ASSIGNING;
		return true;
	case Stage::ASSIGNING:
		references.resize(rows.size());
		reference_distances.resize(rows.size());
		SetRowPhase(phase, "assigning", [this](size_t item) { AssignRows(item); });
		stage = Stage::ARRANGING;
		return true;
	case Stage::ARRANGING:
		Arrange();
		SetRowPhase(phase, "arranging", [this](size_t item) { CopyRows(item); });
		stage = Stage::LINKING;
		return true;
	case Stage::LINKING:
		if (!builder) {
			PrepareLinking();
		}
		if (builder->NextPhase(phase)) {
			return true;
		}
		writer = std::make_unique<GraphWriter>(*space, *builder, *quantizer, layout, row_ids, *file);
		writing = writer.get();
		stage = Stage::WRITING;
		[[fallthrough]];
	case Stage::WRITING:
		if (writer->NextPhase(phase)) {
			return true;
		}
		stage = Stage::FINISHING;
		phase = {"finishing", 1, [this](size_t) { FinishFile(); }};
		return true;
	case Stage::FINISHING:
		stage = Stage::DONE;
		return false;
	case Stage::DONE:
		break;
	}
	return false;
}

void IndexBuilder::Impl::Train() {
	const uint64_t dims = configuration.dims;
	const auto reference_count =
	    std::clamp<uint64_t>(uint64_t(std::sqrt(double(rows.size()))), 16, REFERENCE_COUNT_MAX);
	const uint64_t count = std::min<uint64_t>(
	    {rows.size(), SAMPLE_PER_REFERENCE * reference_count, std::max<uint64_t>(256, SAMPLE_BYTES_MAX / (4 * dims))});
	std::vector<float> sample(count * dims);
	std::vector<float> widened;
	for (uint64_t i = 0; i < count; i++) {
		std::memcpy(sample.data() + i * dims, AsFloats(rows[i * rows.size() / count], widened), dims * sizeof(float));
	}
	quantizer = std::make_unique<Quantizer>(Quantizer::Train(configuration.metric, configuration.codes, dims, sample,
	                                                         rows.size(), uint64_t(configuration.seed)));
}

void IndexBuilder::Impl::AssignRows(size_t item) {
	std::vector<float> scratch;
	std::vector<float> widened;
	const Metric metric = configuration.metric == Metric::COSINE ? Metric::COSINE : Metric::L2SQ;
	const size_t end = std::min(rows.size(), (item + 1) * ROW_ITEM_SIZE);
	for (size_t i = item * ROW_ITEM_SIZE; i < end; i++) {
		const float *vector = AsFloats(rows[i], widened);
		references[i] = quantizer->NearestReference(vector, scratch);
		const float distance = Distance(metric, vector, quantizer->Reference(references[i]), configuration.dims);
		// A reference that is zero has no cosine.
		reference_distances[i] = distance == distance ? distance : std::numeric_limits<float>::max();
		assigned_count.fetch_add(1, std::memory_order_relaxed);
	}
}

//! Greedy chain: from each reference to the nearest one that is left. Returns the position of each in the chain.
std::vector<uint32_t> IndexBuilder::Impl::ChainReferences() const {
	const size_t count = quantizer->ReferenceCount();
	std::vector<uint32_t> positions(count, UINT32_MAX);
	size_t present = 0;
	for (size_t position = 0; position < count; position++) {
		positions[present] = uint32_t(position);
		float nearest = std::numeric_limits<float>::infinity();
		size_t next = present;
		for (size_t k = 0; k < count; k++) {
			if (positions[k] != UINT32_MAX) {
				continue;
			}
			const float distance =
			    SquaredL2(quantizer->Reference(present), quantizer->Reference(k), configuration.dims);
			if (next == present || distance < nearest) {
				nearest = distance;
				next = k;
			}
		}
		present = next;
	}
	return positions;
}

void IndexBuilder::Impl::Arrange() {
	const std::vector<uint32_t> positions = ChainReferences();
	row_of_node.resize(rows.size());
	std::iota(row_of_node.begin(), row_of_node.end(), 0U);
	std::stable_sort(row_of_node.begin(), row_of_node.end(),
	                 [&](uint32_t a, uint32_t b) { return positions[references[a]] < positions[references[b]]; });
	std::vector<uint16_t> references_by_node(rows.size());
	row_ids.resize(rows.size());
	entries.assign(quantizer->ReferenceCount(), NO_NODE);
	std::vector<float> nearest(entries.size());
	for (uint32_t node = 0; node < row_of_node.size(); node++) {
		const uint32_t row = row_of_node[node];
		const uint16_t reference = references[row];
		references_by_node[node] = reference;
		row_ids[node] = rows[row].row_id;
		if (entries[reference] == NO_NODE || reference_distances[row] < nearest[reference]) {
			entries[reference] = NodeId(node);
			nearest[reference] = reference_distances[row];
		}
	}
	references = std::move(references_by_node);
	reference_distances = std::vector<float>();
	space =
	    std::make_unique<BuildSpace>(configuration.metric, configuration.element_type, configuration.dims, rows.size());
}

void IndexBuilder::Impl::CopyRows(size_t item) {
	const size_t end = std::min(rows.size(), (item + 1) * ROW_ITEM_SIZE);
	for (size_t node = item * ROW_ITEM_SIZE; node < end; node++) {
		space->Set(NodeId(uint32_t(node)), rows[row_of_node[node]].vector);
	}
}

void IndexBuilder::Impl::PrepareLinking() {
	chunks = std::vector<Chunk>();
	rows = std::vector<SourceRow>();
	row_of_node = std::vector<uint32_t>();
	float norm_max = 0;
	for (size_t node = 0; node < space->Count(); node++) {
		norm_max = std::max(norm_max, space->Norm(NodeId(uint32_t(node))));
	}
	space->SetNormMax(norm_max);
	BuildParameters parameters;
	parameters.max_degree = configuration.max_degree;
	parameters.list_size = configuration.l_build;
	parameters.alpha = configuration.alpha;
	parameters.seed = uint64_t(configuration.seed);
	const auto root = std::find_if(entries.begin(), entries.end(), [](NodeId entry) { return entry != NO_NODE; });
	builder = std::make_unique<GraphBuilder>(*space, parameters, references, quantizer->ReferenceCount(),
	                                         root == entries.end() ? NO_NODE : *root);
	linking = builder.get();
}

void IndexBuilder::Impl::FinishFile() {
	std::vector<std::pair<uint64_t, uint64_t>> row_map_entries;
	row_map_entries.reserve(row_ids.size());
	for (size_t node = 0; node < row_ids.size(); node++) {
		row_map_entries.emplace_back(uint64_t(row_ids[node].value), node);
	}
	std::sort(row_map_entries.begin(), row_map_entries.end());
	RadixMap row_map(RowMapSpace(*file), RadixRoot());
	row_map.Assign(row_map_entries);

	roots.version = ROOTS_VERSION;
	roots.node_count = row_ids.size();
	roots.built_count = row_ids.size();
	roots.norm_max = space->NormMax();
	roots.graph_row_end = row_map_entries.empty() ? 0 : row_map_entries.back().first + 1;
	roots.covered_rows = covered_rows;
	roots.row_map = row_map.Root();
	roots.quantizer = file->WriteBlob(quantizer->Serialize());
	const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_time;
	roots.build_seconds = elapsed.count();
}

IndexBuilder::IndexBuilder(const IndexConfiguration &configuration, std::function<void(uint64_t bytes)> reserve_memory)
    : impl(std::make_unique<Impl>(configuration, std::move(reserve_memory))) {
}
IndexBuilder::~IndexBuilder() = default;

uint64_t IndexBuilder::MemoryBytes(const IndexConfiguration &configuration, uint64_t row_count) {
	const NodeLayout layout =
	    NodeLayout::Create(configuration.page_size, configuration.dims, configuration.element_type,
	                       configuration.vectors, configuration.max_degree, configuration.codes);
	const uint64_t vector_bytes =
	    StoredVectorBytes(configuration.element_type, VectorStorage::NATIVE, configuration.dims);
	// The vectors are held twice while they are arranged; edges and codes come after the first copy is gone.
	const uint64_t linking_bytes = GraphBuilder::MemoryBytes(configuration.max_degree, row_count) +
	                               GraphWriter::MemoryBytes(layout, row_count) + row_count * sizeof(RowId);
	return row_count * (sizeof(RowId) + sizeof(SourceRow)) +
	       BuildSpace::MemoryBytes(configuration.element_type, configuration.dims, row_count) +
	       std::max(linking_bytes, row_count * vector_bytes);
}

void IndexBuilder::Add(const VectorBatch &batch) {
	Chunk chunk;
	std::vector<RowId> left_out;
	RowId row_max = RowId(-1);
	for (size_t i = 0; i < batch.count; i++) {
		row_max = std::max(row_max, batch.row_ids[i]);
		if (!impl->IsIndexableAt(batch, i)) {
			left_out.push_back(batch.row_ids[i]);
			continue;
		}
		const void *vector = batch.floats ? static_cast<const void *>(batch.floats + i * impl->configuration.dims)
		                                  : batch.bytes + i * impl->configuration.dims;
		chunk.row_ids.push_back(batch.row_ids[i]);
		chunk.vectors.resize(chunk.row_ids.size() * impl->vector_bytes);
		std::memcpy(chunk.vectors.data() + (chunk.row_ids.size() - 1) * impl->vector_bytes, vector, impl->vector_bytes);
	}
	chunk.vectors.shrink_to_fit();
	const std::lock_guard<std::mutex> guard(impl->mutex);
	impl->unreserved_bytes += chunk.vectors.size() + chunk.row_ids.size() * (sizeof(RowId) + sizeof(SourceRow));
	if (impl->unreserved_bytes >= RESERVE_STEP) {
		impl->reserve_memory(impl->unreserved_bytes);
		impl->unreserved_bytes = 0;
	}
	impl->row_count += chunk.row_ids.size();
	impl->unindexable_count += left_out.size();
	impl->covered_rows = std::max(impl->covered_rows, uint64_t(row_max.value + 1));
	for (const RowId row_id : left_out) {
		impl->unindexed.Insert(row_id);
	}
	impl->chunks.push_back(std::move(chunk));
}

void IndexBuilder::AddNull(Span<const RowId> row_ids) {
	const std::lock_guard<std::mutex> guard(impl->mutex);
	for (const RowId row_id : row_ids) {
		impl->unindexed.Insert(row_id);
		impl->covered_rows = std::max(impl->covered_rows, uint64_t(row_id.value) + 1);
	}
}

uint64_t IndexBuilder::RowCount() const {
	return impl->row_count;
}

uint64_t IndexBuilder::UnindexableCount() const {
	return impl->unindexable_count;
}

void IndexBuilder::Start(std::unique_ptr<File> file, const Uuid &uuid) {
	const IndexConfiguration &configuration = impl->configuration;
	const uint64_t count = impl->row_count;
	if (count >= NO_NODE.value) {
		throw UsageError("an index holds at most 4294967294 vectors, found " + std::to_string(count));
	}
	const uint64_t chunk_bytes = count * (impl->vector_bytes + sizeof(RowId) + sizeof(SourceRow));
	impl->reserve_memory(impl->unreserved_bytes + MemoryBytes(configuration, count) - chunk_bytes);
	impl->SortRows();
	impl->file =
	    PageFile::Create(std::move(file), configuration.page_size, uuid, SerializeConfiguration(configuration));
}

WorkState IndexBuilder::Work() {
	return impl->work.Work();
}

double IndexBuilder::Progress() const {
	if (const GraphWriter *writer = impl->writing) {
		return LINKED_SHARE + (1 - LINKED_SHARE) * writer->Progress();
	}
	if (const GraphBuilder *builder = impl->linking) {
		return ARRANGED_SHARE + (LINKED_SHARE - ARRANGED_SHARE) * builder->Progress();
	}
	return ARRANGED_SHARE * double(impl->assigned_count) / double(std::max<uint64_t>(1, impl->row_count));
}

const char *IndexBuilder::PhaseName() const {
	return impl->work.PhaseName();
}

std::shared_ptr<AnnIndex> IndexBuilder::Finish(std::shared_ptr<PageCache> cache) {
	LMD_CHECK(impl->stage == Impl::Stage::DONE, "the build is not finished");
	auto state = std::make_unique<AnnIndex::Impl>(impl->configuration, std::move(impl->file),
	                                              std::move(*impl->quantizer), std::move(cache));
	state->stored = impl->roots;
	Graph &graph = state->graph;
	graph.norm_max = impl->roots.norm_max;
	graph.entries = std::move(impl->entries);
	graph.node_end = uint64_t(state->file->PageIdEnd()) * graph.layout.nodes_per_page;
	const auto page_count = uint32_t(graph.layout.PageCount(impl->roots.node_count));
	if (page_count > 0 && !state->node_pages.Add({0, page_count})) {
		throw InternalError("pages of a fresh file were in use");
	}
	state->is_graph_changed = true;
	state->unindexed = std::move(impl->unindexed);
	state->is_unindexed_changed = state->unindexed.Count() > 0;
	state->is_unpublished = true;
	return std::shared_ptr<AnnIndex>(new AnnIndex(std::move(state)));
}

} // namespace lm_diskann
