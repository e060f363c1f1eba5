#include "index/delta_scan.hpp"

#include "vector/convert.hpp"
#include "vector/distance.hpp"

#include <algorithm>
#include <optional>

namespace lm_diskann {

namespace {

const RoundedRows *Round(const DeltaVectors &vectors, Metric metric, size_t dims) {
	const auto *rows = reinterpret_cast<const float *>(vectors.memory.data());
	auto made = std::make_unique<const RoundedRows>(metric, rows, Delta::CHUNK_ROWS, dims);
	const RoundedRows *found = nullptr;
	// Another search may have been faster.
	return vectors.rounded.compare_exchange_strong(found, made.get()) ? made.release() : found;
}

float OrInfinity(float distance) {
	return distance == distance ? distance : std::numeric_limits<float>::infinity();
}

} // namespace

DeltaScan::DeltaScan(const Delta &delta, const IndexConfiguration &configuration, const float *query_p)
    : metric(configuration.metric), element_type(configuration.element_type),
      query(query_p, query_p + configuration.dims), left_count(delta.Count()) {
	row_ids.reserve(left_count);
	bounds.reserve(left_count);
	std::optional<RoundedQuery> rounded_query;
	bool may_round = element_type == ElementType::FLOAT32;
	delta.ForEachChunk([&](const Delta::ChunkView &chunk) {
		const RoundedRows *rounded = chunk.kept ? chunk.kept->rounded.load() : nullptr;
		if (!rounded && chunk.kept && may_round) {
			rounded = Round(*chunk.kept, metric, query.size());
			may_round = false;
		}
		const size_t first = row_ids.size();
		const size_t count = chunk.row_ids.size();
		row_ids.insert(row_ids.end(), chunk.row_ids.begin(), chunk.row_ids.end());
		bounds.resize(first + count);
		if (rounded) {
			if (!rounded_query) {
				rounded_query.emplace(metric, query.data(), query.size());
			}
			rounded->LowerBounds(*rounded_query, bounds.data() + first);
			estimated_count += count;
		} else {
			FindDistances(chunk, bounds.data() + first);
			exact_count += count;
		}
		chunks.push_back({first, rounded ? chunk.kept : nullptr});
		for (size_t row = first; row < row_ids.size() && chunk.live_count < count; row++) {
			bounds[row] = row_ids[row] == Delta::ERASED ? GONE : bounds[row];
		}
	});
}

void DeltaScan::FindDistances(const Delta::ChunkView &chunk, float *distances) {
	const size_t count = chunk.row_ids.size();
	const auto *vectors = reinterpret_cast<const float *>(chunk.vectors);
	std::vector<float> widened;
	if (element_type == ElementType::INT8) {
		widened.resize(count * query.size());
		WidenInt8(reinterpret_cast<const int8_t *>(chunk.vectors), widened.data(), widened.size());
		vectors = widened.data();
	}
	DistancesToRows(metric, query.data(), vectors, count, query.size(), distances);
	std::transform(distances, distances + count, distances, OrInfinity);
}

bool DeltaScan::Scanned(RowId row_id) {
	if (sorted_row_ids.empty()) {
		sorted_row_ids = row_ids;
		std::sort(sorted_row_ids.begin(), sorted_row_ids.end());
	}
	return std::binary_search(sorted_row_ids.begin(), sorted_row_ids.end(), row_id);
}

void DeltaScan::Take(size_t row, std::vector<Neighbor> &taken) {
	const auto is_after = [](size_t value, const Chunk &chunk) { return value < chunk.first; };
	const Chunk &chunk = *std::prev(std::upper_bound(chunks.begin(), chunks.end(), row, is_after));
	float distance = bounds[row];
	if (chunk.kept) {
		const auto *vectors = reinterpret_cast<const float *>(chunk.kept->memory.data());
		const float *vector = vectors + (row - chunk.first) * query.size();
		distance = OrInfinity(Distance(metric, query.data(), vector, query.size()));
		exact_count++;
	}
	taken.push_back({distance, row_ids[row]});
	bounds[row] = GONE;
	left_count--;
}

void DeltaScan::TakeWithin(float distance, std::vector<Neighbor> &taken) {
	for (size_t row = 0; row < bounds.size(); row++) {
		if (bounds[row] <= distance) {
			Take(row, taken);
		}
	}
}

void DeltaScan::TakeLowest(size_t count, std::vector<Neighbor> &taken) {
	std::vector<size_t> left;
	for (size_t row = 0; row < bounds.size(); row++) {
		if (bounds[row] == bounds[row]) {
			left.push_back(row);
		}
	}
	const auto end = left.begin() + ptrdiff_t(std::min(count, left.size()));
	std::nth_element(left.begin(), end, left.end(), [&](size_t a, size_t b) { return bounds[a] < bounds[b]; });
	std::for_each(left.begin(), end, [&](size_t row) { Take(row, taken); });
}

void DeltaScan::Filter(const std::function<bool(RowId)> &accepts) {
	for (size_t row = 0; row < bounds.size(); row++) {
		if (bounds[row] == bounds[row] && !accepts(row_ids[row])) {
			bounds[row] = GONE;
			left_count--;
		}
	}
}

void DeltaScan::DropAll() {
	std::fill(bounds.begin(), bounds.end(), GONE);
	left_count = 0;
}

} // namespace lm_diskann
