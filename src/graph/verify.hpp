#pragma once

#include "graph/graph.hpp"

#include <functional>
#include <string>
#include <vector>

namespace lm_diskann {

//! Every violation of the graph's invariants: readable blocks, degrees and ids in bounds, no edge to the node itself
//! and none twice, finite vectors, entries that exist, and (native vectors) each neighbour code equal to the encoded
//! vector of the neighbour. `visit(node, row_id)` is called for each readable node, ascending. Stops after
//! `violation_max`. Cost: reads every block 1 + node_count / 65536 times. Throws nothing for what it finds.
std::vector<std::string> VerifyGraph(const Graph &graph, const PageFile &file, size_t violation_max,
                                     const std::function<void(NodeId node, RowId row_id)> &visit);

//! Calls `visit(node, row_id)` for every node, ascending, reading the file beside the cache. Throws CorruptionError.
void ForEachNode(const Graph &graph, const PageFile &file, const std::function<void(NodeId node, RowId row_id)> &visit);

} // namespace lm_diskann
