// Which nodes searches can come to: the closure of the entries under the edges.
//
// Anchors are a forest that leads from entries to all nodes, and one pass over the blocks tells it whole. Only where it
// does not are all other edges asked too.
#pragma once

#include "graph/graph.hpp"
#include "storage/extent_set.hpp"
#include "storage/page_file.hpp"

#include <functional>

namespace lm_diskann {

//! Calls `visit(row_id, is_reached)` for each row to whose node anchors do not lead, ascending by node: a change may
//! drop the edges that lead there, or (not `is_reached`) there are none. The graph is one that VerifyGraph found sound,
//! so its pages, which bound the memory, are all in the file. Cost: reads every block once, or, where the anchors are
//! no such forest, at most six times. Throws FileError, CorruptionError.
void ForEachUnanchored(const Graph &graph, const ExtentSet &node_pages, const PageFile &file,
                       const std::function<void(RowId row_id, bool is_reached)> &visit);

//! The most it takes for so many places of nodes.
uint64_t ReachMemoryBytes(uint64_t place_count);

} // namespace lm_diskann
