// An index checked against itself and against its table.
#pragma once

#include "adapter/lm_diskann_index.hpp"

namespace duckdb {

class DuckTableEntry;

//! Every violation found, as a sentence; none when the index is sound. Rows of the index that the table has deleted are
//! none: searches drop them. Each vector is compared with the table's as the index would store it. A damaged index is
//! degraded. Cost: reads every block of the index and the whole column, and keeps 16 bytes a row, which count in
//! memory_limit: throws OutOfMemoryException.
vector<string> VerifyIndex(ClientContext &context, DuckTableEntry &table, const TableIndex &index);

} // namespace duckdb
