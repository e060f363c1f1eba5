// How one build divides its memory among its phases.
//
// What is held for each row decides: rounded vectors and edges while linking, codes and edges while writing. The rows
// themselves get what is left, and lie in the scratch file beyond it.
#pragma once

#include "graph/build_rows.hpp"
#include "index/options.hpp"

namespace lm_diskann {

//! Bytes that each phase holds beside the rows.
struct BuildPlan {
	//! Bits of a dimension in the BuildSpace.
	uint32_t bits = 0;
	//! Rows are linked by cells.
	bool has_cells = false;
	uint64_t sample_rows = 0;
	uint64_t training_bytes = 0;
	uint64_t arranging_bytes = 0;
	uint64_t linking_bytes = 0;
	uint64_t writing_bytes = 0;

	uint64_t LargestBytes() const;
};

//! The plan for so many rows, and the least memory it needs with `rows` in the scratch file (or in RAM when
//! `has_scratch` is false). Throws MemoryError when `memory_max` is less.
BuildPlan PlanBuild(const IndexConfiguration &configuration, const NodeLayout &layout, const BuildRows &rows,
                    uint64_t row_count, uint64_t memory_max, bool has_scratch);

} // namespace lm_diskann
