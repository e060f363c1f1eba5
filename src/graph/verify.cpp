#include "graph/verify.hpp"

#include "base/checksum.hpp"
#include "base/error.hpp"
#include "graph/places.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace lm_diskann {

namespace {

//! Calls `run(node, view)` for each node in a page.
template <class FUNCTION>
void ForEachNodeOf(const Graph &graph, const uint8_t *page, PageId id, FUNCTION &&run) {
	for (uint32_t place = 0; place < graph.layout.nodes_per_page; place++) {
		const NodeId node(id.value * graph.layout.nodes_per_page + place);
		const NodeView view(graph.layout, page, node, graph.node_end);
		if (view.Row() != NO_ROW || view.Degree() > 0) {
			run(node, view);
		}
	}
}

//! Of bits, as a scalar may be NaN where vectors are as large as floats get.
uint64_t HashOfCode(const CodeScalars &scalars, const uint8_t *code, uint32_t code_bytes) {
	uint8_t bytes[sizeof(scalars.factor) + sizeof(scalars.bias) + sizeof(scalars.reference)];
	std::memcpy(bytes, &scalars.factor, sizeof(scalars.factor));
	std::memcpy(bytes + 4, &scalars.bias, sizeof(scalars.bias));
	std::memcpy(bytes + 8, &scalars.reference, sizeof(scalars.reference));
	return Checksum(ConstByteSpan(code, code_bytes), Checksum(ConstByteSpan(bytes, sizeof(bytes)), 0));
}

class GraphVerifier {
public:
	GraphVerifier(const Graph &graph_p, const ExtentSet &node_pages_p, const PageFile &file_p, size_t violation_max_p)
	    : graph(graph_p), node_pages(node_pages_p), file(file_p), violation_max(violation_max_p),
	      places(node_pages_p, graph_p.layout.nodes_per_page), page(file_p.PageSize()), decoded(graph_p.layout.dims),
	      code(graph_p.layout.code_bytes) {
	}

	std::vector<std::string> Run(const std::function<void(NodeId, const NodeView &)> &visit) {
		// A lossy own vector cannot give its code again.
		const bool can_encode = graph.layout.storage == VectorStorage::NATIVE;
		// No more than the file has room for, whatever is said of its pages.
		code_hashes.reserve(std::min(places.Count(), file.SizeBytes() / page.size() * graph.layout.nodes_per_page));
		ForEachPage([&](PageId page_id) {
			ForEachNodeOf(graph, page.data(), page_id, [&](NodeId id, const NodeView &node) {
				visit(id, node);
				CheckNode(id, node);
			});
			if (can_encode && violations.empty()) {
				HashCodesOf(page_id);
			}
		});
		for (size_t k = 0; k < graph.entries.size(); k++) {
			if (graph.entries[k] != NO_NODE && !Exists(graph.entries[k])) {
				Report("entry " + std::to_string(k) + " names node " + std::to_string(graph.entries[k].value) +
				       ", which does not exist");
			}
		}
		if (can_encode && violations.empty()) {
			CheckCodes();
		}
		return std::move(violations);
	}

private:
	void Report(const std::string &violation) {
		if (violations.size() < violation_max) {
			violations.push_back(violation);
		}
	}

	bool Exists(NodeId node) const {
		return node_pages.Contains(graph.layout.PageOf(node).value);
	}

	//! Calls `run(id)` for each page, which is in `page` then.
	template <class FUNCTION>
	void ForEachPage(FUNCTION &&run) {
		for (const auto &[first, count] : node_pages.All()) {
			for (uint32_t i = 0; i < count && violations.size() < violation_max; i++) {
				try {
					file.ReadPage(PageId(first + i), PageKind::NODES, page.span());
					run(PageId(first + i));
				} catch (const CorruptionError &error) {
					Report(error.what());
				}
			}
		}
	}

	void CheckNode(NodeId id, const NodeView &node) {
		const std::string name = "node " + std::to_string(id.value);
		std::vector<uint32_t> ids(node.Ids(), node.Ids() + node.Degree());
		std::sort(ids.begin(), ids.end());
		if (std::adjacent_find(ids.begin(), ids.end()) != ids.end()) {
			Report(name + " names a neighbor twice");
		}
		if (std::binary_search(ids.begin(), ids.end(), id.value)) {
			Report(name + " names itself as neighbor");
		}
		if (node.Row().value < 0 && node.Row() != NO_ROW) {
			Report(name + " has row id " + std::to_string(node.Row().value));
		}
		for (const uint32_t neighbor : ids) {
			if (!Exists(NodeId(neighbor))) {
				Report(name + " has an edge to node " + std::to_string(neighbor) + ", which does not exist");
			}
		}
		if (!IsFinite(node)) {
			Report(name + " has a vector that is not finite");
		}
	}

	bool IsFinite(const NodeView &node) {
		const float *vector = node.Vector(decoded.data());
		return std::all_of(vector, vector + graph.layout.dims, [](float value) { return std::isfinite(value); });
	}

	//! Of all places: a node without row and edges looks like one that is free, but edges may lead to it.
	void HashCodesOf(PageId page_id) {
		for (uint32_t place = 0; place < graph.layout.nodes_per_page; place++) {
			const NodeView node(graph.layout, page.data(), NodeId(page_id.value * graph.layout.nodes_per_page + place),
			                    graph.node_end);
			uint64_t hash = 0;
			if (IsFinite(node)) {
				const CodeScalars scalars =
				    graph.quantizer.Encode(node.Vector(decoded.data()), code.data(), encode_scratch);
				hash = HashOfCode(scalars, code.data(), graph.layout.code_bytes);
			}
			code_hashes.push_back(hash);
		}
	}

	void CheckCodes() {
		ForEachPage([&](PageId page_id) {
			ForEachNodeOf(graph, page.data(), page_id, [&](NodeId id, const NodeView &node) {
				for (uint32_t i = 0; i < node.Degree(); i++) {
					const uint64_t hash = HashOfCode(node.Scalars(i), node.Code(i), graph.layout.code_bytes);
					const Place neighbor = places.Of(node.Neighbor(i));
					if (neighbor >= code_hashes.size() || hash != code_hashes[neighbor]) {
						Report("node " + std::to_string(id.value) + " holds a code of neighbor " +
						       std::to_string(node.Neighbor(i).value) + " that is not the neighbor's");
					}
				}
			});
		});
	}

	const Graph &graph;
	const ExtentSet &node_pages;
	const PageFile &file;
	size_t violation_max;
	const Places places;
	//! By place, of the node's own vector.
	std::vector<uint64_t> code_hashes;
	AlignedBuffer<uint8_t> page;
	std::vector<float> decoded, encode_scratch;
	std::vector<uint8_t> code;
	std::vector<std::string> violations;
};

} // namespace

std::vector<std::string> VerifyGraph(const Graph &graph, const ExtentSet &node_pages, const PageFile &file,
                                     size_t violation_max,
                                     const std::function<void(NodeId node, const NodeView &view)> &visit) {
	return GraphVerifier(graph, node_pages, file, violation_max).Run(visit);
}

uint64_t VerifyGraphMemoryBytes(uint64_t place_count) {
	return place_count * sizeof(uint64_t);
}

void ForEachNode(const Graph &graph, const ExtentSet &node_pages, const PageFile &file,
                 const std::function<void(NodeId node, const NodeView &view)> &visit) {
	const AlignedBuffer<uint8_t> page(file.PageSize());
	for (const auto &[first, count] : node_pages.All()) {
		for (uint32_t i = 0; i < count; i++) {
			file.ReadPage(PageId(first + i), PageKind::NODES, page.span());
			ForEachNodeOf(graph, page.data(), PageId(first + i), visit);
		}
	}
}

} // namespace lm_diskann
