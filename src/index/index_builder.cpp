// CREATE INDEX in the core: rows in, generation 1 out. The phases:
//
//   sampling -> training (references) -> assigning (nearest reference of each row) -> ordering (numbers of nodes) ->
//   arranging (vectors by node, and rounded into RAM) -> linking -> connecting -> filling -> encoding -> writing ->
//   finishing (row map and small parts)
//
// Nodes are numbered along a chain of references, so rows that are near each other get blocks near each other; rows of
// one reference by row id, so the order in which rows came is forgotten.
#include "base/error.hpp"
#include "base/random.hpp"
#include "graph/write.hpp"
#include "index/build_budget.hpp"
#include "index/index_state.hpp"
#include "index/row_sample.hpp"
#include "vector/distance.hpp"
#include "vector/quantizer_training.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

namespace lm_diskann {

namespace {

//! Memory is told to the host in such steps while rows come in.
constexpr uint64_t MEMORY_STEP = uint64_t(1) << 20;
//! Progress at the end of the phases.
constexpr double SAMPLED = 0.01, TRAINED = 0.03, ASSIGNED = 0.07, ORDERED = 0.08, ARRANGED = 0.11, LINKED = 0.85,
                 WRITTEN = 0.98;

//! A number for a row that looks random, the same whenever and wherever the row comes.
uint64_t HashOf(RowId row_id) {
	return Random(uint64_t(row_id.value)).Next();
}

} // namespace

struct IndexBuilder::Impl {
	Impl(const IndexConfiguration &configuration_p, BuildResources resources_p)
	    : configuration(configuration_p), resources(std::move(resources_p)),
	      layout(NodeLayout::Create(configuration.page_size, configuration.dims, configuration.element_type,
	                                configuration.vectors, configuration.max_degree, configuration.codes)),
	      rows(configuration.element_type, configuration.dims, resources.create_scratch),
	      work([this](Phase &phase) { return NextPhase(phase); }), start_time(std::chrono::steady_clock::now()),
	      sample(configuration.dims) {
	}

	bool IsIndexableAt(const VectorBatch &batch, size_t i) const {
		const size_t dims = configuration.dims;
		return batch.floats ? IsIndexable(configuration.metric, batch.floats + i * dims, dims)
		                    : IsIndexable(configuration.metric, batch.bytes + i * dims, dims);
	}
	BuildPlan Plan(uint64_t count) const {
		return PlanBuild(configuration, layout, rows, count, resources.memory_max, bool(resources.create_scratch));
	}

	uint64_t RowsMax(uint64_t bytes) const;
	void LimitRowsInMemory();
	void EnterPhases(uint64_t bytes);
	bool NextPhase(Phase &phase);
	bool NextTrainingPhase(Phase &phase);
	bool NextGraphPhase(Phase &phase);
	void SampleRows(size_t block);
	void StartTraining();
	void AssignRows(size_t block);
	void StartOrdering();
	void OrderRows(size_t reference);
	void StartArranging();
	void ArrangeRows(size_t block);
	void StartLinking();
	void FinishFile();
	std::vector<uint16_t> ChainReferences() const;
	template <class FUNCTION>
	void SetPhase(Phase &phase, const char *name, size_t item_count, double progress_end, FUNCTION run) {
		phase.name = name;
		phase.item_count = item_count;
		phase.run = run;
		phase.progress_begin = progress;
		phase.progress_end = progress = progress_end;
	}

	IndexConfiguration configuration;
	BuildResources resources;
	NodeLayout layout;
	BuildRows rows;
	PhasedWork work;
	std::chrono::steady_clock::time_point start_time;

	//! Guards what Add changes.
	std::mutex mutex;
	RowSet unindexed;
	uint64_t row_count = 0;
	uint64_t unindexable_count = 0;
	uint64_t covered_rows = 0;
	uint64_t told_bytes = 0;

	//! From Start on; set by one phase and constant in the later ones.
	enum class Stage : uint8_t { SAMPLING, TRAINING, ASSIGNING, ORDERING, ARRANGING, GRAPH, FINISHING, DONE };
	Stage stage = Stage::SAMPLING;
	double progress = 0;
	BuildPlan plan;
	std::unique_ptr<PageFile> file;
	//! Guarded by `mutex` while it is drawn.
	RowSample sample;
	std::unique_ptr<QuantizerTraining> training;
	std::unique_ptr<Quantizer> quantizer;
	//! By position of the row.
	std::vector<RowId> row_id_of_position;
	std::vector<uint16_t> reference_of_position;
	std::vector<float> distance_of_position;
	std::vector<uint32_t> node_of_position;
	//! By node.
	std::vector<uint32_t> position_of_node;
	std::vector<uint16_t> references;
	std::vector<RowId> row_ids;
	//! References along the chain, and the first node of each place in it; one more for the end.
	std::vector<uint16_t> chain;
	std::vector<uint32_t> chain_starts;
	std::vector<NodeId> entries;
	float norm_max = 0;
	std::unique_ptr<BuildSpace> space;
	std::unique_ptr<GraphBuilder> builder;
	std::unique_ptr<GraphWriter> writer;
	StoredRoots roots = {};
};

//! What rows may take beside the `bytes` of a phase: the rest of the memory, but for a part that is left to the C
//! library, which keeps freed small allocations.
uint64_t IndexBuilder::Impl::RowsMax(uint64_t bytes) const {
	constexpr uint64_t HEAP_PARTS = 16;
	const uint64_t rest = resources.memory_max - bytes;
	return rest - std::min(rest, resources.memory_max / HEAP_PARTS);
}

//! Rows leave RAM while they come in as far as later phases will need their room. `mutex` is held.
void IndexBuilder::Impl::LimitRowsInMemory() {
	if (resources.create_scratch) {
		rows.SetMemoryMax(RowsMax(Plan(row_count).LargestBytes()));
	} else {
		Plan(row_count);
	}
	const uint64_t bytes = rows.MemoryBytes();
	if (resources.set_memory && bytes >= told_bytes + MEMORY_STEP) {
		resources.set_memory(bytes);
		told_bytes = bytes;
	}
}

//! The next phases hold `bytes`, and rows what is left.
void IndexBuilder::Impl::EnterPhases(uint64_t bytes) {
	if (resources.create_scratch) {
		rows.SetMemoryMax(RowsMax(bytes));
	}
	if (resources.set_memory) {
		const uint64_t rest = resources.memory_max - bytes;
		resources.set_memory(bytes + std::min(rest, rows.Bytes(row_count) + rows.MemoryMin(row_count)));
	}
}

bool IndexBuilder::Impl::NextPhase(Phase &phase) {
	switch (stage) {
	case Stage::SAMPLING:
		EnterPhases(plan.training_bytes);
		SetPhase(phase, "sampling", rows.BlockCount(), SAMPLED, [this](size_t block) { SampleRows(block); });
		stage = Stage::TRAINING;
		return true;
	case Stage::TRAINING:
		if (NextTrainingPhase(phase)) {
			return true;
		}
		[[fallthrough]];
	case Stage::ASSIGNING:
		EnterPhases(plan.arranging_bytes);
		row_id_of_position.resize(rows.Count());
		reference_of_position.resize(rows.Count());
		distance_of_position.resize(rows.Count());
		SetPhase(phase, "assigning", rows.BlockCount(), ASSIGNED, [this](size_t block) { AssignRows(block); });
		stage = Stage::ORDERING;
		return true;
	case Stage::ORDERING:
		StartOrdering();
		SetPhase(phase, "ordering", chain.size(), ORDERED, [this](size_t place) { OrderRows(place); });
		stage = Stage::ARRANGING;
		return true;
	case Stage::ARRANGING:
		StartArranging();
		SetPhase(phase, "arranging", rows.BlockCount(), ARRANGED, [this](size_t block) { ArrangeRows(block); });
		stage = Stage::GRAPH;
		return true;
	case Stage::GRAPH:
		if (NextGraphPhase(phase)) {
			return true;
		}
		stage = Stage::FINISHING;
		SetPhase(phase, "finishing", 1, 1, [this](size_t) { FinishFile(); });
		return true;
	case Stage::FINISHING:
		stage = Stage::DONE;
		break;
	case Stage::DONE:
		break;
	}
	return false;
}

bool IndexBuilder::Impl::NextTrainingPhase(Phase &phase) {
	if (!training) {
		StartTraining();
	}
	if (training->StartRound()) {
		SetPhase(phase, "training", training->ItemCount(), progress + (TRAINED - progress) / 4,
		         [this](size_t item) { training->RunItem(item); });
		return true;
	}
	quantizer = std::make_unique<Quantizer>(training->Finish());
	training.reset();
	return false;
}

bool IndexBuilder::Impl::NextGraphPhase(Phase &phase) {
	if (!writer) {
		if (!builder) {
			StartLinking();
		}
		if (builder->NextPhase(phase)) {
			phase.Rescale(ARRANGED, LINKED);
			return true;
		}
		space.reset();
		EnterPhases(plan.writing_bytes);
		writer = std::make_unique<GraphWriter>(rows, *builder, *quantizer, layout, row_ids, references, *file);
	}
	if (writer->NextPhase(phase)) {
		phase.Rescale(LINKED, WRITTEN);
		return true;
	}
	writer.reset();
	references = std::vector<uint16_t>();
	builder.reset();
	progress = WRITTEN;
	return false;
}

//! Draws about sample_rows rows; which ones does not depend on the order in which they came.
void IndexBuilder::Impl::SampleRows(size_t block) {
	const double share = double(plan.sample_rows) / double(rows.Count());
	rows.ForEachRow(block, [&](const BuildRows::Row &row) {
		if (share >= 1 || double(HashOf(row.row_id)) < share * 0x1p64) {
			const std::lock_guard<std::mutex> guard(mutex);
			sample.Add(row.row_id, row.vector);
		}
	});
}

void IndexBuilder::Impl::StartTraining() {
	training = std::make_unique<QuantizerTraining>(configuration.metric, configuration.codes, configuration.dims,
	                                               sample.TakeSorted(), rows.Count(), uint64_t(configuration.seed));
}

void IndexBuilder::Impl::AssignRows(size_t block) {
	std::vector<float> scratch;
	float longest = 0;
	const Metric metric = configuration.metric == Metric::COSINE ? Metric::COSINE : Metric::L2SQ;
	rows.ForEachRow(block, [&](const BuildRows::Row &row) {
		const uint16_t reference = quantizer->NearestReference(row.vector, scratch);
		const float distance = Distance(metric, row.vector, quantizer->Reference(reference), configuration.dims);
		row_id_of_position[row.position] = row.row_id;
		reference_of_position[row.position] = reference;
		// A reference that is zero has no cosine.
		distance_of_position[row.position] = distance == distance ? distance : std::numeric_limits<float>::max();
		longest = std::max(longest, std::sqrt(InnerProduct(row.vector, row.vector, configuration.dims)));
	});
	const std::lock_guard<std::mutex> guard(mutex);
	norm_max = std::max(norm_max, longest);
}

//! Greedy chain: from each reference to the nearest one that is left.
std::vector<uint16_t> IndexBuilder::Impl::ChainReferences() const {
	std::vector<uint16_t> left(quantizer->ReferenceCount());
	std::iota(left.begin(), left.end(), uint16_t(0));
	std::vector<uint16_t> found;
	size_t next = 0;
	while (!left.empty()) {
		found.push_back(left[next]);
		left.erase(left.begin() + ptrdiff_t(next));
		float nearest = std::numeric_limits<float>::infinity();
		next = 0;
		for (size_t i = 0; i < left.size(); i++) {
			const float distance =
			    SquaredL2(quantizer->Reference(found.back()), quantizer->Reference(left[i]), configuration.dims);
			if (distance < nearest) {
				nearest = distance;
				next = i;
			}
		}
	}
	return found;
}

//! Sorts positions by the place of their reference in the chain.
void IndexBuilder::Impl::StartOrdering() {
	chain = ChainReferences();
	std::vector<uint32_t> next(chain.size());
	for (const uint16_t reference : reference_of_position) {
		next[reference]++;
	}
	uint32_t start = 0;
	for (const uint16_t reference : chain) {
		chain_starts.push_back(start);
		const uint32_t count = next[reference];
		next[reference] = start;
		start += count;
	}
	chain_starts.push_back(start);
	position_of_node.resize(rows.Count());
	for (uint32_t position = 0; position < rows.Count(); position++) {
		position_of_node[next[reference_of_position[position]]++] = position;
	}
	node_of_position.resize(rows.Count());
	references.resize(rows.Count());
	row_ids.resize(rows.Count());
	entries.assign(chain.size(), NO_NODE);
}

//! Orders the rows of one reference by row id; the nearest of them is its entry.
void IndexBuilder::Impl::OrderRows(size_t place) {
	const auto begin = position_of_node.begin() + chain_starts[place];
	const auto end = position_of_node.begin() + chain_starts[place + 1];
	std::sort(begin, end, [this](uint32_t a, uint32_t b) { return row_id_of_position[a] < row_id_of_position[b]; });
	float nearest = 0;
	NodeId &entry = entries[chain[place]];
	for (uint32_t node = chain_starts[place]; node < chain_starts[place + 1]; node++) {
		const uint32_t position = position_of_node[node];
		node_of_position[position] = node;
		references[node] = chain[place];
		row_ids[node] = row_id_of_position[position];
		if (entry == NO_NODE || distance_of_position[position] < nearest) {
			entry = NodeId(node);
			nearest = distance_of_position[position];
		}
	}
}

void IndexBuilder::Impl::StartArranging() {
	row_id_of_position = std::vector<RowId>();
	reference_of_position = std::vector<uint16_t>();
	distance_of_position = std::vector<float>();
	position_of_node = std::vector<uint32_t>();
	rows.StartArranging(layout.nodes_per_page);
	space = std::make_unique<BuildSpace>(*quantizer, plan.bits, norm_max, rows.Count());
}

void IndexBuilder::Impl::ArrangeRows(size_t block) {
	std::vector<float> scratch;
	rows.ForEachRow(block, [&](const BuildRows::Row &row) {
		space->Set(NodeId(node_of_position[row.position]), row.vector, scratch);
	});
	rows.Arrange(block, node_of_position);
}

void IndexBuilder::Impl::StartLinking() {
	node_of_position = std::vector<uint32_t>();
	EnterPhases(plan.linking_bytes);
	BuildParameters parameters;
	parameters.max_degree = configuration.max_degree;
	parameters.list_size = configuration.l_build;
	parameters.alpha = configuration.alpha;
	parameters.seed = uint64_t(configuration.seed);
	parameters.has_cells = plan.has_cells;
	const auto root = std::find_if(entries.begin(), entries.end(), [](NodeId entry) { return entry != NO_NODE; });
	builder = std::make_unique<GraphBuilder>(*space, parameters, references, quantizer->ReferenceCount(),
	                                         root == entries.end() ? NO_NODE : *root);
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
	roots.norm_max = norm_max;
	roots.graph_row_end = row_map_entries.empty() ? 0 : row_map_entries.back().first + 1;
	roots.covered_rows = covered_rows;
	roots.row_map = row_map.Root();
	roots.quantizer = file->WriteBlob(quantizer->Serialize());
	const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_time;
	roots.build_seconds = elapsed.count();
}

IndexBuilder::IndexBuilder(const IndexConfiguration &configuration, BuildResources resources)
    : impl(std::make_unique<Impl>(configuration, std::move(resources))) {
}
IndexBuilder::~IndexBuilder() = default;

uint64_t IndexBuilder::MemoryBytes(const IndexConfiguration &configuration, uint64_t row_count) {
	const Impl builder(configuration, {});
	return PlanBuild(configuration, builder.layout, builder.rows, row_count, UINT64_MAX, true).LargestBytes() +
	       builder.rows.MemoryMin(row_count);
}

void IndexBuilder::Add(const VectorBatch &batch) {
	std::vector<RowId> added;
	std::vector<const void *> vectors;
	std::vector<RowId> left_out;
	RowId row_max = RowId(-1);
	for (size_t i = 0; i < batch.count; i++) {
		row_max = std::max(row_max, batch.row_ids[i]);
		if (!impl->IsIndexableAt(batch, i)) {
			left_out.push_back(batch.row_ids[i]);
			continue;
		}
		added.push_back(batch.row_ids[i]);
		vectors.push_back(batch.floats ? static_cast<const void *>(batch.floats + i * impl->configuration.dims)
		                               : batch.bytes + i * impl->configuration.dims);
	}
	impl->rows.Add(added, vectors);
	const std::lock_guard<std::mutex> guard(impl->mutex);
	impl->row_count += added.size();
	impl->unindexable_count += left_out.size();
	impl->covered_rows = std::max(impl->covered_rows, uint64_t(row_max.value + 1));
	for (const RowId row_id : left_out) {
		impl->unindexed.Insert(row_id);
	}
	impl->LimitRowsInMemory();
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
	impl->plan = impl->Plan(count);
	impl->rows.EndAdding();
	impl->file =
	    PageFile::Create(std::move(file), configuration.page_size, uuid, SerializeConfiguration(configuration));
}

WorkState IndexBuilder::Work() {
	return impl->work.Work();
}

double IndexBuilder::Progress() const {
	return impl->work.Progress();
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
