// Healing: an index that is damaged, lost or behind its table becomes right again, from the table.
//
// Rows at the end of the table that were never offered (lifecycle trap 3) are appended, exactly that range; everything
// else, and a range too large for the delta, is a rebuild into a new file, which then takes the place of the old one.
// Healing needs a context with a transaction and no lock of DuckDB's, so it happens before a query is planned or in a
// PRAGMA, on the thread of that statement. Other queries run exact plans meanwhile, and writers go on.
#pragma once

#include "adapter/lm_diskann_index.hpp"

namespace duckdb {

class ClientContext;
class DataTable;

//! Heals what a query wants to use, at most once per reason, if the database can be written and
//! lm_diskann_auto_rebuild allows it; an index that is ready is built anew because of all that changed. A failure is
//! logged and leaves the index as it was; only InterruptException comes out.
void HealForQuery(ClientContext &context, DataTable &table, const TableIndex &index);

//! PRAGMA lm_diskann_rebuild: builds anew whatever the state, and makes it durable at once if no other transaction
//! writes. Throws with the reason when it cannot.
void RebuildIndex(ClientContext &context, DataTable &table, const TableIndex &index);

//! Throws InvalidInputException for an index of a database that was opened read-only.
void RequireWritable(const DataTable &table, const TableIndex &index, const char *verb);

//! Healing and maintenance change no catalog and no row, so DuckDB sees nothing to write and would forget them. Makes
//! the next checkpoint write all the same, and `is_now`: checkpoints, unless another transaction writes. True: it did.
bool MakeDurable(ClientContext &context, AttachedDatabase &db, bool is_now);

} // namespace duckdb
