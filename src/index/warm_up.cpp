// Warming up: the blocks that searches visit first are read before a search wants them, and kept in the cache.
#include "index/index_state.hpp"

#include <algorithm>
#include <utility>

namespace lm_diskann {

namespace {

//! Whoever wants a warm-up to stop waits for so many blocks.
constexpr size_t BATCH_COUNT = 16;

//! Reads the nodes' blocks into the cache, in the order of the file, keeps them there, and shows each. False: it was
//! stopped, or no more can be kept.
template <class VISIT>
bool KeepBlocks(const Graph &graph, std::vector<NodeId> nodes, const std::function<bool()> &is_stopped, VISIT &&visit) {
	nodes.resize(std::min(nodes.size(), graph.cache->KeepableCount(graph.file_key)));
	std::sort(nodes.begin(), nodes.end());
	std::vector<PageId> ids;
	std::vector<PageRef> refs(BATCH_COUNT);
	PageCacheCounters counters;
	for (size_t begin = 0; begin < nodes.size(); begin += BATCH_COUNT) {
		if (is_stopped()) {
			return false;
		}
		ids.clear();
		for (size_t i = begin; i < std::min(begin + BATCH_COUNT, nodes.size()); i++) {
			ids.push_back(graph.layout.PageOf(nodes[i]));
		}
		graph.cache->PinBatch(graph.file_key, Span<const PageId>(ids), PageKind::NODES,
		                      Span<PageRef>(refs.data(), ids.size()), counters);
		for (size_t i = 0; i < ids.size(); i++) {
			if (!graph.cache->Keep(refs[i])) {
				return false;
			}
			visit(NodeView(graph.layout, refs[i].data(), nodes[begin + i], graph.node_end));
			refs[i].Reset();
		}
	}
	return true;
}

//! The `count_max` nodes that are named most often; of equals the lower ones.
std::vector<NodeId> MostNamed(std::vector<NodeId> named, size_t count_max) {
	std::sort(named.begin(), named.end());
	std::vector<std::pair<size_t, NodeId>> counted;
	for (const NodeId node : named) {
		if (counted.empty() || counted.back().second != node) {
			counted.emplace_back(0, node);
		}
		counted.back().first++;
	}
	std::stable_sort(counted.begin(), counted.end(), [](const auto &a, const auto &b) { return a.first > b.first; });
	std::vector<NodeId> nodes;
	for (size_t i = 0; i < std::min(count_max, counted.size()); i++) {
		nodes.push_back(counted[i].second);
	}
	return nodes;
}

} // namespace

void AnnIndex::WarmUp(const std::function<bool()> &is_stopped) {
	const Graph &graph = impl->graph;
	// Blocks of nodes stay such for as long as it is held.
	std::shared_ptr<Epoch> epoch;
	std::vector<NodeId> entries;
	{
		const std::shared_lock<std::shared_mutex> guard(impl->state_mutex);
		epoch = impl->epoch;
		entries = graph.entries;
	}
	entries.erase(std::remove(entries.begin(), entries.end(), NO_NODE), entries.end());
	std::vector<NodeId> named;
	const bool has_room = KeepBlocks(graph, entries, is_stopped, [&](const NodeView &entry) {
		for (uint32_t i = 0; i < entry.Degree(); i++) {
			named.push_back(entry.Neighbor(i));
		}
	});
	if (has_room) {
		KeepBlocks(graph, MostNamed(std::move(named), entries.size()), is_stopped, [](const NodeView &) {});
	}
}

} // namespace lm_diskann
