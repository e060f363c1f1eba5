// A graph of some nodes whose vectors, codes and edges a test knows.
#pragma once

#include "graph/node.hpp"
#include "storage/memory_file.hpp"
#include "unit/test_vectors.hpp"

namespace lm_diskann {

//! The edges of each node lead to those before it, and none to the last. Vectors of ROWS more are there.
struct SmallGraph {
	static constexpr uint32_t DIMS = 16, NODES = 60, EDGES = 3, ROWS = 2;
	static constexpr uint64_t SEED = 11;

	SmallGraph()
	    : vectors(MakeClusteredVectors(NODES + ROWS, DIMS, SEED)),
	      file(PageFile::Create(std::make_unique<MemoryFile>(), 4096, Uuid {1}, {})),
	      graph(Metric::L2SQ,
	            NodeLayout::Create(4096, DIMS, ElementType::FLOAT32, VectorStorage::NATIVE, EDGES, CodeFamily::TWO_BIT),
	            Quantizer::Train(Metric::L2SQ, CodeFamily::TWO_BIT, DIMS, {vectors.data(), vectors.size()}, NODES,
	                             SEED)) {
		graph.cache = &cache;
		graph.file_key = cache.Attach(*file);
		const uint32_t per_page = graph.layout.nodes_per_page;
		const PageId first = file->ReservePages((NODES + per_page - 1) / per_page);
		graph.node_end = uint64_t(file->PageIdEnd()) * per_page;
		AlignedBuffer<uint8_t> page(graph.layout.page_size);
		for (uint32_t i = 0; i < NODES; i++) {
			ids.push_back(NodeId(first.value * per_page + i));
			codes.emplace_back(graph.layout.code_bytes);
			scalars.push_back(graph.quantizer.Encode(Vector(i), codes.back().data(), scratch));
			std::vector<NodeEdge> edges;
			for (uint32_t other = i - std::min(i, EDGES); other < i; other++) {
				edges.push_back({ids[other], scalars[other], codes[other].data(), false});
			}
			WriteNode(graph.layout, page.data(), ids[i], RowId(i), Vector(i), nullptr, edges, 0);
			cache.Put(graph.file_key, graph.layout.PageOf(ids[i]), PageKind::NODES, page.span());
		}
	}
	SmallGraph(const SmallGraph &) = delete;
	SmallGraph &operator=(const SmallGraph &) = delete;
	~SmallGraph() {
		cache.Detach(graph.file_key);
	}

	const float *Vector(uint32_t i) const {
		return vectors.data() + size_t(i) * DIMS;
	}
	std::vector<float> vectors, scratch;
	std::unique_ptr<PageFile> file;
	PageCache cache {uint64_t(1) << 20};
	Graph graph;
	std::vector<NodeId> ids;
	std::vector<std::vector<uint8_t>> codes;
	std::vector<CodeScalars> scalars;
};

} // namespace lm_diskann
