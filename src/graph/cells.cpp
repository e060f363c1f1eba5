#include "graph/cells.hpp"

#include "base/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

namespace lm_diskann {

namespace {

//! A row is compared with the pivots, and with the rows of its cell: the fewer of these, the more of those. Rows of a
//! cell are those near it, so more of them find more neighbours.
constexpr double PIVOT_FACTOR = 0.2;
constexpr size_t CELL_ROWS_USUAL = 16384, PIVOTS_MAX = 65535;
//! A cell with so many times the usual number of rows, copies most likely, is cut into parts as they come.
constexpr size_t CELL_EXCESS = 4;
constexpr size_t ASSIGN_ROWS = 256;
//! Rows are listed for so many parts of the cells one after the other.
constexpr size_t SLABS_MAX = 8, SLAB_CELLS_MIN = 32;
//! What a thread works with: columns that stay in a core's cache, and what rows have found.
constexpr size_t COLUMN_BYTES = 128 << 10, GROUP_BYTES = 1 << 20, GROUP_ROWS_MAX = 512;
constexpr size_t COLUMNS_MIN = 16, COLUMNS_MAX = 256;

size_t ColumnsFor(size_t dims) {
	return std::clamp(COLUMN_BYTES / dims / COLUMNS_MIN * COLUMNS_MIN, COLUMNS_MIN, COLUMNS_MAX);
}

//! Orders as ScoredNode does: bits of a float that is not negative order as it does.
uint64_t KeyOf(float distance, uint32_t id) {
	uint32_t bits;
	std::memcpy(&bits, &distance, sizeof(bits));
	return uint64_t(bits) << 32 | id;
}

float DistanceOf(uint64_t key) {
	const auto bits = uint32_t(key >> 32);
	float distance;
	std::memcpy(&distance, &bits, sizeof(distance));
	return distance;
}

//! The nearest of many, which come in batches of at most COLUMNS_MAX.
class NearestOfMany {
public:
	static size_t Capacity(size_t nearest_max) {
		return 2 * nearest_max + COLUMNS_MAX;
	}

	//! `keys_p` has room for Capacity of them.
	void Start(uint64_t *keys_p, size_t nearest_max_p) {
		keys = keys_p;
		count = 0;
		nearest_max = nearest_max_p;
		limit = std::numeric_limits<float>::infinity();
	}
	void Offer(const float *distances, Span<const uint32_t> ids) {
		uint32_t positions[COLUMNS_MAX + 16];
		const size_t found = FindWithin(distances, ids.size(), limit, positions);
		for (size_t i = 0; i < found; i++) {
			keys[count++] = KeyOf(distances[positions[i]], ids[positions[i]]);
		}
		if (count > 2 * nearest_max) {
			Shrink();
		}
	}
	//! Ascending, without the row itself.
	void Finish(uint32_t self, std::vector<ScoredNode> &nearest) {
		if (count > nearest_max) {
			Shrink();
		}
		std::sort(keys, keys + count);
		nearest.clear();
		for (const uint64_t key : Span<const uint64_t>(keys, count)) {
			if (uint32_t(key) != self) {
				nearest.push_back({DistanceOf(key), NodeId(uint32_t(key))});
			}
		}
	}

private:
	void Shrink() {
		std::nth_element(keys, keys + nearest_max - 1, keys + count);
		count = nearest_max;
		limit = DistanceOf(keys[count - 1]);
	}

	uint64_t *keys = nullptr;
	size_t count = 0;
	size_t nearest_max = 0;
	//! No farther one is wanted.
	float limit = 0;
};

//! Some rows made ready to be compared with columns, and what they have found.
class RowGroup {
public:
	RowGroup(const BuildSpace &space_p, size_t row_max, size_t nearest_max_p, size_t column_max)
	    : space(space_p), row_bytes(DistanceColumns::RowBytes(space_p.Dims())), nearest_max(nearest_max_p),
	      values(row_max * row_bytes), terms(row_max), keys(row_max * NearestOfMany::Capacity(nearest_max)),
	      found(row_max), distances(DistanceColumns::ROWS_MAX * DistanceColumns::StrideFor(column_max)) {
	}

	//! `rows` must outlive the group's use.
	void Start(Span<const uint32_t> rows_p) {
		rows = rows_p;
		for (size_t i = 0; i < rows.size(); i++) {
			space.Load(NodeId(rows[i]), point);
			std::copy_n(point.Values(), space.Dims(), values.data() + i * row_bytes);
			terms[i] = space.TermsOf(NodeId(rows[i]));
			found[i].Start(keys.data() + i * NearestOfMany::Capacity(nearest_max), nearest_max);
		}
	}
	void Compare(const DistanceColumns &columns, Span<const uint32_t> ids) {
		for (size_t begin = 0; begin < rows.size(); begin += DistanceColumns::ROWS_MAX) {
			const size_t count = std::min(DistanceColumns::ROWS_MAX, rows.size() - begin);
			columns.Distances(values.data() + begin * row_bytes, terms.data() + begin, count, distances.data());
			for (size_t i = 0; i < count; i++) {
				OfferAll(found[begin + i], distances.data() + i * columns.Stride(), ids);
			}
		}
	}
	NearestOfMany &Found(size_t i) {
		return found[i];
	}

private:
	static void OfferAll(NearestOfMany &found, const float *distances, Span<const uint32_t> ids) {
		for (size_t begin = 0; begin < ids.size(); begin += COLUMNS_MAX) {
			const size_t count = std::min(COLUMNS_MAX, ids.size() - begin);
			found.Offer(distances + begin, ids.SubSpan(begin, count));
		}
	}

	const BuildSpace &space;
	size_t row_bytes;
	size_t nearest_max;
	Span<const uint32_t> rows;
	AlignedBuffer<int8_t> values;
	std::vector<ByteVectorTerms> terms;
	AlignedBuffer<uint64_t> keys;
	std::vector<NearestOfMany> found;
	AlignedBuffer<float> distances;
	BuildSpace::Point point;
};

//! Of one row of a group.
uint64_t RowBytes(size_t dims, size_t nearest_max) {
	return DistanceColumns::RowBytes(dims) + sizeof(ByteVectorTerms) + sizeof(NearestOfMany) +
	       NearestOfMany::Capacity(nearest_max) * sizeof(uint64_t);
}

size_t GroupRows(size_t dims, size_t nearest_max) {
	return std::clamp<size_t>(GROUP_BYTES / RowBytes(dims, nearest_max), DistanceColumns::ROWS_MAX, GROUP_ROWS_MAX);
}

} // namespace

Cells::Cells(const BuildSpace &space_p, uint64_t seed)
    : space(space_p), pivots(PivotCount(space_p.Count())),
      pivot_columns(std::make_unique<DistanceColumns>(space_p.Dims(), pivots.size())),
      cells_of_row(space_p.Count() * OVERLAP), sizes(pivots.size()), slab_rows(SlabRowsMax(space_p.Count())) {
	// One of each stretch of rows: nodes are ordered by place, so that pivots lie as densely as rows do.
	Random random(seed);
	BuildSpace::Point point;
	for (size_t i = 0; i < pivots.size(); i++) {
		const size_t begin = i * space.Count() / pivots.size();
		const size_t end = (i + 1) * space.Count() / pivots.size();
		pivots[i] = NodeId(uint32_t(begin + random.Next() % (end - begin)));
		space.AddTo(*pivot_columns, pivots[i], point);
	}
}

size_t Cells::PivotCount(size_t count) {
	const double rows = double(count) * OVERLAP;
	return size_t(std::clamp(std::max(PIVOT_FACTOR * std::sqrt(rows), rows / CELL_ROWS_USUAL), double(OVERLAP),
	                         double(PIVOTS_MAX)));
}

uint64_t Cells::SlabRowsMax(size_t count) {
	const size_t slabs = std::clamp<size_t>(PivotCount(count) / SLAB_CELLS_MIN, 1, SLABS_MAX);
	// One cell may hold all rows.
	return std::max<uint64_t>(count, uint64_t(count) * OVERLAP / slabs);
}

uint64_t Cells::MemoryBytes(size_t dims, size_t count) {
	return count * OVERLAP * sizeof(uint16_t) + SlabRowsMax(count) * sizeof(uint32_t) +
	       DistanceColumns::MemoryBytes(dims, PivotCount(count)) +
	       PivotCount(count) * (sizeof(NodeId) + sizeof(CellSize) + sizeof(size_t));
}

uint64_t Cells::ThreadBytes(size_t dims, size_t nearest_max) {
	// A part of a cell may be listed once more.
	return GroupRows(dims, nearest_max + 1) * RowBytes(dims, nearest_max + 1) +
	       DistanceColumns::MemoryBytes(dims, ColumnsFor(dims)) + CELL_EXCESS * CELL_ROWS_USUAL * sizeof(uint32_t);
}

size_t Cells::AssignItemCount() const {
	return (space.Count() + ASSIGN_ROWS - 1) / ASSIGN_ROWS;
}

void Cells::Assign(size_t item) {
	std::vector<uint32_t> rows(std::min(ASSIGN_ROWS, space.Count() - item * ASSIGN_ROWS));
	std::iota(rows.begin(), rows.end(), uint32_t(item * ASSIGN_ROWS));
	std::vector<uint32_t> cells(pivots.size());
	std::iota(cells.begin(), cells.end(), 0U);
	RowGroup group(space, rows.size(), OVERLAP, pivots.size());
	group.Start(rows);
	group.Compare(*pivot_columns, cells);
	std::vector<ScoredNode> nearest;
	for (size_t i = 0; i < rows.size(); i++) {
		group.Found(i).Finish(UINT32_MAX, nearest);
		std::transform(nearest.begin(), nearest.end(), cells_of_row.data() + rows[i] * OVERLAP,
		               [](const ScoredNode &cell) { return uint16_t(cell.node.value); });
	}
}

void Cells::CountRows() {
	for (size_t i = 0; i < cells_of_row.size(); i++) {
		sizes[cells_of_row[i]].all++;
		sizes[cells_of_row[i]].first += i % OVERLAP == 0 ? 1 : 0;
	}
}

bool Cells::NextSlab() {
	if (slab_end == 0) {
		CountRows();
	}
	slab_begin = slab_end;
	starts.clear();
	uint64_t row_count = 0;
	while (slab_end < sizes.size() &&
	       (slab_end == slab_begin || row_count + sizes[slab_end].all <= SlabRowsMax(space.Count()))) {
		starts.push_back(row_count);
		row_count += sizes[slab_end].all;
		slab_end++;
	}
	// Rows of their first cell from its start on, others behind them.
	std::vector<size_t> next_first = starts;
	std::vector<size_t> next_other(starts.size());
	for (size_t i = 0; i < starts.size(); i++) {
		next_other[i] = starts[i] + sizes[slab_begin + i].first;
	}
	starts.push_back(row_count);
	for (size_t i = 0; i < cells_of_row.size() && row_count > 0; i++) {
		const size_t place = size_t(cells_of_row[i]) - slab_begin; // large for cells before the slab
		if (place < SlabSize()) {
			size_t &next = i % OVERLAP == 0 ? next_first[place] : next_other[place];
			slab_rows[next++] = uint32_t(i / OVERLAP);
		}
	}
	return SlabSize() > 0;
}

void Cells::FindNearest(size_t item, size_t nearest_max, const Take &take) const {
	const Span<const uint32_t> rows(slab_rows.data() + starts[item], starts[item + 1] - starts[item]);
	const size_t first_count = sizes[slab_begin + item].first;
	const size_t rows_max = CELL_EXCESS * (cells_of_row.size() / pivots.size() + 1);
	const size_t part_count = (rows.size() + rows_max - 1) / rows_max;
	if (part_count == 1) {
		FindNearestIn(rows, first_count, nearest_max, take);
		return;
	}
	for (size_t part = 0; part < part_count; part++) {
		std::vector<uint32_t> own;
		for (size_t i = part; i < rows.size(); i += part_count) {
			own.push_back(rows[i]);
		}
		const size_t own_first_count = first_count / part_count + (part < first_count % part_count ? 1 : 0);
		FindNearestIn(own, own_first_count, nearest_max, take);
	}
}

//! Compares the first rows with all.
void Cells::FindNearestIn(Span<const uint32_t> rows, size_t first_count, size_t nearest_max, const Take &take) const {
	if (first_count == 0) {
		return;
	}
	// A row finds itself, too.
	const size_t found_max = nearest_max + 1;
	const size_t group_rows = std::min(GroupRows(space.Dims(), found_max), first_count);
	const size_t column_max = std::min(ColumnsFor(space.Dims()), rows.size());
	RowGroup group(space, group_rows, found_max, column_max);
	DistanceColumns columns(space.Dims(), column_max);
	BuildSpace::Point point;
	std::vector<ScoredNode> nearest;
	for (size_t begin = 0; begin < first_count; begin += group_rows) {
		const Span<const uint32_t> own = rows.SubSpan(begin, std::min(group_rows, first_count - begin));
		group.Start(own);
		for (size_t at = 0; at < rows.size(); at += column_max) {
			const Span<const uint32_t> others = rows.SubSpan(at, std::min(column_max, rows.size() - at));
			columns.Clear();
			for (const uint32_t other : others) {
				space.AddTo(columns, NodeId(other), point);
			}
			group.Compare(columns, others);
		}
		for (size_t i = 0; i < own.size(); i++) {
			group.Found(i).Finish(own[i], nearest);
			nearest.resize(std::min(nearest.size(), nearest_max));
			take(NodeId(own[i]), nearest);
		}
	}
}

} // namespace lm_diskann
