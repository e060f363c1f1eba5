#pragma once

#include "graph/graph.hpp"
#include "storage/extent_set.hpp"

#include <functional>
#include <string>
#include <vector>

namespace lm_diskann {

//! Every violation of the graph's invariants: readable blocks, degrees and ids in bounds, edges to nodes only, none to
//! the node itself and none twice, finite vectors, entries that exist, and, when all that holds (native vectors), each
//! neighbour code equal to the encoded vector of the neighbour, as 64-bit hashes tell. `visit(node, view)` is called
//! for each readable node, ascending; places that hold none are left out. Stops after `violation_max`. The file has
//! every page: none is dirty in the cache. Cost: reads every block twice. Throws FileError, nothing for what it finds.
std::vector<std::string> VerifyGraph(const Graph &graph, const ExtentSet &node_pages, const PageFile &file,
                                     size_t violation_max,
                                     const std::function<void(NodeId node, const NodeView &view)> &visit);

//! The most it has in memory, for so many places of nodes.
uint64_t VerifyGraphMemoryBytes(uint64_t place_count);

//! Calls `visit` for every node, ascending, reading the file beside the cache. Throws CorruptionError, FileError.
void ForEachNode(const Graph &graph, const ExtentSet &node_pages, const PageFile &file,
                 const std::function<void(NodeId node, const NodeView &view)> &visit);

} // namespace lm_diskann
