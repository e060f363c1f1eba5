#include "graph/node_set.hpp"

#include <algorithm>

namespace lm_diskann {

namespace {

constexpr size_t INITIAL_SIZE = 1024;

} // namespace

void NodeSet::Clear() {
	std::fill(table.begin(), table.end(), 0U);
	count = 0;
}

size_t NodeSet::InsertAll(Span<const uint32_t> nodes, NodeId *inserted) {
	while (2 * (count + nodes.size()) > table.size()) {
		Grow();
	}
	uint32_t *const places = table.data();
	const size_t mask = table.size() - 1;
	size_t inserted_count = 0;
	for (const uint32_t node : nodes) {
		const uint32_t key = node + 1;
		size_t position = (key * HASH_FACTOR) & mask;
		while (places[position] != 0 && places[position] != key) {
			position = (position + 1) & mask;
		}
		// Without a branch: whether a node is new cannot be guessed.
		inserted[inserted_count] = NodeId(node);
		inserted_count += places[position] == 0 ? 1 : 0;
		places[position] = key;
	}
	count += inserted_count;
	return inserted_count;
}

void NodeSet::Grow() {
	std::vector<uint32_t> former(table.empty() ? INITIAL_SIZE : 2 * table.size(), 0U);
	former.swap(table);
	count = 0;
	for (const uint32_t key : former) {
		if (key != 0) {
			Insert(NodeId(key - 1));
		}
	}
}

} // namespace lm_diskann
