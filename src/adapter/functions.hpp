// The table functions lm_diskann_index_info(), lm_diskann_stats() and lm_diskann_verify('idx'), and the pragma
// lm_diskann_rebuild('idx').
#pragma once

namespace duckdb {

class ExtensionLoader;

void RegisterFunctions(ExtensionLoader &loader);

} // namespace duckdb
