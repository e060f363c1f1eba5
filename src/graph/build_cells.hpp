// The nodes of a build in small cells, each around one of them that was drawn by chance (its leader), the leaders in
// cells of their own, and so on up to a few hundred: so that all the nodes near a row are found by comparing it with
// the members of the nearest cells, many rows with many members at a time.
//
// The rows of overlapping partitions of PiPNN (Rubel et al., arXiv 2602.21247) meet in the same way. There each leaf is
// taken once, and every row keeps a reservoir of candidates through the whole build. Here all the cells of some rows
// are taken one after the other, so that candidates last no longer than a piece of work, and memory is a number a node.
#pragma once

#include "graph/nearest_finder.hpp"

#include <vector>

namespace lm_diskann {

//! Grouping comes first, level by level: StartLevel, then every item of it, on any thread; all else by any thread after
//! that. No result depends on a thread.
class BuildCells {
public:
	BuildCells(const BuildSpace &space_p, uint64_t seed);

	//! While grouping, at most.
	static uint64_t MemoryBytes(size_t count);

	//! Takes the level above as grouped. False: all nodes are in cells.
	bool StartLevel();
	size_t ItemCount() const;
	void GroupItem(size_t item);

	//! All nodes, those of a cell beside each other. A position is an index into it.
	const std::vector<NodeId> &Members() const {
		return levels.back().members;
	}
	//! Finds the `keep` members nearest to each of those from `begin` to `end`, themselves among them.
	void FindNearest(size_t begin, size_t end, size_t keep, NearestFinder &finder) const;

private:
	struct Level {
		std::vector<NodeId> members;
		//! First member of the cell of each member of the level above, and the end; empty in the uppermost.
		std::vector<uint32_t> starts;
	};

	void Find(size_t depth, size_t keep, size_t own_begin, size_t own_end, NearestFinder &finder) const;
	void PutIntoCells();

	const BuildSpace &space;
	//! All nodes by chance; the first of them are the members of the upper levels.
	std::vector<uint32_t> order;
	std::vector<Level> levels;
	//! Members of the level that is being grouped, and the cell of each.
	size_t grouped_count = 0;
	std::vector<uint32_t> cell_of;
};

} // namespace lm_diskann
