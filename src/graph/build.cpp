#include "graph/build.hpp"

#include "base/error.hpp"
#include "base/random.hpp"
#include "graph/node_set.hpp"

#include <algorithm>

namespace lm_diskann {

namespace {

//! Nodes or groups in one item: some milliseconds of work.
constexpr size_t ITEM_SIZE = 32;
constexpr size_t BATCH_SIZE_MIN = 256, BATCH_SIZE_MAX = 16384;
//! A batch is at most this share of the nodes linked before it.
constexpr size_t BATCH_SHARE = 50;
//! Lists are filled to this degree while building; the blocks' remaining room is filled when they are written.
constexpr uint32_t FILL_DEGREE_MAX = 32;
constexpr uint32_t CONNECTING_ROUNDS_MAX = 3;
constexpr size_t CONNECTING_ITEM_SIZE = 256;

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
	struct ListEntry {
		ScoredNode scored;
		bool is_expanded;
	};

	explicit Scratch(size_t list_size) {
		list.reserve(list_size + 1);
	}

	//! Sorted list of the nearest found, at most list_size.
	std::vector<ListEntry> list;
	//! Nodes expanded by the last search, ascending by distance.
	std::vector<ScoredNode> expanded;
	std::vector<NodeId> unseen;
	std::vector<ScoredNode> candidates, chosen, dropped;
	NodeSet seen;
};

GraphBuilder::GraphBuilder(const BuildSpace &space_p, const BuildParameters &parameters_p,
                           const std::vector<uint16_t> &references_p, size_t reference_count, NodeId root)
    : space(space_p), parameters(parameters_p), references(references_p),
      edges(space_p.Count() * size_t(parameters_p.max_degree)), degrees(space_p.Count()),
      order(Random(parameters_p.seed).Permutation<uint32_t>(space_p.Count())),
      reference_starts(reference_count, NO_NODE) {
	if (!order.empty()) {
		std::iter_swap(order.begin(), std::find(order.begin(), order.end(), root.value));
	}
}

uint64_t GraphBuilder::MemoryBytes(uint32_t max_degree, size_t count) {
	return count * (4 * uint64_t(max_degree) + sizeof(uint16_t) + 3 * sizeof(uint32_t));
}

PruneLimits GraphBuilder::Limits() const {
	return {parameters.max_degree, std::min(parameters.max_degree, FILL_DEGREE_MAX), float(parameters.alpha)};
}

double GraphBuilder::Progress() const {
	return order.empty() ? 1.0 : double(linked_count.load(std::memory_order_relaxed)) / double(order.size());
}

bool GraphBuilder::NextPhase(Phase &phase) {
	if (has_back_edges_due) {
		StartBackEdges(phase);
		return true;
	}
	linked_count = batch_end;
	if (batch_end < order.size()) {
		StartBatch(phase);
		return true;
	}
	return StartConnecting(phase);
}

void GraphBuilder::StartBatch(Phase &phase) {
	batch_begin = batch_end;
	const size_t largest = std::clamp(order.size() / BATCH_SHARE, BATCH_SIZE_MIN, BATCH_SIZE_MAX);
	batch_end = std::min(order.size(), batch_begin + std::clamp<size_t>(batch_begin, 1, largest));
	std::sort(order.begin() + batch_begin, order.begin() + batch_end);
	const size_t count = batch_end - batch_begin;
	phase.name = "linking";
	phase.item_count = (count + ITEM_SIZE - 1) / ITEM_SIZE;
	phase.run = [this, count](size_t item) {
		Scratch scratch(parameters.list_size);
		ForItem(item, ITEM_SIZE, count, [&](size_t i) {
			LinkNode(NodeId(order[batch_begin + i]), scratch);
			linked_count.fetch_add(1, std::memory_order_relaxed);
		});
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
	phase.run = [this, group_count](size_t item) {
		Scratch scratch(parameters.list_size);
		ForItem(item, ITEM_SIZE, group_count, [&](size_t group) { AddBackEdges(group, scratch); });
	};
}

void GraphBuilder::SearchFor(NodeId node, Scratch &scratch) const {
	scratch.list.clear();
	scratch.expanded.clear();
	scratch.seen.Clear();
	const auto offer = [&](NodeId other) {
		const ScoredNode scored {space.Distance(node, other), other};
		if (scratch.list.size() == parameters.list_size && !(scored < scratch.list.back().scored)) {
			return;
		}
		const auto position =
		    std::upper_bound(scratch.list.begin(), scratch.list.end(), scored,
		                     [](const ScoredNode &a, const Scratch::ListEntry &b) { return a < b.scored; });
		scratch.list.insert(position, {scored, false});
		if (scratch.list.size() > parameters.list_size) {
			scratch.list.pop_back();
		}
	};
	const NodeId starts[] = {NodeId(order[0]), reference_starts[references[node.value]]};
	for (const NodeId start : starts) {
		if (start != NO_NODE && start != node && scratch.seen.Insert(start)) {
			offer(start);
		}
	}
	scratch.seen.Insert(node);
	while (true) {
		const auto next = std::find_if(scratch.list.begin(), scratch.list.end(),
		                               [](const Scratch::ListEntry &entry) { return !entry.is_expanded; });
		if (next == scratch.list.end()) {
			break;
		}
		next->is_expanded = true;
		const ScoredNode expanded = next->scored;
		scratch.expanded.push_back(expanded);
		scratch.unseen.clear();
		for (const uint32_t neighbor : Neighbors(expanded.node)) {
			if (scratch.seen.Insert(NodeId(neighbor))) {
				space.Prefetch(NodeId(neighbor));
				scratch.unseen.push_back(NodeId(neighbor));
			}
		}
		std::for_each(scratch.unseen.begin(), scratch.unseen.end(), offer);
	}
	std::sort(scratch.expanded.begin(), scratch.expanded.end());
}

void GraphBuilder::SetNeighbors(NodeId node, const std::vector<ScoredNode> &neighbors) {
	LMD_DCHECK(neighbors.size() <= parameters.max_degree, "a list is longer than a block has room for");
	uint32_t *target = edges.data() + node.value * size_t(parameters.max_degree);
	for (size_t i = 0; i < neighbors.size(); i++) {
		target[i] = neighbors[i].node.value;
	}
	degrees[node.value] = uint16_t(neighbors.size());
}

void GraphBuilder::LinkNode(NodeId node, Scratch &scratch) {
	if (node.value == order[0]) {
		return;
	}
	SearchFor(node, scratch);
	RobustPrune(
	    scratch.expanded, Limits(), [this](NodeId a, NodeId b) { return space.Distance(a, b); }, scratch.chosen,
	    scratch.dropped);
	SetNeighbors(node, scratch.chosen);
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
	scratch.candidates.clear();
	for (const uint32_t neighbor : present) {
		scratch.candidates.push_back({space.Distance(target, NodeId(neighbor)), NodeId(neighbor)});
	}
	for (size_t i = begin; i < end; i++) {
		const NodeId source(back_edges[i].source);
		scratch.candidates.push_back({space.Distance(target, source), source});
	}
	std::sort(scratch.candidates.begin(), scratch.candidates.end());
	scratch.candidates.erase(std::unique(scratch.candidates.begin(), scratch.candidates.end(),
	                                     [](const ScoredNode &a, const ScoredNode &b) { return a.node == b.node; }),
	                         scratch.candidates.end());
	RobustPrune(
	    scratch.candidates, Limits(), [this](NodeId a, NodeId b) { return space.Distance(a, b); }, scratch.chosen,
	    scratch.dropped);
	SetNeighbors(target, scratch.chosen);
}

void GraphBuilder::MarkReachable(NodeId from) {
	std::vector<uint32_t> pending = {from.value};
	is_reachable[from.value] = true;
	while (!pending.empty()) {
		const NodeId node(pending.back());
		pending.pop_back();
		for (const uint32_t neighbor : Neighbors(node)) {
			if (!is_reachable[neighbor]) {
				is_reachable[neighbor] = true;
				anchors[neighbor] = node;
				pending.push_back(neighbor);
			}
		}
	}
}

bool GraphBuilder::StartConnecting(Phase &phase) {
	if (unreachable.empty()) {
		if (order.empty() || connecting_rounds == CONNECTING_ROUNDS_MAX) {
			return false;
		}
		connecting_rounds++;
		forced_degrees.resize(order.size());
		is_reachable.assign(order.size(), false);
		anchors.assign(order.size(), NO_NODE);
		MarkReachable(NodeId(order[0]));
		for (uint32_t node = uint32_t(order.size()); node-- > 0;) {
			if (!is_reachable[node]) {
				unreachable.push_back(node);
			}
		}
		last_connected = NodeId(order[0]);
		if (unreachable.empty()) {
			return false;
		}
	}
	phase.name = "connecting";
	phase.item_count = 1;
	phase.run = [this](size_t) {
		Scratch scratch(parameters.list_size);
		for (size_t i = 0; i < CONNECTING_ITEM_SIZE && !unreachable.empty(); i++) {
			const NodeId node(unreachable.back());
			unreachable.pop_back();
			if (!is_reachable[node.value]) {
				ConnectNode(node, scratch);
			}
		}
	};
	return true;
}

//! Gives `node` an edge from the nearest reachable node that has room, or an edge to spare. Edges made here come first
//! in a list and are never replaced again; the last, farthest ones go.
void GraphBuilder::ConnectNode(NodeId node, Scratch &scratch) {
	SearchFor(node, scratch);
	const uint32_t forced_max = std::max(1U, parameters.max_degree / 2);
	NodeId parent = last_connected;
	for (const ScoredNode &found : scratch.expanded) {
		if (is_reachable[found.node.value] && forced_degrees[found.node.value] < forced_max) {
			parent = found.node;
			break;
		}
	}
	uint32_t *own = edges.data() + parent.value * size_t(parameters.max_degree);
	uint16_t &degree = degrees[parent.value];
	uint16_t &forced = forced_degrees[parent.value];
	if (forced == parameters.max_degree) {
		return;
	}
	if (degree < parameters.max_degree) {
		degree++;
	}
	std::move_backward(own + forced, own + degree - 1, own + degree);
	own[forced] = node.value;
	forced++;
	anchors[node.value] = parent;
	MarkReachable(node);
	last_connected = node;
}

void GraphBuilder::SaturatedNeighbors(NodeId node, std::vector<ScoredNode> &neighbors) const {
	neighbors.clear();
	Scratch scratch(parameters.list_size);
	scratch.seen.Insert(node);
	for (const uint32_t neighbor : Neighbors(node)) {
		neighbors.push_back({space.Distance(node, NodeId(neighbor)), NodeId(neighbor)});
		scratch.seen.Insert(NodeId(neighbor));
	}
	const size_t room = parameters.max_degree - neighbors.size();
	if (room > 0) {
		for (const uint32_t neighbor : Neighbors(node)) {
			for (const uint32_t second : Neighbors(NodeId(neighbor))) {
				if (scratch.seen.Insert(NodeId(second))) {
					space.Prefetch(NodeId(second));
					scratch.unseen.push_back(NodeId(second));
				}
			}
		}
		for (const NodeId second : scratch.unseen) {
			scratch.candidates.push_back({space.Distance(node, second), second});
		}
		const size_t added = std::min(room, scratch.candidates.size());
		std::partial_sort(scratch.candidates.begin(), scratch.candidates.begin() + added, scratch.candidates.end());
		neighbors.insert(neighbors.end(), scratch.candidates.begin(), scratch.candidates.begin() + added);
	}
	std::sort(neighbors.begin(), neighbors.end());
}

} // namespace lm_diskann
