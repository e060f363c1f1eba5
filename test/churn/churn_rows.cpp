#include "churn/churn_rows.hpp"

#include "base/error.hpp"
#include "vector/distance.hpp"

#include <algorithm>
#include <iterator>

namespace lm_diskann {

namespace {

constexpr size_t PIVOT_COUNT = 20, COPY_COUNT = 4, WINDOW_PARTS = 20;
//! Distances of equal vectors may differ by rounding.
constexpr float TIE = 1e-5F;

} // namespace

ChurnRows::ChurnRows(ChurnPattern pattern_p, Metric metric_p, std::vector<float> vectors_p, size_t dims_p,
                     size_t query_count_p, size_t row_count)
    : pattern(pattern_p), metric(metric_p), vectors(std::move(vectors_p)), dims(dims_p), query_count(query_count_p),
      pool_count(vectors.size() / dims - query_count_p) {
	LMD_CHECK(row_count > 0 && row_count <= pool_count, "there are vectors for all rows and queries");
	for (size_t i = 0; i < row_count; i++) {
		next_position = pattern == ChurnPattern::DUPLICATES ? i / COPY_COUNT : i;
		Insert(next_position);
	}
	next_position++;
	if (pattern == ChurnPattern::CLUSTERS) {
		for (size_t i = 0; i < pool_count; i++) {
			size_t nearest = 0;
			for (size_t pivot = 1; pivot < PIVOT_COUNT; pivot++) {
				const bool is_nearer = Distance(metric, VectorOf(i), VectorOf(pivot), dims) <
				                       Distance(metric, VectorOf(i), VectorOf(nearest), dims);
				nearest = is_nearer ? pivot : nearest;
			}
			pivot_of.push_back(nearest);
		}
	}
}

RowId ChurnRows::Insert(size_t position) {
	const RowId row_id(next_row++);
	live[row_id] = position;
	return row_id;
}

std::vector<RowId> ChurnRows::All() const {
	std::vector<RowId> row_ids;
	for (const auto &row : live) {
		row_ids.push_back(row.first);
	}
	return row_ids;
}

ChurnRows::Round ChurnRows::Next() {
	Round round;
	const size_t step = std::max<size_t>(1, live.size() / WINDOW_PARTS);
	std::vector<size_t> coming;
	if (pattern == ChurnPattern::CLUSTERS) {
		coming.swap(waiting);
		for (const auto &[row_id, position] : live) {
			if (pivot_of[position] == round_count % PIVOT_COUNT) {
				round.deleted.push_back(row_id);
				waiting.push_back(position);
			}
		}
	} else {
		const size_t copies = pattern == ChurnPattern::DUPLICATES ? COPY_COUNT : 1;
		for (auto row = live.begin(); round.deleted.size() < step; ++row) {
			round.deleted.push_back(row->first);
		}
		for (size_t i = 0; i < step; i++) {
			coming.push_back((next_position + i / copies) % pool_count);
		}
		next_position += (step + copies - 1) / copies;
	}
	for (const RowId row_id : round.deleted) {
		live.erase(row_id);
	}
	for (const size_t position : coming) {
		round.inserted.push_back(Insert(position));
	}
	round_count++;
	return round;
}

void ChurnRows::ForEachBatch(const std::vector<RowId> &row_ids, size_t batch_rows,
                             const std::function<void(const VectorBatch &batch)> &take) const {
	std::vector<float> part;
	for (size_t begin = 0; begin < row_ids.size(); begin += batch_rows) {
		const size_t count = std::min(batch_rows, row_ids.size() - begin);
		part.clear();
		for (size_t i = 0; i < count; i++) {
			const float *vector = VectorOf(live.at(row_ids[begin + i]));
			part.insert(part.end(), vector, vector + dims);
		}
		VectorBatch batch;
		batch.row_ids = row_ids.data() + begin;
		batch.floats = part.data();
		batch.count = count;
		take(batch);
	}
}

float ChurnRows::ExactRadius(const float *query, size_t k) const {
	std::vector<float> distances;
	for (const auto &row : live) {
		distances.push_back(Distance(metric, query, VectorOf(row.second), dims));
	}
	std::nth_element(distances.begin(), distances.begin() + ptrdiff_t(k - 1), distances.end());
	return distances[k - 1];
}

std::vector<double> ChurnRows::Recall(AnnIndex &index, size_t k, const std::vector<uint32_t> &list_sizes) const {
	std::vector<size_t> hits(list_sizes.size());
	for (size_t i = 0; i < query_count; i++) {
		const float *query = VectorOf(pool_count + i);
		const float radius = ExactRadius(query, k);
		for (size_t size = 0; size < list_sizes.size(); size++) {
			const std::vector<Neighbor> found = index.Search(query, k, list_sizes[size], 4).Next(k);
			LMD_CHECK(found.size() == k, "as many answers as rows were asked for");
			for (const Neighbor &neighbor : found) {
				const auto row = live.find(neighbor.row_id);
				LMD_CHECK(row != live.end(), "an answer is a row that is there");
				const float distance = Distance(metric, query, VectorOf(row->second), dims);
				hits[size] += distance <= radius + TIE * std::max(1.0F, std::abs(radius)) ? 1 : 0;
			}
		}
	}
	std::vector<double> recall;
	std::transform(hits.begin(), hits.end(), std::back_inserter(recall),
	               [&](size_t count) { return double(count) / double(query_count * k); });
	return recall;
}

} // namespace lm_diskann
