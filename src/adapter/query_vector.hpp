// Query vectors as the core wants them, from DuckDB's values and vectors.
#pragma once

#include "index/ann_index.hpp"

#include "duckdb/common/types/vector.hpp"

#include <vector>

namespace duckdb {

class ClientContext;
class Expression;

//! The value of an expression without columns: FLOAT[N], DOUBLE[N] or a list. Empty: not a vector that the index can
//! search for, which is no error; nor is one of the evaluation, which the plan above meets again if there is a row.
std::vector<float> EvaluateQueryVector(ClientContext &context, const Expression &expression,
                                       const lm_diskann::IndexConfiguration &configuration);

//! Reads the vector of a row of FLOAT[N] or DOUBLE[N], flat, into `query`. False: no index can search for it.
bool ReadQueryVector(Vector &vectors, idx_t row, lm_diskann::Metric metric, std::vector<float> &query);

} // namespace duckdb
