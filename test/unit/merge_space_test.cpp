// Property: what a merge knows of the nodes it meets is what they are, whatever it has forgotten for want of room, and
// whether a code is found in the block of another node or made anew.
#include "graph/merge_space.hpp"
#include "storage/memory_file.hpp"
#include "unit/test_vectors.hpp"

#include <gtest/gtest.h>

namespace lm_diskann {
namespace {

constexpr uint32_t DIMS = 16, NODES = 60, EDGES = 3, ROWS = 2;
constexpr uint64_t SEED = 11;

//! A graph in which the edges of each node lead to those before it, and none to the last.
class MergeSpaceTest : public testing::Test {
protected:
	MergeSpaceTest()
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
	~MergeSpaceTest() override {
		cache.Detach(graph.file_key);
	}

	const float *Vector(uint32_t i) const {
		return vectors.data() + size_t(i) * DIMS;
	}
	void AddRows(MergeSpace &space) const {
		for (uint32_t row = 0; row < ROWS; row++) {
			space.AddRow(NodeId(uint32_t(graph.node_end) + row), Vector(NODES + row));
		}
	}

	std::vector<float> vectors, scratch;
	std::unique_ptr<PageFile> file;
	PageCache cache {uint64_t(1) << 20};
	Graph graph;
	std::vector<NodeId> ids;
	std::vector<std::vector<uint8_t>> codes;
	std::vector<CodeScalars> scalars;
};

TEST_F(MergeSpaceTest, KnowsNodesHoweverManyItHasForgotten) {
	constexpr uint32_t TOGETHER = 5, ROOM = 8;
	MergeSpace roomy(graph, ROWS, NODES);
	MergeSpace space(graph, ROWS, ROOM);
	AddRows(roomy);
	AddRows(space);
	std::vector<NodeId> all;
	roomy.MakeRoom(NODES);
	roomy.Meet({ids.data(), ids.size()}, all);
	for (uint32_t round = 0; round < 40; round++) {
		// Some are met again before they are forgotten, some after.
		const uint32_t begin = round * 3 % (NODES - TOGETHER);
		std::vector<NodeId> places;
		space.MakeRoom(TOGETHER);
		space.Meet({ids.data() + begin, TOGETHER}, places);
		ASSERT_EQ(places.size(), TOGETHER);
		BuildDistance distance(space.Vectors()), expected(roomy.Vectors());
		for (uint32_t i = 0; i < TOGETHER; i++) {
			SCOPED_TRACE("round " + std::to_string(round) + ", node " + std::to_string(begin + i));
			EXPECT_FALSE(space.IsRow(places[i]));
			EXPECT_LT(places[i].value, ROWS + ROOM);
			EXPECT_EQ(space.IdAt(places[i]), ids[begin + i]);
			float found = 0, wanted = 0;
			distance(NodeId(round % ROWS), {&places[i], 1}, &found);
			expected(NodeId(round % ROWS), {&all[begin + i], 1}, &wanted);
			EXPECT_EQ(found, wanted);
			const NodeEdge edge = space.EdgeTo(places[i], true);
			EXPECT_EQ(edge.id, ids[begin + i]);
			EXPECT_TRUE(edge.is_anchor);
			EXPECT_EQ(edge.scalars.factor, scalars[begin + i].factor);
			EXPECT_EQ(std::vector<uint8_t>(edge.code, edge.code + graph.layout.code_bytes), codes[begin + i]);
		}
	}
}

} // namespace
} // namespace lm_diskann
