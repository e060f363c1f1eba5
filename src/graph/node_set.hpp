#pragma once

#include "base/types.hpp"

#include <vector>

namespace lm_diskann {

//! The nodes one search has met: a hash set with open addressing, kept at most half full. Belongs to one thread.
class NodeSet {
public:
	//! True when `node` was not in the set.
	bool Insert(NodeId node);
	//! Empties the set and keeps its memory.
	void Clear();

private:
	void Grow();

	//! Node ids plus one; zero is a free place. The size is a power of two.
	std::vector<uint32_t> table;
	size_t count = 0;
};

} // namespace lm_diskann
