#include "base/error.hpp"
#include "base/random.hpp"
#include "graph/build_scratch.hpp"

#include <algorithm>

namespace lm_diskann {

namespace {

//! Nodes or groups in one item: some milliseconds of work.
constexpr size_t ITEM_SIZE = 32;
constexpr size_t BATCH_SIZE_MIN = 256, BATCH_SIZE_MAX = 16384;
//! A batch is at most this share of the nodes linked before it.
constexpr size_t BATCH_SHARE = 50;
//! With cells, edges back are asked for at most this share of all at a time.
constexpr size_t ASKING_SHARE = 48;
//! With cells, one row of so many is linked by searching, and no less than SEARCHED_MIN. One of 32 loses rows among
//! copies (BuildRecall); of 4,000 rows 250 lose, by inner products, half a point of what lies within a radius.
constexpr size_t SEARCHED_SHARE = 16, SEARCHED_MIN = 1000;
//! Of the edges that searching chose for a node, so much of its list stays whatever cells find.
constexpr uint32_t LONG_EDGES_SHARE = 4;
//! Share of the progress for filling; of the rest, where the stages of linking by cells end.
constexpr double FILLED_SHARE = 0.1;
constexpr double SEARCHED = 0.1, ASSIGNED = 0.15, COMPARED = 0.75;

size_t BatchSizeMax(size_t count) {
	return std::clamp(count / BATCH_SHARE, BATCH_SIZE_MIN, BATCH_SIZE_MAX);
}

//! A node that all others ask is not asked by halves.
size_t AskedEdgesMax(size_t count, uint32_t max_degree) {
	return std::max(count, count * max_degree / ASKING_SHARE);
}

//! Calls `run(index)` for the indexes of item `item` of `count` ones cut into pieces of `size`.
template <class FUNCTION>
void ForItem(size_t item, size_t size, size_t count, FUNCTION &&run) {
	for (size_t index = item * size; index < std::min(count, (item + 1) * size); index++) {
		run(index);
	}
}

} // namespace

GraphBuilder::GraphBuilder(const BuildSpace &space_p, const BuildParameters &parameters_p,
                           const std::vector<uint16_t> &references_p, size_t reference_count, NodeId root_p)
    : space(space_p), parameters(parameters_p), references(references_p), root(root_p),
      edges(space_p.Count() * size_t(parameters_p.max_degree)), degrees(space_p.Count()),
      settled_degrees(space_p.Count()), forced_degrees(space_p.Count()),
      searched(Random(parameters_p.seed).Permutation<uint32_t>(space_p.Count())),
      reference_starts(reference_count, NO_NODE) {
	if (searched.empty()) {
		return;
	}
	std::iter_swap(searched.begin(), std::find(searched.begin(), searched.end(), root.value));
	if (UsesCells(parameters, space.Count())) {
		searched.resize(std::max(space.Count() / SEARCHED_SHARE, SEARCHED_MIN));
		searched.shrink_to_fit();
	}
}

bool GraphBuilder::UsesCells(const BuildParameters &parameters, size_t count) {
	return parameters.has_cells && count > SEARCHED_MIN;
}

uint64_t GraphBuilder::MemoryBytes(const BuildParameters &parameters, size_t dims, size_t count) {
	const bool has_cells = UsesCells(parameters, count);
	// Back-edges and their groups, and while cells are asked the number of edges to each node.
	const uint64_t searched_edges =
	    std::min(count, BatchSizeMax(count)) * std::min(parameters.max_degree, 2 * FILL_DEGREE_MAX);
	const uint64_t back_edge_bytes =
	    (has_cells ? std::max(searched_edges, uint64_t(AskedEdgesMax(count, parameters.max_degree))) : searched_edges) *
	        (sizeof(BackEdge) + sizeof(size_t)) +
	    (has_cells ? count * sizeof(uint32_t) : 0);
	// Who is searched for, or lists of pending and unreachable nodes; settled and forced degrees, reachability.
	const uint64_t node_bytes = count * (2 * sizeof(uint32_t) + 2 * sizeof(uint16_t) + 1);
	const uint64_t cell_bytes = has_cells ? Cells::MemoryBytes(dims, count) : 0;
	return FinalMemoryBytes(parameters.max_degree, count) + node_bytes + std::max(back_edge_bytes, cell_bytes);
}

uint64_t GraphBuilder::FinalMemoryBytes(uint32_t max_degree, size_t count) {
	return count * (uint64_t(max_degree) * sizeof(uint32_t) + 2 * sizeof(uint16_t) + sizeof(NodeId));
}

void GraphBuilder::SetProgress(Phase &phase, double share) {
	phase.progress_begin = linked_share;
	phase.progress_end = linked_share = (1 - FILLED_SHARE) * share;
}

bool GraphBuilder::NextPhase(Phase &phase) {
	switch (stage) {
	case Stage::SEARCHING:
		if (StartSearching(phase)) {
			return true;
		}
		if (searched.size() < space.Count()) {
			ForceLongEdges();
			StartAssigning(phase);
			stage = Stage::COMPARING;
			return true;
		}
		stage = Stage::CONNECTING;
		return NextPhase(phase);
	case Stage::COMPARING:
		if (StartComparing(phase)) {
			return true;
		}
		stage = Stage::ASKING;
		CountAsked();
		[[fallthrough]];
	case Stage::ASKING:
		if (StartAsking(phase)) {
			return true;
		}
		stage = Stage::CONNECTING;
		[[fallthrough]];
	case Stage::CONNECTING:
		if (StartConnecting(phase)) {
			return true;
		}
		StartFilling(phase);
		stage = Stage::FILLING;
		return true;
	case Stage::FILLING:
		ReleaseAllButEdges();
		stage = Stage::DONE;
		break;
	case Stage::DONE:
		break;
	}
	return false;
}

bool GraphBuilder::StartSearching(Phase &phase) {
	const double share = searched.size() < space.Count() ? SEARCHED : 1;
	const auto share_of = [&](double linked) { return share * linked / double(searched.size()); };
	if (has_back_edges_due) {
		CollectBackEdges();
		StartBackEdges(phase, share_of(double(batch_end)));
		return true;
	}
	if (batch_end == searched.size()) {
		return false;
	}
	batch_begin = batch_end;
	const size_t largest = BatchSizeMax(space.Count());
	batch_end = std::min(searched.size(), batch_begin + std::clamp<size_t>(batch_begin, 1, largest));
	std::sort(searched.begin() + ptrdiff_t(batch_begin), searched.begin() + ptrdiff_t(batch_end));
	const size_t count = batch_end - batch_begin;
	phase.name = "linking";
	phase.item_count = (count + ITEM_SIZE - 1) / ITEM_SIZE;
	SetProgress(phase, share_of(double(batch_begin + batch_end) / 2));
	phase.run = [this, count](size_t item) {
		Scratch scratch(*this);
		ForItem(item, ITEM_SIZE, count, [&](size_t i) { LinkNode(NodeId(searched[batch_begin + i]), scratch); });
	};
	has_back_edges_due = true;
	return true;
}

//! Of all rows a hundred may be nearer than those that searching one of 16 has found, and far from all others: without
//! these edges a cluster would lead nowhere else.
void GraphBuilder::ForceLongEdges() {
	for (const uint32_t node : searched) {
		forced_degrees[node] = std::min(settled_degrees[node], uint16_t(parameters.max_degree / LONG_EDGES_SHARE));
	}
}

void GraphBuilder::StartAssigning(Phase &phase) {
	cells = std::make_unique<Cells>(space, parameters.seed);
	phase.name = "linking";
	phase.item_count = cells->AssignItemCount();
	SetProgress(phase, ASSIGNED);
	phase.run = [this](size_t item) { cells->Assign(item); };
}

bool GraphBuilder::StartComparing(Phase &phase) {
	if (!cells->NextSlab()) {
		cells.reset();
		return false;
	}
	phase.name = "linking";
	phase.item_count = cells->SlabSize();
	SetProgress(phase, ASSIGNED + (COMPARED - ASSIGNED) * cells->SlabEndShare());
	phase.run = [this](size_t item) {
		Scratch scratch(*this);
		cells->FindNearest(item, parameters.list_size, [&](NodeId node, const std::vector<ScoredNode> &nearest) {
			LinkByCell(node, nearest, scratch);
		});
	};
	return true;
}

void GraphBuilder::NoteStart(uint32_t linked) {
	NodeId &start = reference_starts[references[linked]];
	start = start == NO_NODE ? NodeId(linked) : start;
}

//! Before any node is asked: which, and by how many.
void GraphBuilder::CountAsked() {
	batch_begin = batch_end = 0;
	asked_degrees.assign(space.Count(), 0);
	for (uint32_t source = 0; source < space.Count(); source++) {
		for (const uint32_t target : Neighbors(NodeId(source))) {
			asked_degrees[target]++;
		}
		NoteStart(source);
	}
}

//! All nodes have neighbours, and ask these for edges back: some targets after the others, so that each chooses once.
bool GraphBuilder::StartAsking(Phase &phase) {
	if (batch_end == space.Count()) {
		asked_degrees = std::vector<uint32_t>();
		return false;
	}
	batch_begin = batch_end;
	const size_t edges_max = AskedEdgesMax(space.Count(), parameters.max_degree);
	size_t edge_count = 0;
	while (batch_end < space.Count() &&
	       (batch_end == batch_begin || edge_count + asked_degrees[batch_end] <= edges_max)) {
		edge_count += asked_degrees[batch_end++];
	}
	back_edges.clear();
	back_edges.reserve(edge_count);
	for (uint32_t source = 0; source < space.Count(); source++) {
		for (const uint32_t target : Neighbors(NodeId(source))) {
			// Who was asked before has this edge from its answer.
			if (target - batch_begin < batch_end - batch_begin && !LeadsTo(NodeId(target), source)) {
				back_edges.push_back({target, source});
			}
		}
	}
	StartBackEdges(phase, COMPARED + (1 - COMPARED) * double(batch_end) / double(space.Count()));
	return true;
}

//! Of the batch that was searched for.
void GraphBuilder::CollectBackEdges() {
	has_back_edges_due = false;
	size_t edge_count = 0;
	for (size_t i = batch_begin; i < batch_end; i++) {
		edge_count += degrees[searched[i]];
	}
	back_edges.clear();
	back_edges.reserve(edge_count);
	for (size_t i = batch_begin; i < batch_end; i++) {
		const uint32_t source = searched[i];
		for (const uint32_t target : Neighbors(NodeId(source))) {
			back_edges.push_back({target, source});
		}
		NoteStart(source);
	}
}

//! Groups the back-edges by target, and lets these take them in.
void GraphBuilder::StartBackEdges(Phase &phase, double progress_end) {
	std::sort(back_edges.begin(), back_edges.end(), [](const BackEdge &a, const BackEdge &b) {
		return a.target != b.target ? a.target < b.target : a.source < b.source;
	});
	const auto begins_group = [&](size_t i) { return i == 0 || back_edges[i].target != back_edges[i - 1].target; };
	// A vector that grew would be twice as large.
	size_t group_count = 0;
	for (size_t i = 0; i < back_edges.size(); i++) {
		group_count += begins_group(i) ? 1 : 0;
	}
	group_starts = std::vector<size_t>();
	group_starts.reserve(group_count + 1);
	for (size_t i = 0; i < back_edges.size(); i++) {
		if (begins_group(i)) {
			group_starts.push_back(i);
		}
	}
	group_starts.push_back(back_edges.size());
	phase.name = "linking";
	phase.item_count = (group_count + ITEM_SIZE - 1) / ITEM_SIZE;
	SetProgress(phase, progress_end);
	phase.run = [this, group_count](size_t item) {
		Scratch scratch(*this);
		ForItem(item, ITEM_SIZE, group_count, [&](size_t group) { AddBackEdges(group, scratch); });
	};
}

void GraphBuilder::StartFilling(Phase &phase) {
	linked_degrees = degrees;
	phase.name = "filling";
	phase.item_count = (degrees.size() + ITEM_SIZE - 1) / ITEM_SIZE;
	phase.run = [this](size_t item) {
		Scratch scratch(*this);
		ForItem(item, ITEM_SIZE, degrees.size(), [&](size_t i) { FillNode(NodeId(uint32_t(i)), scratch); });
	};
	phase.progress_begin = 1 - FILLED_SHARE;
	phase.progress_end = 1;
}

void GraphBuilder::ReleaseAllButEdges() {
	searched = std::vector<uint32_t>();
	back_edges = std::vector<BackEdge>();
	group_starts = std::vector<size_t>();
	is_reachable = std::vector<bool>();
	settled_degrees = std::vector<uint16_t>();
	forced_degrees = std::vector<uint16_t>();
	unreachable = std::vector<uint32_t>();
	pending = std::vector<uint32_t>();
}

} // namespace lm_diskann
