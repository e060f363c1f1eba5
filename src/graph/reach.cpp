#include "graph/reach.hpp"

#include "graph/places.hpp"
#include "graph/verify.hpp"

#include <utility>

namespace lm_diskann {

namespace {

class ReachFinder {
public:
	ReachFinder(const Graph &graph_p, const ExtentSet &node_pages_p, const PageFile &file_p)
	    : graph(graph_p), node_pages(node_pages_p), file(file_p), places(node_pages_p, graph_p.layout.nodes_per_page),
	      is_anchored(places.Count()) {
	}

	void Run(const std::function<void(RowId, bool)> &visit) {
		if (FollowForest()) {
			return;
		}
		// A node that has two anchors may be led to by the other one.
		Follow(is_anchored, [](const NodeView &node, uint32_t edge) { return node.IsAnchor(edge); });
		std::vector<bool> is_reached = is_anchored;
		Follow(is_reached, [](const NodeView &, uint32_t) { return true; });
		ForEachNode(graph, node_pages, file, [&](NodeId id, const NodeView &node) {
			const Place place = places.Of(id);
			if (node.Row() != NO_ROW && !is_anchored[place]) {
				visit(node.Row(), is_reached[place]);
			}
		});
	}

private:
	//! By the last anchor of each node. True: they lead to all nodes with rows.
	bool FollowForest() {
		std::vector<Place> parents(places.Count(), NO_PLACE);
		std::vector<bool> has_row(places.Count());
		ForEachNode(graph, node_pages, file, [&](NodeId id, const NodeView &node) {
			const Place place = places.Of(id);
			has_row[place] = node.Row() != NO_ROW;
			for (uint32_t i = 0; i < node.Degree(); i++) {
				const Place child = node.IsAnchor(i) ? places.Of(node.Neighbor(i)) : NO_PLACE;
				if (child != NO_PLACE) {
					parents[child] = place;
				}
			}
		});
		for (const NodeId entry : graph.entries) {
			if (entry != NO_NODE) {
				is_anchored[places.Of(entry)] = true;
			}
		}
		bool leads_to_all = true;
		std::vector<Place> path;
		for (Place place = 0; place < places.Count(); place++) {
			path.clear();
			Place ancestor = place;
			// Each step is taken once: a circle ends where it began, and what leads to no entry leads nowhere.
			while (!is_anchored[ancestor] && parents[ancestor] != NO_PLACE) {
				path.push_back(ancestor);
				ancestor = std::exchange(parents[ancestor], NO_PLACE);
			}
			for (const Place descendant : path) {
				is_anchored[descendant] = is_anchored[ancestor];
			}
			leads_to_all = leads_to_all && (is_anchored[place] || !has_row[place]);
		}
		return leads_to_all;
	}

	//! Adds what `is_followed(node, edge)` edges lead to: in the order of the file, and at once on from each new node.
	template <class FUNCTION>
	void Follow(std::vector<bool> &is_reached, FUNCTION &&is_followed) const {
		std::vector<NodeId> pending;
		const auto follow = [&](const NodeView &node) {
			for (uint32_t i = 0; i < node.Degree(); i++) {
				const Place place = is_followed(node, i) ? places.Of(node.Neighbor(i)) : NO_PLACE;
				if (place != NO_PLACE && !is_reached[place]) {
					is_reached[place] = true;
					pending.push_back(node.Neighbor(i));
				}
			}
		};
		const AlignedBuffer<uint8_t> page(file.PageSize());
		ForEachNode(graph, node_pages, file, [&](NodeId id, const NodeView &node) {
			if (is_reached[places.Of(id)]) {
				follow(node);
			}
			while (!pending.empty()) {
				const NodeId next = pending.back();
				pending.pop_back();
				file.ReadPage(graph.layout.PageOf(next), PageKind::NODES, page.span());
				follow(NodeView(graph.layout, page.data(), next, graph.node_end));
			}
		});
	}

	const Graph &graph;
	const ExtentSet &node_pages;
	const PageFile &file;
	const Places places;
	std::vector<bool> is_anchored;
};

} // namespace

void ForEachUnanchored(const Graph &graph, const ExtentSet &node_pages, const PageFile &file,
                       const std::function<void(RowId row_id, bool is_reached)> &visit) {
	ReachFinder(graph, node_pages, file).Run(visit);
}

uint64_t ReachMemoryBytes(uint64_t place_count) {
	// Parents and a path as long as all, which may double as it grows; bits of what is anchored and reached.
	return place_count * 4 * sizeof(Place) + place_count / 4;
}

} // namespace lm_diskann
