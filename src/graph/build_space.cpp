#include "graph/build_space.hpp"

#include "graph/edge_space.hpp"
#include "vector/distance.hpp"

#include <cmath>
#include <cstring>

namespace lm_diskann {

namespace {

size_t ElementBytes(ElementType type) {
	return type == ElementType::FLOAT32 ? sizeof(float) : sizeof(int8_t);
}

size_t Stride(ElementType type, uint32_t dims) {
	return (dims * ElementBytes(type) + 63) / 64 * 64;
}

} // namespace

BuildSpace::BuildSpace(Metric metric_p, ElementType element_type_p, uint32_t dims_p, size_t count_p)
    : metric(metric_p), element_type(element_type_p), dims(dims_p), count(count_p),
      stride(Stride(element_type_p, dims_p)), vectors(count_p * stride), norms(count_p) {
}

uint64_t BuildSpace::MemoryBytes(ElementType element_type, uint32_t dims, size_t count) {
	return count * (Stride(element_type, dims) + sizeof(float));
}

void BuildSpace::Set(NodeId node, const void *vector) {
	std::memcpy(vectors.data() + node.value * stride, vector, dims * ElementBytes(element_type));
	norms[node.value] = std::sqrt(Product(node, node));
}

const float *BuildSpace::Floats(NodeId node) const {
	return element_type == ElementType::FLOAT32 ? reinterpret_cast<const float *>(vectors.data() + node.value * stride)
	                                            : nullptr;
}

const int8_t *BuildSpace::Bytes(NodeId node) const {
	return element_type == ElementType::INT8 ? reinterpret_cast<const int8_t *>(vectors.data() + node.value * stride)
	                                         : nullptr;
}

const float *BuildSpace::AsFloats(NodeId node, float *scratch) const {
	if (element_type == ElementType::FLOAT32) {
		return Floats(node);
	}
	WidenInt8(Bytes(node), scratch, dims);
	return scratch;
}

void BuildSpace::Prefetch(NodeId node) const {
	const uint8_t *vector = vectors.data() + node.value * stride;
	// The hardware streams the rest once the first lines are asked for.
	for (size_t offset = 0; offset < std::min<size_t>(stride, 512); offset += 64) {
		__builtin_prefetch(vector + offset);
	}
}

float BuildSpace::Product(NodeId a, NodeId b) const {
	return element_type == ElementType::FLOAT32 ? InnerProduct(Floats(a), Floats(b), dims)
	                                            : InnerProduct(Bytes(a), Bytes(b), dims);
}

float BuildSpace::Distance(NodeId a, NodeId b) const {
	switch (metric) {
	case Metric::L2SQ:
		return element_type == ElementType::FLOAT32 ? SquaredL2(Floats(a), Floats(b), dims)
		                                            : SquaredL2(Bytes(a), Bytes(b), dims);
	case Metric::COSINE:
	case Metric::IP:
		break;
	}
	return PruneDistance(metric, Product(a, b), Norm(a), Norm(b), norm_max);
}

} // namespace lm_diskann
