// The contract of the graph layer: what all verbs (search, build, verify) share.
#pragma once

#include "graph/node.hpp"
#include "storage/page_cache.hpp"

#include <atomic>
#include <utility>
#include <vector>

namespace lm_diskann {

//! No node: an entry of a reference that no row is nearest to.
static constexpr NodeId NO_NODE = NodeId(UINT32_MAX);

//! A graph in a page file, ready to be searched; pages come through the cache. Searches run beside the one thread that
//! changes it: they read `entries` when they begin, under their owner's lock, and meet each page as it was before a
//! change or after it, never in between.
struct Graph {
	Graph(Metric metric_p, const NodeLayout &layout_p, Quantizer quantizer_p)
	    : metric(metric_p), layout(layout_p), quantizer(std::move(quantizer_p)) {
	}

	Metric metric;
	NodeLayout layout;
	Quantizer quantizer;
	//! Per reference of the quantizer a node near it, or NO_NODE: where searches begin.
	std::vector<NodeId> entries;
	//! Every node id is below it; not every id below it is a node.
	std::atomic<uint64_t> node_end {0};
	//! IP only: no vector is longer.
	float norm_max = 0;
	PageCache *cache = nullptr;
	PageCache::FileKey file_key = 0;
};

} // namespace lm_diskann
