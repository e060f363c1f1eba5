// Vectors, queries and exact answers in one raw file, which bench/data.mjs writes from Parquet.
//
//   u32 magic, rows, dims, metric, queries, answers | f32 vectors[rows][dims] | f32 queries[queries][dims] |
//   u32 answers[queries][answers]
#pragma once

#include "vector/vector_types.hpp"

#include <string>
#include <vector>

namespace lm_diskann {

struct DataSet {
	//! Throws FileError. Answers are computed by brute force when the file holds none.
	static DataSet Load(const std::string &path);

	Metric metric = Metric::L2SQ;
	uint32_t row_count = 0;
	uint32_t dims = 0;
	uint32_t query_count = 0;
	//! Answers of a query.
	uint32_t answer_count = 0;
	std::vector<float> vectors;
	std::vector<float> queries;
	std::vector<uint32_t> answers;

	const float *Vector(size_t row) const {
		return vectors.data() + row * dims;
	}
	const float *Query(size_t query) const {
		return queries.data() + query * dims;
	}
	//! Share of the exact `k` nearest that `found` (k row numbers) has.
	double Recall(size_t query, const uint32_t *found, size_t k) const;

private:
	void ComputeAnswers();
};

} // namespace lm_diskann
