// The indexes a transaction can see, found through the catalog.
#pragma once

#include "adapter/lm_diskann_index.hpp"

#include "duckdb/parser/qualified_name.hpp"

namespace duckdb {

class DuckTableEntry;

//! One index, with the table it is on.
struct CatalogIndex {
	string database_name;
	string schema_name;
	string index_name;
	reference<DuckTableEntry> table;
	//! Without `live` when DuckDB destroyed the object but kept the entry (lifecycle trap 21).
	TableIndex index;
};

//! What to say of an index without `live`.
extern const char *const DESTROYED_INDEX_REASON;

//! All of them; binds those that are not bound, and notices rows they miss.
vector<CatalogIndex> ListIndexes(ClientContext &context);

//! Those with the name, which may have a schema and a database before it. Throws CatalogException when there is none.
vector<CatalogIndex> FindIndexes(ClientContext &context, const string &name);

//! The one with the name. Throws for `caller` when there are several, or when DuckDB destroyed it.
CatalogIndex FindOneIndex(ClientContext &context, const string &name, const char *caller);

} // namespace duckdb
