#include "graph/build.hpp"

#include "base/error.hpp"
#include "base/random.hpp"
#include "graph/nearest_list.hpp"
#include "graph/node_set.hpp"

#include <algorithm>
#include <iterator>

namespace lm_diskann {

namespace {

//! Nodes or groups in one item: some milliseconds of work.
constexpr size_t ITEM_SIZE = 32;
constexpr size_t BATCH_SIZE_MIN = 256, BATCH_SIZE_MAX = 16384;
//! A batch is at most this share of the nodes linked before it.
constexpr size_t BATCH_SHARE = 50;
//! Of a node's list, which begins with the nearest that RobustPrune chose, so many are asked for their neighbours.
constexpr size_t FILLING_NEIGHBORS_MAX = 16;
constexpr uint32_t CONNECTING_ROUNDS_MAX = 8;
//! Nodes whose edges one item of connecting follows, and how many of these a search stands for.
constexpr size_t CONNECTING_STEPS = 65536, CONNECTING_SEARCH_STEPS = 256;
//! Share of the progress for filling.
constexpr double FILLED_SHARE = 0.15;

//! A search for neighbours ends when so many nodes in a row, expanded nearest first, led to none of the nearest found.
//! What else is in its list has distances as good as any. After Teofili and Lin, Patience in Proximity, ECIR 2025. On
//! 40,000 of imdb-pvdbow 12 instead of 24 lose 1.7 points of recall@10 at L 24 and 0.8 at L 64, and gain a tenth of a
//! build.
constexpr size_t PATIENCE = 24, NEAREST_COUNT = 32;
//! It starts at so many nodes all over the space besides the nearest one known: who met only its surroundings would
//! have no long edges, and of vectors along a curve every tenth could not be reached (BuildRecall).
constexpr size_t SPREAD_STARTS_MAX = 64;

//! Calls `run(index)` for the indexes of item `item` of `count` ones cut into pieces of `size`.
template <class FUNCTION>
void ForItem(size_t item, size_t size, size_t count, FUNCTION &&run) {
	for (size_t index = item * size; index < std::min(count, (item + 1) * size); index++) {
		run(index);
	}
}

} // namespace

//! What one search or prune needs; made once an item.
struct GraphBuilder::Scratch {
	explicit Scratch(GraphBuilder &builder_p) : builder(builder_p), distance(builder_p.space) {
	}
	~Scratch() {
		builder.distance_count += measured_count + distance.Count();
	}

	//! Puts the distances of `unseen` from `point` into `distances`.
	void Measure() {
		distances.resize(unseen.size());
		builder.space.Distances(point, Span<const NodeId>(unseen.data(), unseen.size()), distances.data());
		measured_count += unseen.size();
	}
	//! Makes `unseen` the candidates.
	void MeasureCandidates() {
		Measure();
		candidates.clear();
		for (size_t i = 0; i < unseen.size(); i++) {
			candidates.push_back({distances[i], unseen[i]});
		}
	}

	GraphBuilder &builder;
	BuildSpace::Point point;
	BuildDistance distance;
	uint64_t measured_count = 0;

	NearestList nearest;
	std::vector<NodeId> unseen;
	std::vector<float> distances;
	std::vector<ScoredNode> candidates, chosen, dropped;
	NodeSet seen, settled;
};

GraphBuilder::GraphBuilder(const BuildSpace &space_p, const BuildParameters &parameters_p,
                           const std::vector<uint16_t> &references_p, size_t reference_count, NodeId root)
    : space(space_p), parameters(parameters_p), references(references_p),
      edges(space_p.Count() * size_t(parameters_p.max_degree)), degrees(space_p.Count()),
      settled_degrees(space_p.Count()), order(Random(parameters_p.seed).Permutation<uint32_t>(space_p.Count())),
      reference_starts(reference_count, NO_NODE) {
	if (!order.empty()) {
		std::iter_swap(order.begin(), std::find(order.begin(), order.end(), root.value));
	}
}

uint64_t GraphBuilder::MemoryBytes(uint32_t max_degree, size_t count) {
	// A batch's back-edges and groups, each of the size of two numbers, while linking; for a vector that doubles.
	const uint64_t batch = std::min<uint64_t>(count, std::clamp(count / BATCH_SHARE, BATCH_SIZE_MIN, BATCH_SIZE_MAX));
	const uint64_t batch_bytes = batch * std::min(max_degree, 2 * FILL_DEGREE_MAX) * 2 * 2 * sizeof(BackEdge);
	// Order, settled and forced degrees, reachability; lists of pending and unreachable nodes.
	const uint64_t node_bytes = sizeof(uint32_t) + 2 * sizeof(uint16_t) + 1 + sizeof(uint32_t);
	return FinalMemoryBytes(max_degree, count) + batch_bytes + count * node_bytes;
}

uint64_t GraphBuilder::FinalMemoryBytes(uint32_t max_degree, size_t count) {
	return count * (uint64_t(max_degree) * sizeof(uint32_t) + 2 * sizeof(uint16_t) + sizeof(NodeId));
}

PruneLimits GraphBuilder::Limits() const {
	return {parameters.max_degree, std::min(parameters.max_degree, FILL_DEGREE_MAX), float(parameters.alpha)};
}

//! Progress when so many nodes are linked.
double GraphBuilder::LinkedShare(size_t linked_count) const {
	return (1 - FILLED_SHARE) * double(linked_count) / double(std::max<size_t>(1, order.size()));
}

bool GraphBuilder::NextPhase(Phase &phase) {
	if (has_back_edges_due) {
		StartBackEdges(phase);
		return true;
	}
	if (batch_end < order.size()) {
		StartBatch(phase);
		return true;
	}
	if (StartConnecting(phase)) {
		return true;
	}
	if (linked_degrees.empty() && !degrees.empty()) {
		StartFilling(phase);
		return true;
	}
	ReleaseAllButEdges();
	return false;
}

void GraphBuilder::StartBatch(Phase &phase) {
	batch_begin = batch_end;
	const size_t largest = std::clamp(order.size() / BATCH_SHARE, BATCH_SIZE_MIN, BATCH_SIZE_MAX);
	batch_end = std::min(order.size(), batch_begin + std::clamp<size_t>(batch_begin, 1, largest));
	std::sort(order.begin() + batch_begin, order.begin() + batch_end);
	const size_t count = batch_end - batch_begin;
	phase.name = "linking";
	phase.item_count = (count + ITEM_SIZE - 1) / ITEM_SIZE;
	phase.progress_begin = LinkedShare(batch_begin);
	phase.progress_end = (LinkedShare(batch_begin) + LinkedShare(batch_end)) / 2;
	phase.run = [this, count](size_t item) {
		Scratch scratch(*this);
		ForItem(item, ITEM_SIZE, count, [&](size_t i) { LinkNode(NodeId(order[batch_begin + i]), scratch); });
	};
	has_back_edges_due = true;
}

void GraphBuilder::StartBackEdges(Phase &phase) {
	has_back_edges_due = false;
	back_edges.clear();
	for (size_t i = batch_begin; i < batch_end; i++) {
		const uint32_t source = order[i];
		for (const uint32_t target : Neighbors(NodeId(source))) {
			back_edges.push_back({target, source});
		}
		NodeId &start = reference_starts[references[source]];
		start = start == NO_NODE ? NodeId(source) : start;
	}
	std::sort(back_edges.begin(), back_edges.end(), [](const BackEdge &a, const BackEdge &b) {
		return a.target != b.target ? a.target < b.target : a.source < b.source;
	});
	group_starts.clear();
	for (size_t i = 0; i < back_edges.size(); i++) {
		if (i == 0 || back_edges[i].target != back_edges[i - 1].target) {
			group_starts.push_back(i);
		}
	}
	const size_t group_count = group_starts.size();
	group_starts.push_back(back_edges.size());
	phase.name = "linking";
	phase.item_count = (group_count + ITEM_SIZE - 1) / ITEM_SIZE;
	phase.progress_begin = (LinkedShare(batch_begin) + LinkedShare(batch_end)) / 2;
	phase.progress_end = LinkedShare(batch_end);
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
	start_at(NodeId(order[0]));
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

//! Takes the neighbours of `node` from the candidates. Those in scratch.settled were chosen for it before.
void GraphBuilder::ChooseNeighbors(NodeId node, Scratch &scratch) {
	const auto is_settled = [&](NodeId candidate) { return scratch.settled.Contains(candidate); };
	const size_t settled_count =
	    RobustPrune(scratch.candidates, Limits(), scratch.distance, is_settled, scratch.chosen, scratch.dropped);
	LMD_DCHECK(scratch.chosen.size() <= parameters.max_degree, "a list is longer than a block has room for");
	uint32_t *target = edges.data() + node.value * size_t(parameters.max_degree);
	std::transform(scratch.chosen.begin(), scratch.chosen.end(), target,
	               [](const ScoredNode &neighbor) { return neighbor.node.value; });
	degrees[node.value] = uint16_t(scratch.chosen.size());
	settled_degrees[node.value] = uint16_t(settled_count);
}

void GraphBuilder::LinkNode(NodeId node, Scratch &scratch) {
	if (node.value == order[0]) {
		return;
	}
	SearchFor(node, scratch);
	scratch.settled.Clear();
	ChooseNeighbors(node, scratch);
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
	space.Load(target, scratch.point);
	scratch.unseen.clear();
	std::transform(present.begin(), present.end(), std::back_inserter(scratch.unseen),
	               [](uint32_t neighbor) { return NodeId(neighbor); });
	for (size_t i = begin; i < end; i++) {
		scratch.unseen.push_back(NodeId(back_edges[i].source));
	}
	scratch.MeasureCandidates();
	std::sort(scratch.candidates.begin(), scratch.candidates.end());
	scratch.candidates.erase(std::unique(scratch.candidates.begin(), scratch.candidates.end(),
	                                     [](const ScoredNode &a, const ScoredNode &b) { return a.node == b.node; }),
	                         scratch.candidates.end());
	scratch.settled.Clear();
	for (size_t i = 0; i < settled_degrees[target.value]; i++) {
		scratch.settled.Insert(NodeId(own[i]));
	}
	ChooseNeighbors(target, scratch);
}

bool GraphBuilder::MarkReachable(NodeId node) {
	if (is_reachable[node.value]) {
		return false;
	}
	is_reachable[node.value] = true;
	pending.push_back(node.value);
	return true;
}

//! A round is a traversal from the root, and an edge to each node that it did not reach, in place of one that it did
//! not need. Rounds follow until one finds nothing.
bool GraphBuilder::StartConnectingRound() {
	if (is_traversing) {
		is_traversing = false;
		for (uint32_t node = uint32_t(order.size()); node-- > 0;) {
			if (!is_reachable[node]) {
				unreachable.push_back(node);
			}
		}
		last_connected = NodeId(order[0]);
		connecting_rounds = unreachable.empty() ? CONNECTING_ROUNDS_MAX : connecting_rounds;
		return !unreachable.empty();
	}
	if (order.empty() || connecting_rounds == CONNECTING_ROUNDS_MAX) {
		return false;
	}
	connecting_rounds++;
	is_traversing = true;
	forced_degrees.resize(order.size());
	is_reachable.assign(order.size(), false);
	anchors.assign(order.size(), NO_NODE);
	MarkReachable(NodeId(order[0]));
	return true;
}

bool GraphBuilder::StartConnecting(Phase &phase) {
	if (pending.empty() && unreachable.empty() && !StartConnectingRound()) {
		return false;
	}
	phase.name = "connecting";
	phase.item_count = 1;
	phase.run = [this](size_t) { ConnectSome(); };
	return true;
}

void GraphBuilder::ConnectSome() {
	Scratch scratch(*this);
	for (size_t steps = 0; steps < CONNECTING_STEPS;) {
		if (!pending.empty()) {
			const NodeId node(pending.back());
			pending.pop_back();
			for (const uint32_t neighbor : Neighbors(node)) {
				if (MarkReachable(NodeId(neighbor))) {
					anchors[neighbor] = node;
				}
			}
			steps++;
			continue;
		}
		if (unreachable.empty()) {
			return;
		}
		const NodeId node(unreachable.back());
		unreachable.pop_back();
		if (!is_reachable[node.value]) {
			ConnectNode(node, scratch);
			steps += CONNECTING_SEARCH_STEPS;
		}
	}
}

//! Where an edge from `parent` can be put that no node is reached by: free room, or the last such edge of the list.
std::optional<uint16_t> GraphBuilder::FindSpareEdge(NodeId parent) const {
	const Span<const uint32_t> own = Neighbors(parent);
	if (own.size() < parameters.max_degree) {
		return uint16_t(own.size());
	}
	for (size_t i = own.size(); i-- > forced_degrees[parent.value];) {
		if (anchors[own[i]] != parent) {
			return uint16_t(i);
		}
	}
	return std::nullopt;
}

//! Gives `node` an edge from the nearest reachable node that has one to spare. Edges made here come first in a list and
//! are never replaced again.
void GraphBuilder::ConnectNode(NodeId node, Scratch &scratch) {
	SearchFor(node, scratch);
	const uint32_t forced_max = std::max(1U, parameters.max_degree / 2);
	NodeId parent = last_connected;
	for (const ScoredNode &found : scratch.candidates) {
		if (is_reachable[found.node.value] && forced_degrees[found.node.value] < forced_max &&
		    FindSpareEdge(found.node)) {
			parent = found.node;
			break;
		}
	}
	const std::optional<uint16_t> spare = FindSpareEdge(parent);
	if (!spare) {
		return;
	}
	uint32_t *own = edges.data() + parent.value * size_t(parameters.max_degree);
	degrees[parent.value] = std::max(degrees[parent.value], uint16_t(*spare + 1));
	uint16_t &forced = forced_degrees[parent.value];
	std::move_backward(own + forced, own + *spare, own + *spare + 1);
	own[forced] = node.value;
	forced++;
	MarkReachable(node);
	anchors[node.value] = parent;
	last_connected = node;
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
	order = std::vector<uint32_t>();
	back_edges = std::vector<BackEdge>();
	group_starts = std::vector<size_t>();
	is_reachable = std::vector<bool>();
	settled_degrees = std::vector<uint16_t>();
	forced_degrees = std::vector<uint16_t>();
	unreachable = std::vector<uint32_t>();
	pending = std::vector<uint32_t>();
}

} // namespace lm_diskann
