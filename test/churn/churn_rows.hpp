// Rows of a table that is changed all the time: which are there, which vector each has, and who is nearest exactly.
#pragma once

#include "index/ann_index.hpp"

#include <map>
#include <string>
#include <vector>

namespace lm_diskann {

//! What goes and what comes in a round.
enum class ChurnPattern {
	//! The oldest go, others come.
	WINDOW,
	//! The same, and each vector is there four times.
	DUPLICATES,
	//! All that are nearest to one of some pivots go, those of the pivot before come back.
	CLUSTERS,
};

//! `vectors`: row-major, `dims` floats each. The last `query_count` of them are queries, never rows.
class ChurnRows {
public:
	ChurnRows(ChurnPattern pattern_p, Metric metric_p, std::vector<float> vectors_p, size_t dims_p,
	          size_t query_count_p, size_t row_count);

	struct Round {
		std::vector<RowId> deleted;
		std::vector<RowId> inserted;
	};
	//! The rows at the beginning.
	std::vector<RowId> All() const;
	//! Changes the rows; 5 % of them, or those of one pivot.
	Round Next();

	//! Gives `batch_rows` of the rows at a time to `take`.
	void ForEachBatch(const std::vector<RowId> &row_ids, size_t batch_rows,
	                  const std::function<void(const VectorBatch &batch)> &take) const;
	//! Mean recall@k at each list size: the share of answers not farther away than the exact k-th nearest. Throws
	//! InternalError for an answer that is no row, or fewer answers than there are rows.
	std::vector<double> Recall(AnnIndex &index, size_t k, const std::vector<uint32_t> &list_sizes) const;

	size_t Count() const {
		return live.size();
	}

private:
	const float *VectorOf(size_t position) const {
		return vectors.data() + position * dims;
	}
	RowId Insert(size_t position);
	//! The k-th smallest distance of a row to the query.
	float ExactRadius(const float *query, size_t k) const;

	ChurnPattern pattern;
	Metric metric;
	std::vector<float> vectors;
	size_t dims;
	size_t query_count;
	//! Vectors that rows may have.
	size_t pool_count;
	//! Row id -> position of its vector, in the order of insertion.
	std::map<RowId, size_t> live;
	int64_t next_row = 0;
	size_t next_position = 0;
	size_t round_count = 0;
	//! CLUSTERS: the pivot of each vector, and positions that wait to come back.
	std::vector<size_t> pivot_of;
	std::vector<size_t> waiting;
};

} // namespace lm_diskann
