// Connecting: edges for what a traversal from the root does not reach, until it reaches every node.
#include "graph/build_scratch.hpp"

#include <algorithm>

namespace lm_diskann {

namespace {

constexpr uint32_t CONNECTING_ROUNDS_MAX = 8;
//! Nodes whose edges one item of connecting follows, and how many of these a search stands for.
constexpr size_t CONNECTING_STEPS = 65536, CONNECTING_SEARCH_STEPS = 256;

} // namespace

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
		for (uint32_t node = uint32_t(space.Count()); node-- > 0;) {
			if (!is_reachable[node]) {
				unreachable.push_back(node);
			}
		}
		connecting_rounds = unreachable.empty() ? CONNECTING_ROUNDS_MAX : connecting_rounds;
		return !unreachable.empty();
	}
	if (space.Count() == 0 || connecting_rounds == CONNECTING_ROUNDS_MAX) {
		return false;
	}
	connecting_rounds++;
	is_traversing = true;
	is_reachable.assign(space.Count(), false);
	anchors.assign(space.Count(), NO_NODE);
	MarkReachable(root);
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

//! A reachable node that has an edge to spare: the nearest one, or, where a search meets none such, the next in the
//! file.
NodeId GraphBuilder::FindParent(NodeId node, Scratch &scratch) const {
	const uint32_t forced_max = std::max(1U, parameters.max_degree / 2);
	const auto can_lead = [&](NodeId parent) {
		return is_reachable[parent.value] && forced_degrees[parent.value] < forced_max && FindSpareEdge(parent);
	};
	SearchFor(node, scratch);
	for (const ScoredNode &found : scratch.candidates) {
		if (can_lead(found.node)) {
			return found.node;
		}
	}
	// Nodes are connected in their order, so that one soon comes.
	for (size_t i = 1; i < space.Count(); i++) {
		const NodeId parent(uint32_t((node.value + space.Count() - i) % space.Count()));
		if (can_lead(parent)) {
			return parent;
		}
	}
	return NO_NODE;
}

//! Edges made here come first in a list and are never replaced again.
void GraphBuilder::ConnectNode(NodeId node, Scratch &scratch) {
	const NodeId parent = FindParent(node, scratch);
	if (parent == NO_NODE) {
		return;
	}
	const uint16_t spare = *FindSpareEdge(parent);
	uint32_t *own = edges.data() + parent.value * size_t(parameters.max_degree);
	degrees[parent.value] = std::max(degrees[parent.value], uint16_t(spare + 1));
	uint16_t &forced = forced_degrees[parent.value];
	std::move_backward(own + forced, own + spare, own + spare + 1);
	own[forced] = node.value;
	forced++;
	MarkReachable(node);
	anchors[node.value] = parent;
}

} // namespace lm_diskann
