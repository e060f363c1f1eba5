// Looking into an index: lm_diskann_calibration('idx'), lm_diskann_nodes('idx'), lm_diskann_trace('idx', vector) and
// lm_diskann_file_parts('idx'). What `make inspect` shows comes from these.
#pragma once

namespace duckdb {

class ExtensionLoader;

void RegisterInspection(ExtensionLoader &loader);

} // namespace duckdb
