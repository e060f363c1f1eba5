#include "graph/node.hpp"

#include "base/error.hpp"
#include "vector/convert.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace lm_diskann {

namespace {

//! Bytes of one edge beside its code: id, factor, bias, reference.
constexpr uint32_t EDGE_SCALAR_BYTES = 4 + 4 + 4 + 2;

uint32_t AlignUp(uint32_t bytes) {
	return (bytes + 3) / 4 * 4;
}

//! Rounds to int8 with one scale for the vector; returns the scale.
float StoreInt8(const float *vector, uint8_t *target, uint32_t dims) {
	float largest = 0;
	for (uint32_t i = 0; i < dims; i++) {
		largest = std::max(largest, std::fabs(vector[i]));
	}
	const float scale = largest > 0 ? largest / 127.0F : 1.0F;
	for (uint32_t i = 0; i < dims; i++) {
		target[i] = uint8_t(int8_t(std::lrintf(vector[i] / scale)));
	}
	return scale;
}

//! The arrays of one node's edges, for writing.
class EdgeArrays {
public:
	EdgeArrays(const NodeLayout &layout, uint8_t *node)
	    : code_bytes(layout.code_bytes), ids(reinterpret_cast<uint32_t *>(node + layout.ids_offset)),
	      factors(reinterpret_cast<float *>(node + layout.factors_offset)),
	      biases(reinterpret_cast<float *>(node + layout.biases_offset)),
	      references(reinterpret_cast<uint16_t *>(node + layout.references_offset)), codes(node + layout.codes_offset) {
	}

	void Set(size_t index, const NodeEdge &edge) const {
		ids[index] = edge.id.value;
		factors[index] = edge.scalars.factor;
		biases[index] = edge.scalars.bias;
		references[index] = uint16_t(edge.scalars.reference | (edge.is_anchor ? ANCHOR_BIT : 0));
		std::memcpy(codes + index * code_bytes, edge.code, code_bytes);
	}
	//! Takes edge `from` of `other`, another place in memory.
	void Copy(const EdgeArrays &other, size_t from, size_t to) const {
		ids[to] = other.ids[from];
		factors[to] = other.factors[from];
		biases[to] = other.biases[from];
		references[to] = other.references[from];
		std::memcpy(codes + to * code_bytes, other.codes + from * code_bytes, code_bytes);
	}
	void Clear(size_t index) const {
		ids[index] = 0;
		factors[index] = 0;
		biases[index] = 0;
		references[index] = 0;
		std::memset(codes + index * code_bytes, 0, code_bytes);
	}

private:
	uint32_t code_bytes;
	uint32_t *ids;
	float *factors;
	float *biases;
	uint16_t *references;
	uint8_t *codes;
};

} // namespace

uint32_t StoredVectorBytes(ElementType element_type, VectorStorage storage, uint32_t dims) {
	if (element_type == ElementType::INT8 || storage == VectorStorage::INT8) {
		return AlignUp(dims);
	}
	return storage == VectorStorage::F16 ? AlignUp(2 * dims) : 4 * dims;
}

NodeLayout NodeLayout::Create(uint32_t page_size, uint32_t dims, ElementType element_type, VectorStorage storage,
                              uint32_t max_degree, CodeFamily family) {
	NodeLayout layout;
	layout.page_size = page_size;
	layout.dims = dims;
	layout.element_type = element_type;
	layout.storage = storage;
	layout.max_degree = max_degree;
	layout.code_bytes = uint32_t(Quantizer::CodeBytes(family, dims));
	layout.ids_offset = uint32_t(sizeof(NodeHead)) + StoredVectorBytes(element_type, storage, dims);
	layout.factors_offset = layout.ids_offset + 4 * max_degree;
	layout.biases_offset = layout.factors_offset + 4 * max_degree;
	layout.references_offset = layout.biases_offset + 4 * max_degree;
	layout.codes_offset = layout.references_offset + AlignUp(2 * max_degree);
	layout.node_bytes = AlignUp(layout.codes_offset + layout.code_bytes * max_degree);
	layout.nodes_per_page = (page_size - uint32_t(sizeof(PageHead))) / layout.node_bytes;
	return layout;
}

uint32_t NodeLayout::DegreeThatFits(uint32_t page_size, uint32_t dims, ElementType element_type, VectorStorage storage,
                                    CodeFamily family) {
	const uint32_t fixed =
	    uint32_t(sizeof(PageHead) + sizeof(NodeHead)) + StoredVectorBytes(element_type, storage, dims);
	const uint32_t edge_bytes = EDGE_SCALAR_BYTES + uint32_t(Quantizer::CodeBytes(family, dims));
	const uint32_t degree = page_size > fixed ? (page_size - fixed) / edge_bytes : 0;
	// An odd number of references is padded by two bytes.
	const bool has_room = fixed + degree * edge_bytes + 2 * (degree % 2) <= page_size;
	return has_room || degree == 0 ? degree : degree - 1;
}

NodeView::NodeView(const NodeLayout &layout_p, const uint8_t *page, NodeId node_id, uint64_t node_end)
    : layout(layout_p), node(page + layout_p.OffsetOf(node_id)), head() {
	std::memcpy(&head, node, sizeof(head));
	if (head.degree > layout.max_degree) {
		throw CorruptionError("node " + std::to_string(node_id.value) + " has degree " + std::to_string(head.degree) +
		                      ", at most " + std::to_string(layout.max_degree) + " was expected");
	}
	// Without a way out, so that the compiler compares many ids at once.
	uint32_t largest = 0;
	for (uint32_t i = 0; i < head.degree; i++) {
		largest = std::max(largest, Ids()[i]);
	}
	if (head.degree > 0 && largest >= node_end) {
		throw CorruptionError("node " + std::to_string(node_id.value) + " names neighbor " + std::to_string(largest) +
		                      ", all nodes are below " + std::to_string(node_end));
	}
}

const float *NodeView::Vector(float *scratch) const {
	return LoadVector(layout, node + sizeof(NodeHead), head.scale, scratch);
}

const float *LoadVector(const NodeLayout &layout, const uint8_t *stored, float scale, float *scratch) {
	if (layout.element_type == ElementType::INT8) {
		WidenInt8(reinterpret_cast<const int8_t *>(stored), scratch, layout.dims);
		return scratch;
	}
	switch (layout.storage) {
	case VectorStorage::NATIVE:
		return reinterpret_cast<const float *>(stored);
	case VectorStorage::F16:
		HalfToFloat(reinterpret_cast<const uint16_t *>(stored), scratch, layout.dims);
		return scratch;
	case VectorStorage::INT8:
		WidenInt8(reinterpret_cast<const int8_t *>(stored), scratch, layout.dims);
		for (uint32_t i = 0; i < layout.dims; i++) {
			scratch[i] *= scale;
		}
		return scratch;
	}
	throw CorruptionError("unknown form of stored vectors");
}

float StoreVector(const NodeLayout &layout, uint8_t *stored, const float *floats, const int8_t *bytes) {
	if (layout.element_type == ElementType::INT8) {
		std::memcpy(stored, bytes, layout.dims);
	} else if (layout.storage == VectorStorage::F16) {
		FloatToHalf(floats, reinterpret_cast<uint16_t *>(stored), layout.dims);
	} else if (layout.storage == VectorStorage::INT8) {
		return StoreInt8(floats, stored, layout.dims);
	} else {
		std::memcpy(stored, floats, 4 * size_t(layout.dims));
	}
	return 1;
}

void WriteNode(const NodeLayout &layout, uint8_t *page, NodeId node, RowId row_id, const float *floats,
               const int8_t *bytes, Span<const NodeEdge> edges, size_t fill_count) {
	LMD_CHECK(edges.size() <= layout.max_degree, "a node has more neighbors than its block has room for");
	LMD_CHECK(fill_count <= edges.size(), "the edges that fill room are edges");
	uint8_t *target = page + layout.OffsetOf(node);
	NodeHead head = {};
	head.row_id = row_id.value;
	head.degree = uint16_t(edges.size());
	head.fill_count = uint16_t(fill_count);
	head.scale = StoreVector(layout, target + sizeof(NodeHead), floats, bytes);
	std::memcpy(target, &head, sizeof(head));

	const EdgeArrays arrays(layout, target);
	for (size_t i = 0; i < edges.size(); i++) {
		arrays.Set(i, edges[i]);
	}
}

void EditNode(const NodeLayout &layout, uint8_t *page, const EdgeEdit &edit) {
	const size_t fill_count = edit.kept_fill.size() + edit.added_fill.size();
	const size_t degree = edit.kept.size() + edit.added.size() + fill_count;
	LMD_CHECK(degree <= layout.max_degree, "a node has more neighbors than its block has room for");
	uint8_t *target = page + layout.OffsetOf(edit.node);
	std::vector<uint8_t> former_bytes(target, target + layout.node_bytes);
	NodeHead head = {};
	std::memcpy(&head, target, sizeof(head));
	const EdgeArrays former(layout, former_bytes.data());
	const EdgeArrays arrays(layout, target);
	size_t end = 0;
	const auto keep = [&](const std::vector<uint16_t> &kept) {
		for (const uint16_t position : kept) {
			LMD_CHECK(position < head.degree, "an edit keeps an edge that is not there");
			arrays.Copy(former, position, end++);
		}
	};
	const auto add = [&](const std::vector<NodeEdge> &added) {
		for (const NodeEdge &edge : added) {
			arrays.Set(end++, edge);
		}
	};
	keep(edit.kept);
	add(edit.added);
	keep(edit.kept_fill);
	add(edit.added_fill);
	for (size_t i = degree; i < head.degree; i++) {
		// No trace of a neighbor stays that was removed.
		arrays.Clear(i);
	}
	head.degree = uint16_t(degree);
	head.fill_count = uint16_t(fill_count);
	std::memcpy(target, &head, sizeof(head));
}

void ClearRow(const NodeLayout &layout, uint8_t *page, NodeId node) {
	uint8_t *target = page + layout.OffsetOf(node);
	NodeHead head = {};
	std::memcpy(&head, target, sizeof(head));
	head.row_id = NO_ROW.value;
	std::memcpy(target, &head, sizeof(head));
}

void WipeNode(const NodeLayout &layout, uint8_t *page, NodeId node) {
	std::memset(page + layout.OffsetOf(node), 0, layout.node_bytes);
	ClearRow(layout, page, node);
}

} // namespace lm_diskann
