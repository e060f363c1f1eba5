// Property: a node gets an anchor however many of those around it have none to give, in a merge as in a compact. The
// graphs are forests of anchors alone, in which all nodes but those at the ends of ways anchor as many as they can.
#include "base/random.hpp"
#include "graph/consolidate.hpp"
#include "graph/merge.hpp"
#include "graph/reach.hpp"
#include "unit/index_rows.hpp"

#include <gtest/gtest.h>

namespace lm_diskann {
namespace {

constexpr uint32_t DIMS = 4, MAX_DEGREE = 4;

//! Node i anchors `children[i]`; searches begin at node 0, at the origin, which all others are far from. Behind them
//! one node is left over, which nobody leads to.
class Forest {
public:
	explicit Forest(const std::vector<std::vector<uint32_t>> &children)
	    : orphan(uint32_t(children.size())), file(PageFile::Create(std::make_unique<MemoryFile>(), 4096, Uuid {1}, {})),
	      graph(Metric::L2SQ,
	            NodeLayout::Create(4096, DIMS, ElementType::FLOAT32, VectorStorage::NATIVE, MAX_DEGREE,
	                               CodeFamily::TWO_BIT),
	            Quantizer::Train(Metric::L2SQ, CodeFamily::TWO_BIT, DIMS, {ORIGIN, DIMS}, 1, 1)) {
		graph.cache = &cache;
		graph.file_key = cache.Attach(*file);
		graph.entries = {NodeId(0)};
		ReservePages(orphan.value + 1);
		AlignedBuffer<uint8_t> page(graph.layout.page_size);
		for (uint32_t id = 0; id <= orphan.value; id++) {
			const std::vector<float> vector(DIMS, id == 0 ? 0.0F : 100 + float(id));
			std::vector<NodeEdge> edges;
			for (const uint32_t child : id < orphan.value ? children[id] : std::vector<uint32_t>()) {
				edges.push_back({NodeId(child), {}, CODE, true});
			}
			const PageId page_id = graph.layout.PageOf(NodeId(id));
			if (id % graph.layout.nodes_per_page == 0) {
				std::fill(page.data(), page.data() + page.size(), uint8_t(0));
				for (uint32_t place = 0; place < graph.layout.nodes_per_page; place++) {
					ClearRow(graph.layout, page.data(), NodeId(id + place));
				}
			}
			WriteNode(graph.layout, page.data(), NodeId(id), RowId(id), vector.data(), nullptr, edges, 0);
			cache.Put(graph.file_key, page_id, PageKind::NODES, page.span());
		}
	}
	Forest(const Forest &) = delete;
	Forest &operator=(const Forest &) = delete;
	~Forest() {
		cache.Detach(graph.file_key);
	}

	void AnchorOrphan() {
		const ConsolidateParameters parameters;
		ConsolidateBatch batch(graph, parameters);
		batch.PlanAnchor({orphan, NodeId(0), {}, {CODE, CODE + sizeof(CODE)}});
		batch.Apply();
	}
	//! At the origin, where all other nodes are dead.
	void MergeOne() {
		NewNode node;
		node.id = NodeId(ReservePages(1) * graph.layout.nodes_per_page);
		node.row_id = RowId(node.id.value);
		node.floats = ORIGIN;
		MergeParameters parameters;
		parameters.list_size = 10;
		parameters.is_dead = [](RowId) { return true; };
		parameters.is_stopped = Never;
		MergeBatch batch(graph, parameters, Span<const NewNode>(&node, 1));
		ASSERT_TRUE(batch.Plan());
		batch.Apply();
	}
	std::vector<uint32_t> Unanchored() {
		cache.Flush(graph.file_key);
		std::vector<uint32_t> nodes;
		ForEachUnanchored(graph, pages, *file, [&](RowId row_id, bool) { nodes.push_back(uint32_t(row_id.value)); });
		return nodes;
	}

	const NodeId orphan;

private:
	static constexpr float ORIGIN[DIMS] = {};
	static constexpr uint8_t CODE[32] = {};

	//! Returns the first.
	uint32_t ReservePages(uint32_t node_count) {
		const auto count = uint32_t(graph.layout.PageCount(node_count));
		const uint32_t first = file->ReservePages(count).value;
		EXPECT_TRUE(pages.Add({first, count}));
		graph.node_end = uint64_t(first + count) * graph.layout.nodes_per_page;
		return first;
	}

	std::unique_ptr<PageFile> file;
	PageCache cache {uint64_t(64) << 20};
	Graph graph;
	ExtentSet pages;
};

//! `count` full nodes, each of which anchors the next one last.
std::vector<std::vector<uint32_t>> Chain(uint32_t count) {
	std::vector<std::vector<uint32_t>> children(count * MAX_DEGREE + 1);
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t k = 1; k <= MAX_DEGREE; k++) {
			children[i * MAX_DEGREE].push_back(i * MAX_DEGREE + k);
		}
	}
	return children;
}

//! Each level is full before the next one begins.
std::vector<std::vector<uint32_t>> Tree(uint32_t full_count) {
	std::vector<std::vector<uint32_t>> children(full_count * MAX_DEGREE + 1);
	for (uint32_t i = 0; i < full_count; i++) {
		for (uint32_t k = 1; k <= MAX_DEGREE; k++) {
			children[i].push_back(i * MAX_DEGREE + k);
		}
	}
	return children;
}

TEST(Anchors, ACompactFindsRoomBelowAnyNumberOfFullNodes) {
	for (const auto &children : {Chain(1), Chain(300), Tree(21), Tree(1365)}) {
		Forest forest(children);
		ASSERT_EQ(forest.Unanchored(), std::vector<uint32_t>({forest.orphan.value}));
		forest.AnchorOrphan();
		EXPECT_EQ(forest.Unanchored(), std::vector<uint32_t>()) << children.size() << " nodes";
	}
}

TEST(Anchors, AMergeFindsRoomBelowAnyNumberOfFullNodes) {
	for (const auto &children : {Chain(1), Chain(300), Tree(21), Tree(1365)}) {
		Forest forest(children);
		forest.MergeOne();
		EXPECT_EQ(forest.Unanchored(), std::vector<uint32_t>({forest.orphan.value})) << children.size() << " nodes";
	}
}

//! All rows are nearer to the same few than to each other. Those come first and soon anchor as many as they can.
TEST(Anchors, AMergeFindsRoomWhereItsOwnBatchTookAll) {
	constexpr size_t ROW_COUNT = 600, BUILT_COUNT = 40, NEAR_COUNT = 70, ROW_DIMS = 128;
	std::vector<float> vectors;
	Random random(1);
	for (size_t i = 0; i < ROW_COUNT * ROW_DIMS; i++) {
		vectors.push_back((i < NEAR_COUNT * ROW_DIMS ? 1 : 10) * (float(random.Next() % 2001) / 1000 - 1));
	}
	IndexOptions options;
	options.max_degree = MAX_DEGREE;
	options.l_build = 100;
	std::shared_ptr<AnnIndex> index;
	WithRows(vectors, ROW_DIMS, 0, BUILT_COUNT, [&](const VectorBatch &rows) {
		index = BuildIndex(Configure(options, ElementType::FLOAT32, ROW_DIMS), rows);
	});
	WithRows(vectors, ROW_DIMS, BUILT_COUNT, ROW_COUNT - BUILT_COUNT,
	         [&](const VectorBatch &rows) { index->Append(rows); });
	index->Merge(ROW_COUNT, Never);
	EXPECT_EQ(FindProblems(*index), std::vector<std::string>());
}

} // namespace
} // namespace lm_diskann
