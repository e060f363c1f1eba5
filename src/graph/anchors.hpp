// Anchors: the edges that nodes rely on to be reached (node.hpp). They are a forest, so each way down them ends, at a
// node that anchors nobody.
#pragma once

#include "graph/graph.hpp"
#include "graph/node.hpp"

#include <functional>

namespace lm_diskann {

//! A node for which `has_room(id, node)`: `from`, else one that anchors lead to from it, down one way after the other.
//! NO_NODE: none has; that cannot be where nodes without anchors have room, unless damaged anchors lead in a circle.
//! Never `child`, which is to be anchored, nor what lies behind it. The first way follows from `child`, so that many
//! find their places beside each other and ways stay short. Throws CorruptionError, FileError.
NodeId FindAnchorRoom(const Graph &graph, NodeId from, NodeId child,
                      const std::function<bool(NodeId id, const NodeView &node)> &has_room);

} // namespace lm_diskann
