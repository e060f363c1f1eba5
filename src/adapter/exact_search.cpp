#include "adapter/exact_search.hpp"

#include "adapter/filter_strategy.hpp"

#include "vector/convert.hpp"
#include "vector/distance.hpp"

#include "duckdb/storage/data_table.hpp"

#include <algorithm>
#include <cmath>

namespace duckdb {

namespace {

//! Distances are computed here with other sums than DuckDB's: two rows closer than this may change places.
constexpr float RELATIVE_MARGIN = 1e-4F;
constexpr float ABSOLUTE_MARGIN = 1e-6F;

//! The nearest rows that one thread met.
class NearestRows {
public:
	NearestRows(const IndexedColumn &column, lm_diskann::Metric metric_p, const std::vector<float> &query_p,
	            const lm_diskann::RowSet *rows_p, idx_t count_p)
	    : metric(metric_p), query(query_p), rows(rows_p), count(count_p), widened(column.type.dims) {
	}

	void Add(const VectorRows &vectors) {
		const auto &batch = vectors.Batch();
		for (size_t i = 0; i < batch.count; i++) {
			if (rows && !rows->Contains(batch.row_ids[i])) {
				continue;
			}
			const float *vector = widened.data();
			if (batch.floats) {
				vector = batch.floats + i * query.size();
			} else {
				lm_diskann::WidenInt8(batch.bytes + i * query.size(), widened.data(), query.size());
			}
			const auto is_ranked = lm_diskann::IsIndexable(metric, vector, query.size());
			const auto distance = is_ranked ? lm_diskann::Distance(metric, query.data(), vector, query.size()) : NAN;
			if (std::isfinite(distance)) {
				answer.ranked_count++;
				Add(distance, batch.row_ids[i].value);
			} else {
				answer.unranked_count++;
			}
		}
		for (const auto row_id : vectors.NullRowIds()) {
			answer.unranked_count += !rows || rows->Contains(row_id);
		}
	}

	void Merge(const NearestRows &other) {
		answer.ranked_count += other.answer.ranked_count;
		answer.unranked_count += other.answer.unranked_count;
		found.insert(found.end(), other.found.begin(), other.found.end());
	}

	ExactAnswer Finish() {
		Shrink();
		for (const auto &row : found) {
			answer.row_ids.push_back(row.second);
		}
		return std::move(answer);
	}

private:
	void Add(float distance, row_t row_id) {
		if (distance > bound) {
			return;
		}
		found.emplace_back(distance, row_id);
		if (found.size() >= shrink_size) {
			Shrink();
		}
	}

	void Shrink() {
		if (found.size() > count) {
			std::nth_element(found.begin(), found.begin() + ptrdiff_t(count) - 1, found.end());
			bound = WidenDistance(found[count - 1].first);
			found.erase(std::remove_if(found.begin(), found.end(), [&](const auto &row) { return row.first > bound; }),
			            found.end());
		}
		shrink_size = 2 * found.size() + STANDARD_VECTOR_SIZE;
	}

	const lm_diskann::Metric metric;
	const std::vector<float> &query;
	const lm_diskann::RowSet *rows;
	const idx_t count;
	std::vector<float> widened;
	std::vector<std::pair<float, row_t>> found;
	float bound = std::numeric_limits<float>::infinity();
	idx_t shrink_size = 2 * STANDARD_VECTOR_SIZE;
	ExactAnswer answer;
};

} // namespace

float WidenDistance(float distance) {
	return distance + std::fabs(distance) * RELATIVE_MARGIN + ABSOLUTE_MARGIN;
}

ExactAnswer FindNearestExactly(ClientContext &context, DataTable &table, const IndexedColumn &column,
                               lm_diskann::Metric metric, const std::vector<float> &query, RowFilter &filter,
                               const lm_diskann::RowSet *rows, idx_t count) {
	NearestRows nearest(column, metric, query, rows, count);
	const FilterCosts costs {table.GetTotalRows(), column.type.dims};
	if (rows && costs.Fetch(double(rows->Count())) < costs.Rank(double(rows->Count()), true)) {
		std::vector<row_t> row_ids;
		rows->ForEach([&](lm_diskann::RowId row_id) { row_ids.push_back(row_id.value); });
		FetchRows(context, table, column, row_ids, [&](const VectorRows &vectors) { nearest.Add(vectors); });
		return nearest.Finish();
	}
	// The set says all that the filter does, and a scan without one copies nothing.
	RowFilter no_filter;
	auto &tested = rows ? no_filter : filter;
	FilteredScan scan {table, tested, {StorageIndex(column.storage_column)}, {column.logical_type}};
	const auto thread_count = scan.ThreadCount(context);
	std::vector<NearestRows> parts(thread_count, nearest);
	std::vector<VectorRows> vectors(thread_count, VectorRows(column.type));
	const auto vector_column = tested.Columns().size();
	scan.Run(context, [&](idx_t thread, DataChunk &chunk) {
		vectors[thread].Read(chunk.data[vector_column], chunk.data.back(), chunk.size());
		parts[thread].Add(vectors[thread]);
	});
	for (const auto &part : parts) {
		nearest.Merge(part);
	}
	return nearest.Finish();
}

} // namespace duckdb
