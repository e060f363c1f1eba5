// The vectors of a build in RAM, in node order, and the distance the graph is built with.
//
// RobustPrune needs a distance that behaves like a squared Euclidean one. L2SQ is one; for the others see
// PruneDistance.
#pragma once

#include "base/aligned_buffer.hpp"
#include "graph/prune.hpp"
#include "vector/vector_types.hpp"

#include <vector>

namespace lm_diskann {

//! Writes beside each other on distinct nodes; reads by any thread afterwards.
class BuildSpace {
public:
	BuildSpace(Metric metric_p, ElementType element_type_p, uint32_t dims_p, size_t count_p);

	static uint64_t MemoryBytes(ElementType element_type, uint32_t dims, size_t count);

	size_t Count() const {
		return count;
	}
	//! Copies the vector of `node` (in the column's element type).
	void Set(NodeId node, const void *vector);
	//! After the last Set: norms and what the metric derives from them. `norm_max` is the largest of all.
	void SetNormMax(float norm_max_p) {
		norm_max = norm_max_p;
	}
	float NormMax() const {
		return norm_max;
	}
	float Norm(NodeId node) const {
		return norms[node.value];
	}
	const float *Floats(NodeId node) const;
	const int8_t *Bytes(NodeId node) const;
	//! The vector as floats: in place, or widened into `scratch`.
	const float *AsFloats(NodeId node, float *scratch) const;
	//! Fetches the first lines of a vector that is needed soon.
	void Prefetch(NodeId node) const;

	float Distance(NodeId a, NodeId b) const;

private:
	float Product(NodeId a, NodeId b) const;

	Metric metric;
	ElementType element_type;
	uint32_t dims;
	size_t count;
	//! Bytes from one vector to the next; a multiple of 64.
	size_t stride;
	AlignedBuffer<uint8_t> vectors;
	std::vector<float> norms;
	float norm_max = 1;
};

} // namespace lm_diskann
