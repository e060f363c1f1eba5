// The contract of the graph layer: what all verbs (search, build, verify) share.
#pragma once

#include "graph/node.hpp"
#include "storage/page_cache.hpp"

#include <vector>

namespace lm_diskann {

//! No node: an entry of a reference that no row is nearest to.
static constexpr NodeId NO_NODE = NodeId(UINT32_MAX);

//! A graph in a page file, ready to be searched. Constant while searches run; pages come through the cache.
struct Graph {
	Metric metric = Metric::L2SQ;
	NodeLayout layout;
	Quantizer quantizer;
	//! Per reference of the quantizer the node nearest to it, or NO_NODE: where searches begin.
	std::vector<NodeId> entries;
	//! Nodes are 0 .. node_count-1, in pages 0 .. PageCount-1.
	uint64_t node_count = 0;
	PageCache *cache = nullptr;
	PageCache::FileKey file_key = 0;
};

} // namespace lm_diskann
