// Which of many nodes are nearest to each of some rows, all against all, as a product of two matrices of bytes: blocks
// of columns are packed into panels (vector/byte_panels.hpp) and compared with all rows before the next are touched.
#pragma once

#include "graph/build_space.hpp"
#include "graph/prune.hpp"

#include <vector>

namespace lm_diskann {

//! Belongs to one thread; reuse it. What it finds depends on the order of the calls alone.
class NearestFinder {
public:
	explicit NearestFinder(const BuildSpace &space_p);

	static constexpr size_t ROWS_MAX = 128;
	//! Rows for which a finder that keeps `keep` of each stays within some hundred KiB.
	static size_t RowsMax(size_t dims, size_t keep);

	//! Rows to find the nearest of. Candidates as near as each other rank by their position from `origin` + row on,
	//! round all numbers: of a crowd of equal vectors each gets those behind it, which is a ring and not a star.
	void SetRows(Span<const NodeId> nodes, uint32_t origin_p);
	size_t RowCount() const {
		return rows.size();
	}
	//! Forgets what was found; from here on keeps the `keep_p` nearest of each row.
	void Start(size_t keep_p);
	//! Compares `offered` (numbers of rows) with `nodes`, at positions from `first` on.
	void Offer(Span<const uint32_t> offered, Span<const NodeId> nodes, uint32_t first);
	//! The positions nearest to a row, in no order. Where there are many copies of a vector some are left out.
	void TakeFound(size_t row, std::vector<uint32_t> &positions);

private:
	struct Row {
		const int8_t *values;
		float scale;
		float extra;
		int32_t sum;
		//! Of this row's found.
		uint32_t count;
		float bound;
	};

	void LoadColumns(Span<const NodeId> nodes);
	void OfferColumns(Span<const uint32_t> offered, size_t column_count, uint32_t first);
	void KeepNearest(size_t row);
	void DropCopies();

	const BuildSpace &space;
	const size_t row_stride;
	//! Columns that are packed at a time.
	const size_t chunk;
	std::vector<Row> rows;
	std::vector<int8_t> values;
	uint32_t origin = 0;
	//! Room of a row in `distances` and `found`; from time to time only the nearest stay.
	size_t keep = 0;
	size_t room = 0;
	//! Less what is the same for all candidates of a row.
	std::vector<float> distances;
	//! Positions, counted from the row's own.
	std::vector<uint32_t> found;

	std::vector<uint8_t> panels, shifted;
	std::vector<const uint8_t *> columns;
	std::vector<float> scales, norms, extras;
	std::vector<const int8_t *> offered_values;
	std::vector<int32_t> products;
	std::vector<ScoredNode> scratch;
};

} // namespace lm_diskann
