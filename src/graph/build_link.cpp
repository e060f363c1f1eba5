// What is done for one node: the search for its neighbours, the choice among them, edges back, and what fills its room.
#include "base/error.hpp"
#include "graph/build_scratch.hpp"

#include <algorithm>

namespace lm_diskann {

namespace {

//! Of a node's list, which begins with the nearest that RobustPrune chose, so many are asked for their neighbours.
constexpr size_t FILLING_NEIGHBORS_MAX = 8;

//! A search for neighbours ends when so many nodes in a row, expanded nearest first, led to none of the nearest found.
//! What else is in its list has distances as good as any. After Teofili and Lin, Patience in Proximity, ECIR 2025. On
//! 40,000 of imdb-pvdbow, all searched for, 12 instead of 24 lose 1.7 points of recall@10 at L 24 and 0.8 at L 64, and
//! gain a tenth of a build.
constexpr size_t PATIENCE = 24, NEAREST_COUNT = 32;
//! It starts at so many nodes all over the space besides the nearest one known: who met only its surroundings would
//! have no long edges, and of vectors along a curve every tenth could not be reached (BuildRecall).
constexpr size_t SPREAD_STARTS_MAX = 64;

} // namespace

PruneLimits GraphBuilder::Limits() const {
	return {parameters.max_degree, std::min(parameters.max_degree, FILL_DEGREE_MAX), float(parameters.alpha)};
}

bool GraphBuilder::LeadsTo(NodeId node, uint32_t neighbor) const {
	const Span<const uint32_t> own = Neighbors(node);
	return std::find(own.begin(), own.end(), neighbor) != own.end();
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
			if (!LeadsTo(target, back_edges[i].source)) {
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

} // namespace lm_diskann
