// The table functions lm_diskann_index_info(), lm_diskann_stats() and lm_diskann_verify('idx'), and the pragmas
// lm_diskann_rebuild('idx') and lm_diskann_compact('idx').
#pragma once

namespace duckdb {

class ExtensionLoader;

void RegisterFunctions(ExtensionLoader &loader);

} // namespace duckdb
