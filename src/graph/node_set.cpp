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
