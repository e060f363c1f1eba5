// Orphans: index files that no index names. They come from crashes during a build, from drops whose file could not be
// removed or that happened without the extension, and from rebuilds that were never made durable (lifecycle 2.4).
#pragma once

namespace duckdb {

class DatabaseInstance;

//! Once per database that is attached for writing: removes the index files in its folder that no index of its catalog
//! names, no index of this process still needs and nobody has open. Never throws; needs no transaction and takes no
//! lock beyond the catalog's. Cheap when there is nothing new.
void CollectGarbage(DatabaseInstance &instance) noexcept;

} // namespace duckdb
