// What a row of a batch has to choose from: what the search for its vector met, the rows before it, and of these what
// its copies left.
#include "graph/merge.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace lm_diskann {

namespace {

constexpr uint32_t BEAM_WIDTH = 4;
//! Nearest vectors of the batch that are candidates of each other; all of them while the graph is smaller than a batch.
constexpr size_t BATCH_MATES_MAX = 24;
//! The list of a search that several copies share is so many times as long: they choose different neighbours, and where
//! vectors have copies a list holds fewer of them. 8,000 rows of imdb-pvdbow-384-cos, each vector four times, of which
//! 5 % are replaced 20 times, recall@10 at L 16: with 1 0.923, 2 0.934, 4 0.936, and merges by a third slower.
constexpr size_t COPIES_LIST_FACTOR = 2;

} // namespace

bool MergeBatch::IsCopy(size_t a, size_t b) const {
	const uint32_t dims = graph.layout.dims;
	return nodes[a].floats ? std::memcmp(nodes[a].floats, nodes[b].floats, dims * sizeof(float)) == 0
	                       : std::memcmp(nodes[a].bytes, nodes[b].bytes, dims) == 0;
}

void MergeBatch::SearchFor(uint32_t index) {
	BeamSearch search(graph, AsFloats(index, widened), BEAM_WIDTH);
	queries.Add(search.Prepared());
	size_t list_size = parameters.list_size;
	if (size_t(index) + 1 < nodes.size() && IsCopy(index, size_t(index) + 1)) {
		// One more may be met to find an anchor.
		list_size = std::min(COPIES_LIST_FACTOR * list_size, space.MetMax() - 1);
	}
	Surroundings surroundings = search.ExpandForNeighbors(uint32_t(list_size), parameters.is_dead);
	std::vector<Visit> &live = surroundings.live;
	if (live.size() > list_size) {
		const auto is_nearer = [](const Visit &a, const Visit &b) { return a.distance < b.distance; };
		std::nth_element(live.begin(), live.begin() + ptrdiff_t(list_size), live.end(), is_nearer);
		live.resize(list_size);
	}
	met.clear();
	std::transform(live.begin(), live.end(), std::back_inserter(met), [](const Visit &visit) { return visit.node; });
	nearest_dead = surroundings.nearest_dead;
}

void MergeBatch::FindCandidates(uint32_t index, BuildDistance &distance) {
	space.MakeRoom(met.size() + 1);
	candidates.clear();
	space.Meet({met.data(), met.size()}, candidates);
	scored.clear();
	Score({candidates.data(), candidates.size()}, rows[index], distance);
	ScoreBatchMates(index, distance);
	std::sort(scored.begin(), scored.end());
}

void MergeBatch::Score(Span<const NodeId> places, NodeId row, BuildDistance &distance) {
	distances.resize(places.size());
	distance(row, places, distances.data());
	for (size_t i = 0; i < places.size(); i++) {
		scored.push_back({distances[i], places[i]});
	}
}

void MergeBatch::ScoreBatchMates(uint32_t index, BuildDistance &distance) {
	const size_t met_count = scored.size();
	Score({rows.data(), index}, rows[index], distance);
	const size_t count = met_count < BATCH_MATES_MAX ? index : std::min<size_t>(index, BATCH_MATES_MAX);
	const auto mates = scored.begin() + ptrdiff_t(met_count);
	std::nth_element(mates, mates + ptrdiff_t(count), scored.end());
	scored.resize(met_count + count);
}

void MergeBatch::ListChosenBy(NodeId place, std::vector<NodeId> &ids) const {
	if (space.IsRow(place)) {
		const std::vector<NodeEdge> &list = edges[place.value].chosen;
		std::transform(list.begin(), list.end(), std::back_inserter(ids), [](const NodeEdge &edge) { return edge.id; });
		return;
	}
	const NodeId id = space.IdAt(place);
	PageCacheCounters cache_counters;
	const PageRef page = graph.cache->Pin(graph.file_key, graph.layout.PageOf(id), PageKind::NODES, cache_counters);
	const NodeView node(graph.layout, page.data(), id, graph.node_end);
	for (uint32_t i = 0; i < node.Degree(); i++) {
		if (!node.IsFill(i)) {
			ids.push_back(node.Neighbor(i));
		}
	}
}

void MergeBatch::SetAsideTaken() {
	std::vector<NodeId> led_to;
	for (size_t i = 0; i < std::min(scored.size(), limits.OwnCopiesMax()) && scored[i].distance <= 0; i++) {
		ListChosenBy(scored[i].node, led_to);
	}
	std::sort(led_to.begin(), led_to.end());
	// Those of the vectors: none of their copies is chosen either.
	distances.clear();
	for (const ScoredNode &candidate : scored) {
		if (std::binary_search(led_to.begin(), led_to.end(), space.IdAt(candidate.node))) {
			distances.push_back(candidate.distance);
		}
	}
	open.clear();
	taken.clear();
	std::partition_copy(scored.begin(), scored.end(), std::back_inserter(taken), std::back_inserter(open),
	                    [&](const ScoredNode &other) {
		                    return other.distance > 0 &&
		                           std::binary_search(distances.begin(), distances.end(), other.distance);
	                    });
}

} // namespace lm_diskann
