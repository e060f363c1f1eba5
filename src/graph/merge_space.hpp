// What a merge knows of vectors: those of its batch, and those of nodes that the batch's searches meet.
//
// Rows of a batch come near ones together, so their searches meet the same nodes again and again. The vector of each is
// read, rotated and rounded to bytes once (build_space.hpp has the distance), and the code that edges to it carry is
// looked for once. All have places: rows of the batch by their position in it, met nodes behind them. Room for these is
// bounded; when it is used up, all are forgotten.
#pragma once

#include "graph/build_space.hpp"
#include "graph/edit.hpp"
#include "graph/prune.hpp"
#include "graph/search.hpp"

#include <unordered_map>
#include <vector>

namespace lm_diskann {

//! Belongs to one thread. A place is a NodeId, as distances between places are those of a BuildSpace.
class MergeSpace {
public:
	static constexpr uint32_t VECTOR_BITS = 8;

	//! `graph_p` outlives this. There is room for `met_max_p` nodes beside the rows.
	MergeSpace(const Graph &graph_p, size_t row_count_p, size_t met_max_p);

	//! In their order, all before anything else. `vector`: `dims` floats.
	void AddRow(NodeId id, const float *vector);
	//! Forgets nodes until `count` can be met, at most as many as there is room for. Until the next call places stay.
	void MakeRoom(size_t count);
	//! Appends the places of `nodes` to `places`. Throws CorruptionError, FileError.
	void Meet(Span<const NodeId> nodes, std::vector<NodeId> &places);
	//! The code of a met node is looked for at the first call. Throws CorruptionError, FileError.
	NodeEdge EdgeTo(NodeId place, bool is_anchor);

	const BuildSpace &Vectors() const {
		return vectors;
	}
	size_t MetMax() const {
		return met_max;
	}
	bool IsRow(NodeId place) const {
		return place.value < row_count;
	}
	NodeId IdAt(NodeId place) const {
		return known[place.value].id;
	}

private:
	//! Most edges lead both ways: a neighbour of the node that was met as well, and is cached, has its code. Else it is
	//! made anew.
	void FindCode(NodeEdge &edge);
	//! Takes it from the block of `from`, if it is there.
	void TakeCode(NodeId from, NodeEdge &edge);

	const Graph &graph;
	const size_t row_count;
	const size_t met_max;
	BuildSpace vectors;
	CodeArena arena;
	//! By place. Of met nodes the code is null until it is found.
	std::vector<NodeEdge> known;
	std::unordered_map<NodeId, NodeId> place_of;

	std::vector<NodeId> unmet;
	std::vector<float> decoded, scratch;
};

} // namespace lm_diskann
