#include "graph/node_set.hpp"

#include <algorithm>

namespace lm_diskann {

namespace {

constexpr size_t INITIAL_SIZE = 4096;
//! Fibonacci hashing: 2^32 divided by the golden ratio.
constexpr uint32_t HASH_FACTOR = 2654435769U;

} // namespace

bool NodeSet::Insert(NodeId node) {
	if (2 * (count + 1) > table.size()) {
		Grow();
	}
	const uint32_t key = node.value + 1;
	const size_t mask = table.size() - 1;
	size_t position = (key * HASH_FACTOR) & mask;
	while (table[position] != 0) {
		if (table[position] == key) {
			return false;
		}
		position = (position + 1) & mask;
	}
	table[position] = key;
	count++;
	return true;
}

void NodeSet::Clear() {
	std::fill(table.begin(), table.end(), 0U);
	count = 0;
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
