// A node as bytes: the LM-DiskANN block. One node holds its own vector, the ids of its neighbours and a compressed copy
// of each neighbour's vector, so one read gives an exact distance and estimates for all neighbours.
//
//   page  = PageHead (32 bytes) | node 0 | node 1 | ... | zeros
//   node  = NodeHead (32 bytes) | own vector | ids u32[R] | factors f32[R] | biases f32[R] | references u16[R] |
//   codes[R]
//
// Arrays have room for R entries; the first `degree` count. Every section starts at a multiple of 4 bytes.
#pragma once

#include "base/types.hpp"
#include "storage/format.hpp"
#include "vector/quantizer.hpp"

#include <vector>

namespace lm_diskann {

//! First bytes of a node.
struct NodeHead {
	int64_t row_id;
	uint16_t degree;
	//! The last so many edges only fill room that would be empty without them.
	uint16_t fill_count;
	uint16_t reserved[2];
	//! INT8 storage: value = scale * byte. 1 elsewhere.
	float scale;
	uint32_t reserved_end[3];
};
static_assert(sizeof(NodeHead) == 32);

//! Row of a node that stands for none: its row was replaced, or the place was never used. DO NOT CHANGE: it is on disk.
static constexpr RowId NO_ROW = RowId(-1);

//! In an edge's reference: the neighbour relies on this edge to be reached, so no pruning may drop it. The edges marked
//! so form a forest whose roots are entries. DO NOT CHANGE: it is on disk.
static constexpr uint16_t ANCHOR_BIT = 0x8000;

//! Where everything lies. Derived from the configuration alone, so it is never stored.
struct NodeLayout {
	uint32_t page_size = 0;
	uint32_t dims = 0;
	ElementType element_type = ElementType::FLOAT32;
	VectorStorage storage = VectorStorage::NATIVE;
	uint32_t max_degree = 0;
	uint32_t code_bytes = 0;

	uint32_t ids_offset = 0;
	uint32_t factors_offset = 0;
	uint32_t biases_offset = 0;
	uint32_t references_offset = 0;
	uint32_t codes_offset = 0;
	uint32_t node_bytes = 0;
	uint32_t nodes_per_page = 0;

	//! nodes_per_page is 0 when one node does not fit `page_size`.
	static NodeLayout Create(uint32_t page_size, uint32_t dims, ElementType element_type, VectorStorage storage,
	                         uint32_t max_degree, CodeFamily family);
	//! Largest degree with which one node fits `page_size`; 0 when not even one neighbour does.
	static uint32_t DegreeThatFits(uint32_t page_size, uint32_t dims, ElementType element_type, VectorStorage storage,
	                               CodeFamily family);

	PageId PageOf(NodeId node) const {
		return PageId(node.value / nodes_per_page);
	}
	uint32_t OffsetOf(NodeId node) const {
		return uint32_t(sizeof(PageHead)) + (node.value % nodes_per_page) * node_bytes;
	}
	uint64_t PageCount(uint64_t node_count) const {
		return (node_count + nodes_per_page - 1) / nodes_per_page;
	}
};

//! Bytes of one stored own vector.
uint32_t StoredVectorBytes(ElementType element_type, VectorStorage storage, uint32_t dims);

//! Writes an own vector as a node has it to `stored`, StoredVectorBytes; returns its scale. Exactly one of `floats` and
//! `bytes` is set: the vector as the column has it.
float StoreVector(const NodeLayout &layout, uint8_t *stored, const float *floats, const int8_t *bytes);
//! What was stored, as `dims` floats: in place when it is stored so, else decoded into `scratch` (`dims` floats).
const float *LoadVector(const NodeLayout &layout, const uint8_t *stored, float scale, float *scratch);

//! A node inside a verified page. Degree and ids are bounded at construction (storage law 6).
class NodeView {
public:
	//! `page` is page_size bytes. Throws CorruptionError when the degree exceeds the layout's or a neighbour is not
	//! below `node_end`.
	NodeView(const NodeLayout &layout_p, const uint8_t *page, NodeId node, uint64_t node_end);

	RowId Row() const {
		return RowId(head.row_id);
	}
	uint32_t Degree() const {
		return head.degree;
	}
	//! True for an edge that goes first where room is needed: it fills room, and nobody relies on it.
	bool IsFill(uint32_t index) const {
		return index + head.fill_count >= head.degree && !IsAnchor(index);
	}
	float Scale() const {
		return head.scale;
	}
	NodeId Neighbor(uint32_t index) const {
		return NodeId(Ids()[index]);
	}
	const uint32_t *Ids() const {
		return reinterpret_cast<const uint32_t *>(node + layout.ids_offset);
	}
	const float *Factors() const {
		return reinterpret_cast<const float *>(node + layout.factors_offset);
	}
	const float *Biases() const {
		return reinterpret_cast<const float *>(node + layout.biases_offset);
	}
	const uint16_t *References() const {
		return reinterpret_cast<const uint16_t *>(node + layout.references_offset);
	}
	const uint8_t *Codes() const {
		return node + layout.codes_offset;
	}
	CodeScalars Scalars(uint32_t index) const {
		return {Factors()[index], Biases()[index], uint16_t(References()[index] & ~ANCHOR_BIT)};
	}
	bool IsAnchor(uint32_t index) const {
		return (References()[index] & ANCHOR_BIT) != 0;
	}
	const uint8_t *Code(uint32_t index) const {
		return Codes() + size_t(index) * layout.code_bytes;
	}
	//! The own vector, see LoadVector.
	const float *Vector(float *scratch) const;

private:
	const NodeLayout &layout;
	const uint8_t *node;
	NodeHead head;
};

//! One neighbour as it is written into a block.
struct NodeEdge {
	NodeId id;
	CodeScalars scalars;
	const uint8_t *code = nullptr;
	bool is_anchor = false;
};

//! The edges of a node that stay, by position, and those that come; of both some that only fill room.
struct EdgeEdit {
	NodeId node;
	std::vector<uint16_t> kept;
	std::vector<NodeEdge> added;
	std::vector<uint16_t> kept_fill;
	std::vector<NodeEdge> added_fill;
};

//! Writes a whole node into `page` (zeroed, page_size bytes). Exactly one of `floats` and `bytes` is set: the vector as
//! the column has it. The last `fill_count` edges only fill room.
void WriteNode(const NodeLayout &layout, uint8_t *page, NodeId node, RowId row_id, const float *floats,
               const int8_t *bytes, Span<const NodeEdge> edges, size_t fill_count);

//! Changes the edges of the node in `page`, which is edit.node.
void EditNode(const NodeLayout &layout, uint8_t *page, const EdgeEdit &edit);

//! Takes the row from the node in `page`: it stands for none, and searches only pass through it.
void ClearRow(const NodeLayout &layout, uint8_t *page, NodeId node);

//! Leaves no trace of the node in `page`: its place is free.
void WipeNode(const NodeLayout &layout, uint8_t *page, NodeId node);

} // namespace lm_diskann
