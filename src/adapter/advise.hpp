// FROM lm_diskann_advise('table', 'column' [, options]): what an index would cost and find, before it is built.
#pragma once

namespace duckdb {

class ExtensionLoader;

void RegisterAdvise(ExtensionLoader &loader);

} // namespace duckdb
