// An order of vectors in which near ones lie together: searches in that order want blocks that are still in the cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lm_diskann {

//! A permutation of 0..count-1. `vectors`: row-major, `count` x `dims` finite floats. Halves are split along the line
//! between their means, down to a few vectors each; of two halves the one nearer to what lies before comes first.
//! Deterministic. Cost: O(count * log(count) * dims); memory for two numbers a vector.
std::vector<uint32_t> NearnessOrder(const float *vectors, size_t count, size_t dims);

} // namespace lm_diskann
