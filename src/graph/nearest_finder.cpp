#include "graph/nearest_finder.hpp"

#include "vector/byte_panels.hpp"

#include <algorithm>
#include <limits>

namespace lm_diskann {

namespace {

constexpr size_t ROWS_MIN = 16;
//! Bytes of the rows' values, and found candidates of all rows.
constexpr size_t ROW_BYTES = size_t(128) << 10, KEPT_MAX = size_t(12) << 10;
//! A row's candidates are cut down to `keep` when they are so many times as many.
constexpr size_t FOUND_FACTOR = 3;
//! Candidates at exactly the same distance are copies of one vector. More of them would leave no room for others, and
//! copies would have edges to copies only.
constexpr size_t COPIES_MAX = 2;
constexpr size_t CHUNK_BYTES = size_t(64) << 10, CHUNK_PANELS_MAX = 4;

size_t ChunkFor(size_t dims) {
	return std::clamp<size_t>(CHUNK_BYTES / (PANEL_COLUMNS * dims), 1, CHUNK_PANELS_MAX) * PANEL_COLUMNS;
}

size_t PanelCount(size_t columns) {
	return (columns + PANEL_COLUMNS - 1) / PANEL_COLUMNS;
}

} // namespace

NearestFinder::NearestFinder(const BuildSpace &space_p)
    : space(space_p), row_stride(PanelDims(space_p.Dims())), chunk(ChunkFor(row_stride)), panels(chunk * row_stride),
      shifted(chunk * space_p.ShiftedRoom()), columns(chunk), scales(chunk), norms(chunk), extras(chunk) {
}

size_t NearestFinder::RowsMax(size_t dims, size_t keep) {
	return std::clamp(std::min(ROW_BYTES / dims, KEPT_MAX / keep), ROWS_MIN, ROWS_MAX);
}

void NearestFinder::SetRows(Span<const NodeId> nodes, uint32_t origin_p) {
	origin = origin_p;
	rows.clear();
	values.assign(nodes.size() * row_stride, 0);
	for (size_t r = 0; r < nodes.size(); r++) {
		const uint8_t *bytes = space.ShiftedValues(nodes[r], shifted.data());
		const BuildSpace::Tail tail = space.TailOf(nodes[r]);
		int8_t *target = values.data() + r * row_stride;
		int32_t sum = 0;
		for (size_t j = 0; j < space.Dims(); j++) {
			target[j] = int8_t(bytes[j] - BuildSpace::BYTE_OFFSET);
			sum += target[j];
		}
		rows.push_back({target, tail.scale, tail.extra, sum, 0, 0});
	}
}

void NearestFinder::Start(size_t keep_p) {
	keep = keep_p;
	room = FOUND_FACTOR * keep + chunk + PANEL_COLUMNS;
	distances.resize(rows.size() * room);
	found.resize(rows.size() * room);
	for (Row &row : rows) {
		row.count = 0;
		row.bound = std::numeric_limits<float>::infinity();
	}
}

void NearestFinder::Offer(Span<const uint32_t> offered, Span<const NodeId> nodes, uint32_t first) {
	for (size_t begin = 0; begin < nodes.size(); begin += chunk) {
		const size_t count = std::min(chunk, nodes.size() - begin);
		LoadColumns(Span<const NodeId>(nodes.data() + begin, count));
		OfferColumns(offered, count, first + uint32_t(begin));
	}
}

void NearestFinder::LoadColumns(Span<const NodeId> nodes) {
	for (size_t c = 0; c < nodes.size(); c++) {
		const BuildSpace::Tail tail = space.TailOf(nodes[c]);
		scales[c] = tail.scale;
		norms[c] = tail.norm + tail.extra * tail.extra;
		extras[c] = tail.extra;
		columns[c] = space.ShiftedValues(nodes[c], shifted.data() + c * space.ShiftedRoom());
	}
	for (size_t p = 0; p < PanelCount(nodes.size()); p++) {
		const size_t begin = p * PANEL_COLUMNS;
		PackPanel(columns.data() + begin, std::min(PANEL_COLUMNS, nodes.size() - begin), space.Dims(),
		          panels.data() + begin * row_stride);
	}
}

void NearestFinder::OfferColumns(Span<const uint32_t> offered, size_t column_count, uint32_t first) {
	const size_t product_stride = PanelCount(column_count) * PANEL_COLUMNS;
	products.resize(offered.size() * product_stride);
	offered_values.clear();
	for (const uint32_t r : offered) {
		offered_values.push_back(rows[r].values);
	}
	PanelProducts(offered_values.data(), offered.size(), panels.data(), PanelCount(column_count), row_stride,
	              products.data());
	for (size_t i = 0; i < offered.size(); i++) {
		Row &row = rows[offered[i]];
		// |a - b|^2 = |a|^2 + |b|^2 - 2 <a, b>, with the coordinate more in all three.
		const PanelDistances formula = {scales.data(),  norms.data(),   extras.data(),
		                                -2 * row.scale, -2 * row.extra, -BuildSpace::BYTE_OFFSET * row.sum};
		const size_t begin = offered[i] * room + row.count;
		const size_t count = NearColumns(formula, products.data() + i * product_stride, column_count, row.bound,
		                                 found.data() + begin, distances.data() + begin);
		const uint32_t from_own = first - (origin + offered[i]);
		for (size_t k = begin; k < begin + count; k++) {
			found[k] += from_own;
		}
		row.count += uint32_t(count);
		if (row.count >= FOUND_FACTOR * keep) {
			KeepNearest(offered[i]);
		}
	}
}

void NearestFinder::KeepNearest(size_t row) {
	if (rows[row].count <= keep) {
		return;
	}
	scratch.clear();
	for (size_t k = row * room; k < row * room + rows[row].count; k++) {
		scratch.push_back({distances[k], NodeId(found[k])});
	}
	const auto last = scratch.begin() + ptrdiff_t(keep - 1);
	std::nth_element(scratch.begin(), last, scratch.end());
	const auto is_crowd = [&](float distance) {
		return std::count_if(scratch.begin(), last, [&](const ScoredNode &a) { return a.distance == distance; }) >
		       ptrdiff_t(COPIES_MAX);
	};
	if (is_crowd(last->distance) || is_crowd(std::min_element(scratch.begin(), last + 1)->distance)) {
		DropCopies();
	}
	const size_t kept = std::min(keep, scratch.size());
	for (size_t k = 0; k < kept; k++) {
		distances[row * room + k] = scratch[k].distance;
		found[row * room + k] = scratch[k].node.value;
	}
	rows[row].count = uint32_t(kept);
	if (kept == keep) {
		rows[row].bound = scratch[keep - 1].distance;
	}
}

//! Of candidates at exactly the same distance only the first stay.
void NearestFinder::DropCopies() {
	std::sort(scratch.begin(), scratch.end());
	size_t kept = 0;
	size_t copies = 0;
	for (size_t k = 0; k < scratch.size(); k++) {
		copies = kept > 0 && scratch[k].distance == scratch[kept - 1].distance ? copies + 1 : 0;
		if (copies < COPIES_MAX) {
			scratch[kept++] = scratch[k];
		}
	}
	scratch.resize(kept);
}

void NearestFinder::TakeFound(size_t row, std::vector<uint32_t> &positions) {
	KeepNearest(row);
	positions.clear();
	for (size_t k = row * room; k < row * room + rows[row].count; k++) {
		positions.push_back(found[k] + origin + uint32_t(row));
	}
}

} // namespace lm_diskann
