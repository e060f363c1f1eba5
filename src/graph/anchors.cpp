#include "graph/anchors.hpp"

#include "base/random.hpp"
#include "graph/node_set.hpp"

#include <utility>
#include <vector>

namespace lm_diskann {

NodeId FindAnchorRoom(const Graph &graph, NodeId from, NodeId child,
                      const std::function<bool(NodeId id, const NodeView &node)> &has_room) {
	PageCacheCounters counters;
	Random random(child.value);
	// Damaged anchors may lead in a circle.
	NodeSet met;
	met.Insert(child);
	met.Insert(from);
	std::vector<NodeId> pending = {from};
	while (!pending.empty()) {
		const NodeId id = pending.back();
		pending.pop_back();
		const PageRef page = graph.cache->Pin(graph.file_key, graph.layout.PageOf(id), PageKind::NODES, counters);
		const NodeView node(graph.layout, page.data(), id, graph.node_end);
		if (has_room(id, node)) {
			return id;
		}
		const size_t first = pending.size();
		for (uint32_t edge = 0; edge < node.Degree(); edge++) {
			if (node.IsAnchor(edge) && met.Insert(node.Neighbor(edge))) {
				pending.push_back(node.Neighbor(edge));
			}
		}
		if (pending.size() > first) {
			std::swap(pending.back(), pending[first + random.Next() % (pending.size() - first)]);
		}
	}
	return NO_NODE;
}

} // namespace lm_diskann
