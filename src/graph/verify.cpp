#include "graph/verify.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace lm_diskann {

namespace {

//! Nodes whose codes are compared in one pass over the file; bounds the memory.
constexpr uint64_t CODE_WINDOW = 65536;

//! The codes of nodes [first, first + count), encoded from their own vectors.
struct CodeWindow {
	uint64_t first = 0;
	uint64_t count = 0;
	std::vector<CodeScalars> scalars;
	std::vector<uint8_t> codes;
};

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

uint32_t BitsOf(float value) {
	uint32_t bits = 0;
	std::memcpy(&bits, &value, sizeof(bits));
	return bits;
}

class GraphVerifier {
public:
	GraphVerifier(const Graph &graph_p, const ExtentSet &node_pages_p, const PageFile &file_p, size_t violation_max_p)
	    : graph(graph_p), node_pages(node_pages_p), file(file_p), violation_max(violation_max_p),
	      page(file_p.PageSize()), decoded(graph_p.layout.dims) {
	}

	std::vector<std::string> Run(const std::function<void(NodeId, const NodeView &)> &visit) {
		ForEachView([&](NodeId id, const NodeView &node) {
			visit(id, node);
			CheckNode(id, node);
		});
		for (size_t k = 0; k < graph.entries.size(); k++) {
			if (graph.entries[k] != NO_NODE && !Exists(graph.entries[k])) {
				Report("entry " + std::to_string(k) + " names node " + std::to_string(graph.entries[k].value) +
				       ", which does not exist");
			}
		}
		// A lossy own vector cannot give its code again.
		const bool can_encode = graph.layout.storage == VectorStorage::NATIVE;
		uint64_t next = 0;
		for (const auto &[page, count] : node_pages.All()) {
			const uint64_t end = (uint64_t(page) + count) * graph.layout.nodes_per_page;
			next = std::max(next, uint64_t(page) * graph.layout.nodes_per_page);
			for (; can_encode && violations.empty() && next < end; next += CODE_WINDOW) {
				CheckCodes(next);
			}
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

	template <class FUNCTION>
	void ForEachView(FUNCTION &&run) {
		ForEachPage([&](PageId id) { ForEachNodeOf(graph, page.data(), id, run); });
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
		const float *vector = node.Vector(decoded.data());
		if (!std::all_of(vector, vector + graph.layout.dims, [](float value) { return std::isfinite(value); })) {
			Report(name + " has a vector that is not finite");
		}
	}

	void CheckCodes(uint64_t first) {
		const uint32_t code_bytes = graph.layout.code_bytes;
		CodeWindow window;
		window.first = first;
		window.count = std::min<uint64_t>(CODE_WINDOW, graph.node_end - first);
		window.scalars.resize(window.count);
		window.codes.resize(window.count * code_bytes);
		std::vector<float> scratch;
		// Of all places: a node without row and edges looks like one that is free, but edges may lead to it.
		ForEachPage([&](PageId page_id) {
			for (uint32_t place = 0; place < graph.layout.nodes_per_page; place++) {
				const NodeId id(page_id.value * graph.layout.nodes_per_page + place);
				const uint64_t at = id.value - first; // wraps below the window
				if (at < window.count) {
					const NodeView node(graph.layout, page.data(), id, graph.node_end);
					window.scalars[at] = graph.quantizer.Encode(node.Vector(decoded.data()),
					                                            window.codes.data() + at * code_bytes, scratch);
				}
			}
		});
		ForEachView([&](NodeId id, const NodeView &node) {
			for (uint32_t i = 0; i < node.Degree(); i++) {
				const uint64_t at = node.Neighbor(i).value - first;
				if (at < window.count && !EdgeEquals(node, i, window, at)) {
					Report("node " + std::to_string(id.value) + " holds a code of neighbor " +
					       std::to_string(node.Neighbor(i).value) + " that is not the neighbor's");
				}
			}
		});
	}

	bool EdgeEquals(const NodeView &node, uint32_t edge, const CodeWindow &window, uint64_t at) const {
		const uint32_t code_bytes = graph.layout.code_bytes;
		const CodeScalars &scalars = window.scalars[at];
		// Bits are compared, as a scalar may be NaN where vectors are as large as floats get.
		return node.Scalars(edge).reference == scalars.reference &&
		       BitsOf(node.Factors()[edge]) == BitsOf(scalars.factor) &&
		       BitsOf(node.Biases()[edge]) == BitsOf(scalars.bias) &&
		       std::memcmp(node.Codes() + size_t(edge) * code_bytes, window.codes.data() + at * code_bytes,
		                   code_bytes) == 0;
	}

	const Graph &graph;
	const ExtentSet &node_pages;
	const PageFile &file;
	size_t violation_max;
	AlignedBuffer<uint8_t> page;
	std::vector<float> decoded;
	std::vector<std::string> violations;
};

} // namespace

std::vector<std::string> VerifyGraph(const Graph &graph, const ExtentSet &node_pages, const PageFile &file,
                                     size_t violation_max,
                                     const std::function<void(NodeId node, const NodeView &view)> &visit) {
	return GraphVerifier(graph, node_pages, file, violation_max).Run(visit);
}

uint64_t VerifyGraphMemoryBytes(const NodeLayout &layout, uint64_t place_count) {
	return std::min(CODE_WINDOW, place_count) * (layout.code_bytes + sizeof(CodeScalars));
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
