#pragma once

#include "base/types.hpp"

#include <vector>

namespace lm_diskann {

//! The nodes one search has met: a hash set with open addressing, kept at most half full. Belongs to one thread.
class NodeSet {
public:
	//! True when `node` was not in the set.
	bool Insert(NodeId node) {
		if (2 * (count + 1) > table.size()) {
			Grow();
		}
		const uint32_t key = node.value + 1;
		const size_t position = PositionOf(key);
		if (table[position] == key) {
			return false;
		}
		table[position] = key;
		count++;
		return true;
	}
	//! Inserts `nodes`, puts those that were not in the set into `inserted`, which has room for all, and returns their
	//! number.
	size_t InsertAll(Span<const uint32_t> nodes, NodeId *inserted);
	bool Contains(NodeId node) const {
		return !table.empty() && table[PositionOf(node.value + 1)] != 0;
	}
	uint64_t MemoryBytes() const {
		return table.capacity() * sizeof(uint32_t);
	}
	//! Empties the set and keeps its memory.
	void Clear();

private:
	//! Fibonacci hashing: 2^32 divided by the golden ratio.
	static constexpr uint32_t HASH_FACTOR = 2654435769U;

	//! Where the key is, or the free place where it belongs.
	size_t PositionOf(uint32_t key) const {
		const size_t mask = table.size() - 1;
		size_t position = (key * HASH_FACTOR) & mask;
		while (table[position] != 0 && table[position] != key) {
			position = (position + 1) & mask;
		}
		return position;
	}
	void Grow();

	//! Node ids plus one; zero is a free place. The size is a power of two.
	std::vector<uint32_t> table;
	size_t count = 0;
};

} // namespace lm_diskann
