// The nearest rows of all rows of a build, nearly: rows that share a cell are compared with each other by a blocked
// matrix product. A search for neighbours costs ten times as much, for it meets its vectors one by one.
//
// A cell is what lies near a pivot, a row drawn by the seed. Each row has a first cell, whose rows find their
// neighbours there, and is met in the next seven as well, so that few neighbours are missed at the edges of cells.
// After PiPNN (arXiv 2602.21247), which cuts the rows anew and again; overlapping cells need one pass.
#pragma once

#include "graph/build_space.hpp"
#include "graph/prune.hpp"

#include <functional>
#include <memory>
#include <vector>

namespace lm_diskann {

//! Use: Assign all items; then while NextSlab: FindNearest for all cells of the slab. No result depends on a thread.
class Cells {
public:
	//! Cells of a row.
	static constexpr size_t OVERLAP = 8;

	//! At least OVERLAP rows, all set.
	Cells(const BuildSpace &space_p, uint64_t seed);

	//! Held at most, and what a thread works with.
	static uint64_t MemoryBytes(size_t dims, size_t count);
	static uint64_t ThreadBytes(size_t dims, size_t nearest_max);

	//! Finds the cells of some rows; beside each other on distinct items.
	size_t AssignItemCount() const;
	void Assign(size_t item);

	//! Lists the rows of the next cells, so many as the memory has room for; false when there are none left. Serial.
	bool NextSlab();
	//! Cells of the slab.
	size_t SlabSize() const {
		return slab_end - slab_begin;
	}
	//! Cells up to its end, of all.
	double SlabEndShare() const {
		return double(slab_end) / double(pivots.size());
	}
	//! Calls `take(node, nearest)` for each row whose first cell is the `item`-th of the slab, with at most
	//! `nearest_max` others, ascending. Beside each other on distinct items.
	using Take = std::function<void(NodeId node, const std::vector<ScoredNode> &nearest)>;
	void FindNearest(size_t item, size_t nearest_max, const Take &take) const;

private:
	//! Of a cell, first those rows whose first cell it is.
	struct CellSize {
		uint32_t first = 0;
		uint32_t all = 0;
	};

	static size_t PivotCount(size_t count);
	static uint64_t SlabRowsMax(size_t count);
	void CountRows();
	void FindNearestIn(Span<const uint32_t> rows, size_t first_count, size_t nearest_max, const Take &take) const;

	const BuildSpace &space;
	std::vector<NodeId> pivots;
	std::unique_ptr<DistanceColumns> pivot_columns;
	//! OVERLAP cells of each row, the nearest first.
	AlignedBuffer<uint16_t> cells_of_row;
	std::vector<CellSize> sizes;
	size_t slab_begin = 0;
	size_t slab_end = 0;
	//! Where the rows of each cell of the slab begin, and the rows.
	std::vector<size_t> starts;
	AlignedBuffer<uint32_t> slab_rows;
};

} // namespace lm_diskann
