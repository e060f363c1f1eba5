// The words of the vector layer that options and file format share. The numbers are on disk: never change them.
#pragma once

#include <cstdint>

namespace lm_diskann {

//! Distances as DuckDB's functions order them. L2SQ is the squared Euclidean distance; COSINE is 1 - cosine
//! similarity; IP is the negative inner product. Smaller is nearer in all three.
enum class Metric : uint8_t { L2SQ = 0, COSINE = 1, IP = 2 };

//! Element type of the indexed column.
enum class ElementType : uint8_t { FLOAT32 = 0, INT8 = 1 };

//! Compressed form of a neighbour's vector; bits per dimension 2, 1, 2, 4.
enum class CodeFamily : uint8_t { TERNARY = 0, ONE_BIT = 1, TWO_BIT = 2, FOUR_BIT = 3 };

//! How a node keeps its own vector: as the column has it, as half floats, or as int8 with one scale a vector.
enum class VectorStorage : uint8_t { NATIVE = 0, F16 = 1, INT8 = 2 };

} // namespace lm_diskann
