// The only place for differences between DuckDB versions. The sources are written against 1.4; the 1.5 series changes
// the virtual functions of BoundIndex, PhysicalOperator and the optimizer's registration (it adds the header tested for
// here), and this file is where the shims for it belong.
#pragma once

#include "duckdb/common/constants.hpp"

#if __has_include("duckdb/common/enums/index_removal_type.hpp")
#error "lm_diskann is written against DuckDB 1.4; this is a later version, whose index interface differs"
#endif

namespace duckdb {

//! Name of the index type in CREATE INDEX ... USING.
static constexpr const char *LM_DISKANN_TYPE_NAME = "LM_DISKANN";

} // namespace duckdb
