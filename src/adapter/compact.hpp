// PRAGMA lm_diskann_compact: the delta goes into the graph, deleted rows out of it, and nothing of them stays in the
// file.
#pragma once

#include "adapter/lm_diskann_index.hpp"

namespace duckdb {

class ClientContext;
class DataTable;

//! Works on the index while queries and writers go on; builds it anew where that is cheaper. Makes the result durable
//! if no other transaction writes. Throws InterruptException, and goes on from there the next time.
void CompactIndex(ClientContext &context, DataTable &table, const TableIndex &index);

} // namespace duckdb
