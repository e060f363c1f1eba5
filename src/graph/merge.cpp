#include "graph/merge.hpp"

#include "base/error.hpp"
#include "graph/anchors.hpp"
#include "vector/convert.hpp"
#include "vector/distance.hpp"

#include <algorithm>
#include <bitset>
#include <iterator>

namespace lm_diskann {

namespace {

constexpr uint32_t NOT_IN_BATCH = UINT32_MAX;
constexpr uint32_t BEAM_WIDTH = 4;
//! Nearest vectors of the batch that are candidates of each other; all of them while the graph is smaller than a batch.
constexpr size_t BATCH_MATES_MAX = 24;
//! A list of the batch grows to so many times what a block has room for before it is pruned; all are at the end.
constexpr size_t PENDING_FACTOR = 2;

} // namespace

MergeBatch::MergeBatch(Graph &graph_p, const MergeParameters &parameters_p, Span<const NewNode> nodes_p)
    : graph(graph_p), parameters(parameters_p),
      nodes(nodes_p), limits {graph_p.layout.max_degree, 0, float(parameters_p.alpha)},
      arena(graph_p.layout.code_bytes), batch_space(graph_p.quantizer, graph_p.norm_max),
      space(graph_p.quantizer, graph_p.norm_max) {
}

const float *MergeBatch::AsFloats(size_t index, std::vector<float> &target) const {
	if (nodes[index].floats) {
		return nodes[index].floats;
	}
	target.resize(graph.layout.dims);
	WidenInt8(nodes[index].bytes, target.data(), graph.layout.dims);
	return target.data();
}

bool MergeBatch::Plan() {
	Encode();
	edges.resize(nodes.size());
	for (uint32_t i = 0; i < nodes.size(); i++) {
		if (parameters.is_stopped()) {
			return false;
		}
		Link(i);
	}
	for (uint32_t i = 0; i < nodes.size(); i++) {
		if (edges[i].chosen.size() > graph.layout.max_degree) {
			PruneEdgesOf(i);
		}
	}
	std::sort(back_edges.begin(), back_edges.end(), [](const BackEdge &a, const BackEdge &b) {
		return a.target != b.target ? a.target < b.target : a.source < b.source;
	});
	for (size_t begin = 0; begin < back_edges.size();) {
		if (parameters.is_stopped()) {
			return false;
		}
		size_t end = begin;
		while (end < back_edges.size() && back_edges[end].target == back_edges[begin].target) {
			end++;
		}
		PlanBackEdges(begin, end);
		begin = end;
	}
	return true;
}

void MergeBatch::Encode() {
	for (size_t i = 0; i < nodes.size(); i++) {
		const float *vector = AsFloats(i, widened);
		uint8_t *code = arena.Allocate();
		scalars.push_back(graph.quantizer.Encode(vector, code, encode_scratch));
		codes.push_back(code);
		batch_space.AddVector(vector);
	}
}

NodeEdge MergeBatch::EdgeTo(uint32_t index, bool is_anchor) const {
	return {nodes[index].id, scalars[index], codes[index], is_anchor};
}

void MergeBatch::Link(uint32_t index) {
	space.Clear();
	candidates.clear();
	scored.clear();
	pinned.clear();
	pinned_nodes.clear();
	const uint32_t self = space.AddUnrotated(AsFloats(index, widened));
	candidates.push_back({nodes[index].id, index});

	BeamSearch search(graph, AsFloats(index, widened), BEAM_WIDTH);
	search.ExpandForNeighbors(parameters.list_size, parameters.is_dead);
	AddVisited(search);
	AddBatchMates(index);

	for (uint32_t position = self + 1; position < space.Count(); position++) {
		scored.push_back({space.Distance(self, position), NodeId(position)});
	}
	std::sort(scored.begin(), scored.end());
	PruneLimits link_limits = limits;
	if (!scored.empty() && scored.front().distance <= 0) {
		// Copies were a part of what the search found, and leave few to choose; in a build, fill is linked both ways
		// too.
		link_limits.fill_degree = std::min(limits.max_degree, FILL_DEGREE_MAX);
	}
	SetAsideTaken();
	RobustPrune(
	    open, link_limits, [this](NodeId a, NodeId b) { return space.Distance(a.value, b.value); }, chosen, dropped);
	if (!taken.empty()) {
		dropped.insert(dropped.end(), taken.begin(), taken.end());
		std::sort(dropped.begin(), dropped.end());
		PutCopiesLast(limits, chosen, dropped);
	}
	dropped.resize(std::min<size_t>(dropped.size(), graph.layout.max_degree));
	FindCodes(chosen, edges[index].chosen);
	edges[index].settled_count = chosen.size();
	FindCodes(dropped, edges[index].fill);
	if (chosen.empty() && nearest_dead != NO_NODE) {
		LinkToDead(index);
	}
	const NodeId anchor = ChooseAnchor(chosen);
	// AddBackEdgeInBatch uses the scratch.
	const std::vector<ScoredNode> targets = chosen;
	const std::vector<Candidate> known = candidates;
	const auto add_back_edge = [&](NodeId position, bool is_anchor) {
		const Candidate &candidate = known[position.value];
		if (candidate.in_batch == NOT_IN_BATCH) {
			back_edges.push_back({candidate.id, index, is_anchor});
		} else {
			AddBackEdgeInBatch(candidate.in_batch, index, is_anchor);
		}
	};
	bool is_anchored = targets.empty();
	for (const ScoredNode &target : targets) {
		add_back_edge(target.node, target.node == anchor);
		is_anchored = is_anchored || target.node == anchor;
	}
	if (!is_anchored) {
		add_back_edge(anchor, true);
	}
}

void MergeBatch::LinkToDead(uint32_t index) {
	// A compact that was stopped may have taken away what anchored the dead node: only what anchors lead to from an
	// entry is sure to stay in reach.
	NodeId entry = graph.entries[scalars[index].reference];
	if (entry == NO_NODE) {
		entry = *std::find_if(graph.entries.begin(), graph.entries.end(), [](NodeId id) { return id != NO_NODE; });
	}
	const NodeId anchor = FindRoomBelow(entry, index).id;
	planned_anchors[anchor]++;
	back_edges.push_back({anchor, index, true});
	if (anchor != nearest_dead) {
		back_edges.push_back({nearest_dead, index, false});
	}
}

void MergeBatch::SetAsideTaken() {
	std::vector<NodeId> led_to;
	for (size_t i = 0, copies = 0; i < scored.size() && copies < limits.OwnCopiesMax(); i++) {
		const uint32_t in_batch = candidates[scored[i].node.value].in_batch;
		if (scored[i].distance <= 0 && in_batch != NOT_IN_BATCH) {
			copies++;
			for (const NodeEdge &edge : edges[in_batch].chosen) {
				led_to.push_back(edge.id);
			}
		}
	}
	std::sort(led_to.begin(), led_to.end());
	// Those of the vectors: none of their copies is chosen either.
	std::vector<float> distances;
	for (const ScoredNode &candidate : scored) {
		if (std::binary_search(led_to.begin(), led_to.end(), candidates[candidate.node.value].id)) {
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

size_t MergeBatch::CountAnchors(const Candidate &candidate) const {
	if (candidate.in_batch != NOT_IN_BATCH) {
		const std::vector<NodeEdge> &list = edges[candidate.in_batch].chosen;
		return size_t(std::count_if(list.begin(), list.end(), [](const NodeEdge &edge) { return edge.is_anchor; }));
	}
	const auto place = std::find(pinned_nodes.begin(), pinned_nodes.end(), candidate.id) - pinned_nodes.begin();
	const NodeView node(graph.layout, pinned[size_t(place)].data(), candidate.id, graph.node_end);
	return CountAnchors(candidate.id, node);
}

size_t MergeBatch::CountAnchors(NodeId id, const NodeView &node) const {
	const auto planned = planned_anchors.find(id);
	size_t count = planned != planned_anchors.end() ? planned->second : 0;
	for (uint32_t edge = 0; edge < node.Degree(); edge++) {
		count += node.IsAnchor(edge) ? 1 : 0;
	}
	return count;
}

MergeBatch::Candidate MergeBatch::FindRoomBelow(NodeId full, uint32_t index) const {
	const NodeId below = FindAnchorRoom(graph, full, nodes[index].id, [this](NodeId id, const NodeView &node) {
		return CountAnchors(id, node) < graph.layout.max_degree;
	});
	if (below != NO_NODE || index == 0) {
		return {below != NO_NODE ? below : full, NOT_IN_BATCH};
	}
	// This batch took all of it. The last one before anchors nobody yet.
	Candidate nearest = {nodes[index - 1].id, index - 1};
	float distance = batch_space.Distance(index, index - 1);
	for (uint32_t other = 0; other < index - 1; other++) {
		const Candidate mate = {nodes[other].id, other};
		const float mate_distance = batch_space.Distance(index, other);
		if (mate_distance < distance && CountAnchors(mate) < graph.layout.max_degree) {
			nearest = mate;
			distance = mate_distance;
		}
	}
	return nearest;
}

//! The nearest of the targets that has room, else of all candidates, else what one of them anchors, else one of the
//! batch: a hub may be the only target of more nodes than its block can anchor. An anchor that finds no room would be
//! lost, and all behind it.
NodeId MergeBatch::ChooseAnchor(const std::vector<ScoredNode> &targets) {
	if (targets.empty()) {
		return NO_NODE;
	}
	const auto count = [&](const ScoredNode &scored_node) { return CountAnchors(candidates[scored_node.node.value]); };
	// Room is left for edges that are chosen for being good.
	const size_t anchor_max = std::max(1U, graph.layout.max_degree / 2);
	const auto first_with_room = [&](const std::vector<ScoredNode> &among) {
		const auto found = std::find_if(among.begin(), among.end(),
		                                [&](const ScoredNode &scored_node) { return count(scored_node) < anchor_max; });
		return found != among.end() ? found->node : NO_NODE;
	};
	NodeId anchor = first_with_room(targets);
	if (anchor == NO_NODE) {
		anchor = first_with_room(scored);
	}
	if (anchor == NO_NODE) {
		const auto by_count = [&](const ScoredNode &a, const ScoredNode &b) { return count(a) < count(b); };
		const ScoredNode &emptiest = *std::min_element(scored.begin(), scored.end(), by_count);
		anchor = emptiest.node;
		const auto nearest = std::find_if(scored.begin(), scored.end(), [&](const ScoredNode &scored_node) {
			return candidates[scored_node.node.value].in_batch == NOT_IN_BATCH;
		});
		if (count(emptiest) >= graph.layout.max_degree && nearest != scored.end()) {
			anchor = NodeId(uint32_t(candidates.size()));
			candidates.push_back(FindRoomBelow(candidates[nearest->node.value].id, candidates.front().in_batch));
		}
	}
	const Candidate &candidate = candidates[anchor.value];
	if (candidate.in_batch == NOT_IN_BATCH) {
		planned_anchors[candidate.id]++;
	}
	return anchor;
}

void MergeBatch::PruneSpace(const std::function<bool(uint32_t position)> &is_settled,
                            const std::function<bool(uint32_t position)> &is_anchor) {
	space.ScoreNeighbors(scored);
	choice_distances += scored.size();
	const auto distance = [this](NodeId a, NodeId b) {
		choice_distances++;
		return space.Distance(a.value, b.value);
	};
	RobustPrune(
	    scored, limits, distance, [&](NodeId position) { return is_settled(position.value); }, chosen, dropped);
	KeepForced(
	    scored, graph.layout.max_degree, [&](NodeId position) { return is_anchor(position.value); }, chosen);
	const auto is_chosen = [&](const ScoredNode &neighbor) {
		return std::any_of(chosen.begin(), chosen.end(),
		                   [&](const ScoredNode &other) { return other.node == neighbor.node; });
	};
	dropped.erase(std::remove_if(dropped.begin(), dropped.end(), is_chosen), dropped.end());
	dropped.resize(std::min(dropped.size(), graph.layout.max_degree - chosen.size()));
}

void MergeBatch::AddBackEdgeInBatch(uint32_t target, uint32_t source, bool is_anchor) {
	edges[target].chosen.push_back(EdgeTo(source, is_anchor));
	if (edges[target].chosen.size() >= PENDING_FACTOR * graph.layout.max_degree) {
		PruneEdgesOf(target);
	}
}

void MergeBatch::PruneEdgesOf(uint32_t target) {
	NewEdges &own = edges[target];
	space.Clear();
	space.AddNode(AsFloats(target, widened));
	for (const NodeEdge &edge : own.chosen) {
		space.AddCode(edge.code, edge.scalars);
	}
	PruneSpace([&](uint32_t position) { return position <= own.settled_count; },
	           [&](uint32_t position) { return own.chosen[position - 1].is_anchor; });
	std::vector<NodeEdge> kept;
	for (const ScoredNode &neighbor : chosen) {
		kept.push_back(own.chosen[neighbor.node.value - 1]);
	}
	own.settled_count = kept.size();
	own.chosen.swap(kept);
}

void MergeBatch::AddVisited(const BeamSearch &search) {
	const uint32_t dims = graph.layout.dims;
	std::vector<PageId> pages;
	std::vector<NodeId> wanted;
	PageCacheCounters cache_counters;
	std::vector<float> decoded(dims);
	const auto flush = [&] {
		const size_t first = pinned.size();
		pinned.resize(first + pages.size());
		graph.cache->PinBatch(graph.file_key, pages, PageKind::NODES, Span<PageRef>(&pinned[first], pages.size()),
		                      cache_counters);
		for (size_t i = 0; i < wanted.size(); i++) {
			const NodeView node(graph.layout, pinned[first + i].data(), wanted[i], graph.node_end);
			space.AddUnrotated(node.Vector(decoded.data()));
			candidates.push_back({wanted[i], NOT_IN_BATCH});
			pinned_nodes.push_back(wanted[i]);
		}
		pages.clear();
		wanted.clear();
	};
	nearest_dead = NO_NODE;
	float dead_distance = 0;
	for (const Visit &visit : search.Visits()) {
		if (parameters.is_dead(visit.row_id)) {
			if (nearest_dead == NO_NODE || visit.distance < dead_distance) {
				nearest_dead = visit.node;
				dead_distance = visit.distance;
			}
		} else {
			pages.push_back(graph.layout.PageOf(visit.node));
			wanted.push_back(visit.node);
			if (pages.size() == BeamSearch::BEAM_WIDTH_MAX) {
				flush();
			}
		}
	}
	if (!pages.empty()) {
		flush();
	}
}

void MergeBatch::AddBatchMates(uint32_t index) {
	std::vector<ScoredNode> mates;
	for (uint32_t other = 0; other < index; other++) {
		mates.push_back({batch_space.Distance(index, other), NodeId(other)});
	}
	const size_t count = candidates.size() < BATCH_MATES_MAX ? mates.size() : std::min(mates.size(), BATCH_MATES_MAX);
	std::partial_sort(mates.begin(), mates.begin() + long(count), mates.end());
	for (size_t i = 0; i < count; i++) {
		space.AddUnrotated(AsFloats(mates[i].node.value, widened));
		candidates.push_back({nodes[mates[i].node.value].id, mates[i].node.value});
	}
}

//! Codes of the chosen candidates: they were met on the way to them, in some block that is pinned.
void MergeBatch::FindCodes(const std::vector<ScoredNode> &neighbors, std::vector<NodeEdge> &found) {
	std::unordered_map<uint32_t, size_t> missing;
	// Nearly all edges are to others: a bit for each remainder of an id tells most of them.
	std::bitset<4096> remainders;
	for (const ScoredNode &neighbor : neighbors) {
		const Candidate &candidate = candidates[neighbor.node.value];
		if (candidate.in_batch != NOT_IN_BATCH) {
			found.push_back(EdgeTo(candidate.in_batch, false));
		} else {
			missing.emplace(candidate.id.value, found.size());
			remainders.set(candidate.id.value % remainders.size());
			found.push_back({candidate.id, {}, nullptr, false});
		}
	}
	for (size_t i = 0; i < pinned.size() && !missing.empty(); i++) {
		const NodeView node(graph.layout, pinned[i].data(), pinned_nodes[i], graph.node_end);
		for (uint32_t edge = 0; edge < node.Degree(); edge++) {
			const uint32_t id = node.Neighbor(edge).value;
			const auto entry = remainders.test(id % remainders.size()) ? missing.find(id) : missing.end();
			if (entry != missing.end()) {
				found[entry->second] = {node.Neighbor(edge), node.Scalars(edge), arena.Add(node.Code(edge)), false};
				missing.erase(entry);
			}
		}
	}
	// Where a search began there was no edge.
	for (size_t i = 0; i < pinned.size() && !missing.empty(); i++) {
		const auto entry = missing.find(pinned_nodes[i].value);
		if (entry != missing.end()) {
			const NodeView node(graph.layout, pinned[i].data(), pinned_nodes[i], graph.node_end);
			std::vector<float> decoded(graph.layout.dims);
			uint8_t *code = arena.Allocate();
			found[entry->second].scalars = graph.quantizer.Encode(node.Vector(decoded.data()), code, encode_scratch);
			found[entry->second].code = code;
			missing.erase(entry);
		}
	}
}

void MergeBatch::PlanBackEdges(size_t begin, size_t end) {
	const NodeId target = back_edges[begin].target;
	PageCacheCounters cache_counters;
	const PageRef page = graph.cache->Pin(graph.file_key, graph.layout.PageOf(target), PageKind::NODES, cache_counters);
	const NodeView node(graph.layout, page.data(), target, graph.node_end);
	EdgeEdit edit;
	edit.node = target;
	for (uint32_t i = 0; i < node.Degree(); i++) {
		(node.IsFill(i) ? edit.kept_fill : edit.kept).push_back(uint16_t(i));
	}
	const size_t added_count = end - begin;
	if (edit.kept.size() + added_count <= graph.layout.max_degree) {
		for (size_t i = begin; i < end; i++) {
			edit.added.push_back(EdgeTo(back_edges[i].source, back_edges[i].is_anchor));
		}
		const size_t room = graph.layout.max_degree - edit.kept.size() - added_count;
		edit.kept_fill.resize(std::min(edit.kept_fill.size(), room));
	} else {
		ChooseEdges(node, begin, end, edit);
	}
	if (!edit.added.empty() || !edit.added_fill.empty()) {
		edits.push_back(std::move(edit));
	}
}

void MergeBatch::ChooseEdges(const NodeView &node, size_t begin, size_t end, EdgeEdit &edit) {
	edit.kept.clear();
	edit.kept_fill.clear();
	// Position 0 is the target, then its neighbours in order, then the new ones.
	space.Clear();
	std::vector<float> decoded(graph.layout.dims);
	space.AddNode(node.Vector(decoded.data()));
	for (uint32_t i = 0; i < node.Degree(); i++) {
		space.AddCode(node.Code(i), node.Scalars(i));
	}
	for (size_t i = begin; i < end; i++) {
		space.AddFrom(batch_space, back_edges[i].source);
	}
	const uint32_t first_new = 1 + node.Degree();
	const auto back_edge_at = [&](uint32_t position) { return back_edges[begin + position - first_new]; };
	// Those that came while there was room were not chosen against each other, but each was for its own node, by
	// vectors instead of codes.
	PruneSpace([&](uint32_t position) { return position < first_new && !node.IsFill(position - 1); },
	           [&](uint32_t position) {
		           return position < first_new ? node.IsAnchor(position - 1) : back_edge_at(position).is_anchor;
	           });
	const auto take = [&](const std::vector<ScoredNode> &neighbors, std::vector<uint16_t> &kept,
	                      std::vector<NodeEdge> &added) {
		for (const ScoredNode &neighbor : neighbors) {
			const uint32_t position = neighbor.node.value;
			if (position < first_new) {
				kept.push_back(uint16_t(position - 1));
			} else {
				added.push_back(EdgeTo(back_edge_at(position).source, back_edge_at(position).is_anchor));
			}
		}
	};
	take(chosen, edit.kept, edit.added);
	take(dropped, edit.kept_fill, edit.added_fill);
}

uint64_t MergeBatch::WriteNewNodes() {
	const NodeLayout &layout = graph.layout;
	AlignedBuffer<uint8_t> page(layout.page_size);
	uint64_t page_count = 0;
	for (size_t i = 0; i < nodes.size();) {
		const PageId id = layout.PageOf(nodes[i].id);
		std::fill(page.data(), page.data() + layout.page_size, uint8_t(0));
		for (uint32_t place = 0; place < layout.nodes_per_page; place++) {
			ClearRow(layout, page.data(), NodeId(id.value * layout.nodes_per_page + place));
		}
		for (; i < nodes.size() && layout.PageOf(nodes[i].id) == id; i++) {
			std::vector<NodeEdge> &list = edges[i].chosen;
			const size_t chosen_count = list.size();
			for (const NodeEdge &edge : edges[i].fill) {
				const auto is_same = [&](const NodeEdge &other) { return other.id == edge.id; };
				if (list.size() < layout.max_degree && std::none_of(list.begin(), list.end(), is_same)) {
					list.push_back(edge);
				}
			}
			WriteNode(layout, page.data(), nodes[i].id, nodes[i].row_id, nodes[i].floats, nodes[i].bytes, list,
			          list.size() - chosen_count);
		}
		graph.cache->Put(graph.file_key, id, PageKind::NODES, page.span());
		page_count++;
	}
	return page_count;
}

uint64_t MergeBatch::Apply() {
	return WriteNewNodes() + ApplyEdits(graph, edits);
}

} // namespace lm_diskann
