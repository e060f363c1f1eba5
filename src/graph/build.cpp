#include "base/error.hpp"
#include "base/random.hpp"
#include "graph/build_scratch.hpp"

#include <algorithm>
#include <iterator>

namespace lm_diskann {

namespace {

//! Nodes or groups in one item: some milliseconds of work.
constexpr size_t ITEM_SIZE = 32;
constexpr size_t BATCH_SIZE_MIN = 256, BATCH_SIZE_MAX = 16384;
//! A batch is at most this share of all nodes: of those that are searched for, as they do not find each other, and of
//! those that ask for edges back, which may be more.
constexpr size_t BATCH_SHARE = 50, ASKING_SHARE = 24;
//! With fewer rows cells gain nothing.
constexpr size_t CELLS_ROWS_MIN = 1000;
//! With cells, one row of so many is linked by searching. One of 32 loses rows among copies (BuildRecall).
constexpr size_t SEARCHED_SHARE = 16;
//! Of the edges that searching chose for a node, so much of its list stays whatever cells find.
constexpr uint32_t LONG_EDGES_SHARE = 4;
//! Of a node's list, which begins with the nearest that RobustPrune chose, so many are asked for their neighbours.
constexpr size_t FILLING_NEIGHBORS_MAX = 8;
//! Share of the progress for filling; of the rest, where the stages of linking by cells end.
constexpr double FILLED_SHARE = 0.1;
constexpr double SEARCHED = 0.1, ASSIGNED = 0.15, COMPARED = 0.75;

//! A search for neighbours ends when so many nodes in a row, expanded nearest first, led to none of the nearest found.
//! What else is in its list has distances as good as any. After Teofili and Lin, Patience in Proximity, ECIR 2025. On
//! 40,000 of imdb-pvdbow 12 instead of 24 lose 1.7 points of recall@10 at L 24 and 0.8 at L 64, and gain a tenth of a
//! build.
constexpr size_t PATIENCE = 24, NEAREST_COUNT = 32;
//! It starts at so many nodes all over the space besides the nearest one known: who met only its surroundings would
//! have no long edges, and of vectors along a curve every tenth could not be reached (BuildRecall).
constexpr size_t SPREAD_STARTS_MAX = 64;

size_t BatchSizeMax(size_t count, size_t share) {
	return std::clamp(count / share, BATCH_SIZE_MIN, BATCH_SIZE_MAX);
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
		searched.resize(space.Count() / SEARCHED_SHARE);
		searched.shrink_to_fit();
	}
}

bool GraphBuilder::UsesCells(const BuildParameters &parameters, size_t count) {
	return parameters.has_cells && count >= CELLS_ROWS_MIN;
}

uint64_t GraphBuilder::MemoryBytes(const BuildParameters &parameters, size_t dims, size_t count) {
	const bool has_cells = UsesCells(parameters, count);
	// A batch's back-edges and their groups. Lists that ask were asked before.
	const uint64_t batch = std::min(count, BatchSizeMax(count, has_cells ? ASKING_SHARE : BATCH_SHARE));
	const uint32_t degree = has_cells ? parameters.max_degree : std::min(parameters.max_degree, 2 * FILL_DEGREE_MAX);
	const uint64_t batch_bytes = batch * degree * (sizeof(BackEdge) + sizeof(size_t));
	// Who is searched for, or lists of pending and unreachable nodes; settled and forced degrees, reachability.
	const uint64_t node_bytes = count * (2 * sizeof(uint32_t) + 2 * sizeof(uint16_t) + 1);
	const uint64_t cell_bytes = has_cells ? Cells::MemoryBytes(dims, count) : 0;
	return FinalMemoryBytes(parameters.max_degree, count) + node_bytes + std::max(batch_bytes, cell_bytes);
}

uint64_t GraphBuilder::FinalMemoryBytes(uint32_t max_degree, size_t count) {
	return count * (uint64_t(max_degree) * sizeof(uint32_t) + 2 * sizeof(uint16_t) + sizeof(NodeId));
}

PruneLimits GraphBuilder::Limits() const {
	return {parameters.max_degree, std::min(parameters.max_degree, FILL_DEGREE_MAX), float(parameters.alpha)};
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
		batch_begin = batch_end = 0;
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
		StartBackEdges(phase, share_of(double(batch_end)));
		return true;
	}
	if (batch_end == searched.size()) {
		return false;
	}
	batch_begin = batch_end;
	const size_t largest = BatchSizeMax(space.Count(), BATCH_SHARE);
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

//! All nodes have neighbours, and ask these for edges back.
bool GraphBuilder::StartAsking(Phase &phase) {
	if (batch_end == space.Count()) {
		return false;
	}
	batch_begin = batch_end;
	batch_end = std::min(space.Count(), batch_begin + BatchSizeMax(space.Count(), ASKING_SHARE));
	StartBackEdges(phase, COMPARED + (1 - COMPARED) * double(batch_end) / double(space.Count()));
	return true;
}

//! Of the batch; groups them by target, and takes them in.
void GraphBuilder::StartBackEdges(Phase &phase, double progress_end) {
	has_back_edges_due = false;
	const auto for_each_source = [&](auto &&visit) {
		for (size_t i = batch_begin; i < batch_end; i++) {
			visit(stage == Stage::SEARCHING ? searched[i] : uint32_t(i));
		}
	};
	// Vectors that grew would be twice as large.
	size_t edge_count = 0;
	for_each_source([&](uint32_t source) { edge_count += degrees[source]; });
	back_edges = std::vector<BackEdge>();
	back_edges.reserve(edge_count);
	for_each_source([&](uint32_t source) {
		for (const uint32_t target : Neighbors(NodeId(source))) {
			back_edges.push_back({target, source});
		}
		NodeId &start = reference_starts[references[source]];
		start = start == NO_NODE ? NodeId(source) : start;
	});
	std::sort(back_edges.begin(), back_edges.end(), [](const BackEdge &a, const BackEdge &b) {
		return a.target != b.target ? a.target < b.target : a.source < b.source;
	});
	const auto begins_group = [&](size_t i) { return i == 0 || back_edges[i].target != back_edges[i - 1].target; };
	size_t group_count = 0;
	for (size_t i = 0; i < edge_count; i++) {
		group_count += begins_group(i) ? 1 : 0;
	}
	group_starts = std::vector<size_t>();
	group_starts.reserve(group_count + 1);
	for (size_t i = 0; i < edge_count; i++) {
		if (begins_group(i)) {
			group_starts.push_back(i);
		}
	}
	group_starts.push_back(edge_count);
	phase.name = "linking";
	phase.item_count = (group_count + ITEM_SIZE - 1) / ITEM_SIZE;
	SetProgress(phase, progress_end);
	phase.run = [this, group_count](size_t item) {
		Scratch scratch(*this);
		ForItem(item, ITEM_SIZE, group_count, [&](size_t group) { AddBackEdges(group, scratch); });
	};
}

//! Makes the nearest linked nodes the candidates.
void GraphBuilder::SearchFor(NodeId node, Scratch &scratch) const {
	scratch.nearest.Start(parameters.list_size);
	scratch.seen.Clear();
	space.Load(node, scratch.point);
	// Returns the best place that one of `unseen` gets among the nearest.
	const auto offer_unseen = [&]() {
		scratch.Measure();
		size_t best_place = parameters.list_size;
		for (size_t i = 0; i < scratch.unseen.size(); i++) {
			best_place = std::min(best_place, scratch.nearest.Offer(scratch.distances[i], scratch.unseen[i]));
		}
		return best_place;
	};
	scratch.unseen.clear();
	scratch.seen.Insert(node);
	const auto start_at = [&](NodeId start) {
		if (start != NO_NODE && scratch.seen.Insert(start)) {
			scratch.unseen.push_back(start);
		}
	};
	start_at(root);
	start_at(reference_starts[references[node.value]]);
	const size_t spread_count = std::min(SPREAD_STARTS_MAX, reference_starts.size());
	for (size_t i = 0; i < spread_count; i++) {
		start_at(reference_starts[(node.value + i * reference_starts.size() / spread_count) % reference_starts.size()]);
	}
	offer_unseen();
	const size_t nearest_count = std::min<size_t>(NEAREST_COUNT, parameters.list_size);
	for (size_t fruitless = 0; fruitless < PATIENCE;) {
		const NodeId expanded = scratch.nearest.ExpandNext();
		if (expanded == NO_NODE) {
			break;
		}
		const Span<const uint32_t> neighbors = Neighbors(expanded);
		scratch.unseen.resize(neighbors.size());
		scratch.unseen.resize(scratch.seen.InsertAll(neighbors, scratch.unseen.data()));
		for (const NodeId unseen : scratch.unseen) {
			space.Prefetch(unseen);
		}
		fruitless = offer_unseen() < nearest_count ? 0 : fruitless + 1;
	}
	scratch.nearest.CopyTo(scratch.candidates);
}

//! Takes the neighbours of `node` from the candidates. Those in scratch.settled were chosen for it before. Forced edges
//! stay, and come first.
void GraphBuilder::ChooseNeighbors(NodeId node, Scratch &scratch) {
	const auto is_settled = [&](NodeId candidate) { return scratch.settled.Contains(candidate); };
	size_t settled_count =
	    RobustPrune(scratch.candidates, Limits(), scratch.distance, is_settled, scratch.chosen, scratch.dropped);
	if (forced_degrees[node.value] > 0) {
		scratch.forced.Clear();
		for (const uint32_t neighbor : Neighbors(node).SubSpan(0, forced_degrees[node.value])) {
			scratch.forced.Insert(NodeId(neighbor));
		}
		const auto is_forced = [&](NodeId neighbor) { return scratch.forced.Contains(neighbor); };
		KeepForced(scratch.candidates, parameters.max_degree, is_forced, scratch.chosen);
		std::stable_partition(scratch.chosen.begin(), scratch.chosen.end(),
		                      [&](const ScoredNode &neighbor) { return is_forced(neighbor.node); });
		// They may drop each other.
		settled_count = 0;
	}
	LMD_DCHECK(scratch.chosen.size() <= parameters.max_degree, "a list is longer than a block has room for");
	uint32_t *target = edges.data() + node.value * size_t(parameters.max_degree);
	std::transform(scratch.chosen.begin(), scratch.chosen.end(), target,
	               [](const ScoredNode &neighbor) { return neighbor.node.value; });
	degrees[node.value] = uint16_t(scratch.chosen.size());
	settled_degrees[node.value] = uint16_t(settled_count);
}

void GraphBuilder::LinkNode(NodeId node, Scratch &scratch) {
	if (node == root) {
		return;
	}
	SearchFor(node, scratch);
	scratch.settled.Clear();
	ChooseNeighbors(node, scratch);
}

//! Chooses among the candidates, which may come twice and in any order, and the present neighbours, which must be among
//! them.
void GraphBuilder::ChooseAgain(NodeId node, Scratch &scratch) {
	std::sort(scratch.candidates.begin(), scratch.candidates.end());
	scratch.candidates.erase(std::unique(scratch.candidates.begin(), scratch.candidates.end(),
	                                     [](const ScoredNode &a, const ScoredNode &b) { return a.node == b.node; }),
	                         scratch.candidates.end());
	scratch.settled.Clear();
	for (const uint32_t neighbor : Neighbors(node).SubSpan(0, settled_degrees[node.value])) {
		scratch.settled.Insert(NodeId(neighbor));
	}
	ChooseNeighbors(node, scratch);
}

//! Beside `nearest`, from its cell, are the neighbours that searching found.
void GraphBuilder::LinkByCell(NodeId node, const std::vector<ScoredNode> &nearest, Scratch &scratch) {
	scratch.unseen.clear();
	for (const uint32_t neighbor : Neighbors(node)) {
		scratch.unseen.push_back(NodeId(neighbor));
	}
	space.Load(node, scratch.point);
	scratch.MeasureCandidates();
	scratch.candidates.insert(scratch.candidates.end(), nearest.begin(), nearest.end());
	ChooseAgain(node, scratch);
}

void GraphBuilder::AddBackEdges(size_t group, Scratch &scratch) {
	const size_t begin = group_starts[group];
	const size_t end = group_starts[group + 1];
	const NodeId target(back_edges[begin].target);
	const Span<const uint32_t> present = Neighbors(target);
	uint32_t *own = edges.data() + target.value * size_t(parameters.max_degree);
	if (present.size() + (end - begin) <= parameters.max_degree) {
		for (size_t i = begin; i < end; i++) {
			if (std::find(present.begin(), present.end(), back_edges[i].source) == present.end()) {
				own[degrees[target.value]++] = back_edges[i].source;
			}
		}
		return;
	}
	scratch.unseen.clear();
	for (const uint32_t neighbor : present) {
		scratch.unseen.push_back(NodeId(neighbor));
	}
	for (size_t i = begin; i < end; i++) {
		scratch.unseen.push_back(NodeId(back_edges[i].source));
	}
	space.Load(target, scratch.point);
	scratch.MeasureCandidates();
	ChooseAgain(target, scratch);
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

void GraphBuilder::FillNode(NodeId node, Scratch &scratch) {
	const Span<const uint32_t> own = LinkedNeighbors(node);
	const size_t room = parameters.max_degree - own.size();
	if (room == 0) {
		return;
	}
	scratch.seen.Clear();
	scratch.seen.Insert(node);
	for (const uint32_t neighbor : own) {
		scratch.seen.Insert(NodeId(neighbor));
	}
	scratch.unseen.clear();
	const size_t asked_count = std::min(FILLING_NEIGHBORS_MAX, own.size());
	for (const uint32_t neighbor : Span<const uint32_t>(own.data(), asked_count)) {
		for (const uint32_t second : LinkedNeighbors(NodeId(neighbor))) {
			if (scratch.seen.Insert(NodeId(second))) {
				space.Prefetch(NodeId(second));
				scratch.unseen.push_back(NodeId(second));
			}
		}
	}
	space.Load(node, scratch.point);
	scratch.MeasureCandidates();
	const size_t added = std::min(room, scratch.candidates.size());
	std::partial_sort(scratch.candidates.begin(), scratch.candidates.begin() + added, scratch.candidates.end());
	uint32_t *target = edges.data() + node.value * size_t(parameters.max_degree) + own.size();
	std::transform(scratch.candidates.begin(), scratch.candidates.begin() + added, target,
	               [](const ScoredNode &found) { return found.node.value; });
	degrees[node.value] = uint16_t(own.size() + added);
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
