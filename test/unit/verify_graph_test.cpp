// VerifyGraph on more nodes than it could hold the codes of: each block is read twice, and of any edge each bit of what
// it says of the neighbour is compared.
#include "graph/verify.hpp"
#include "storage/memory_file.hpp"

#include <cmath>
#include <functional>
#include <gmock/gmock.h>

namespace lm_diskann {
namespace {

constexpr uint32_t DIMS = 4;
//! An edge leads to the node so far ahead.
constexpr uint32_t STEP = 70001;

//! A graph in which each node has one edge; the pages of nodes lie apart.
class Ring {
public:
	explicit Ring(uint32_t node_count_p)
	    : node_count(node_count_p), file(PageFile::Create(std::make_unique<MemoryFile>(), 4096, Uuid {1}, {})),
	      graph(Metric::L2SQ,
	            NodeLayout::Create(4096, DIMS, ElementType::FLOAT32, VectorStorage::NATIVE, 4, CodeFamily::TWO_BIT),
	            Quantizer::Train(Metric::L2SQ, CodeFamily::TWO_BIT, DIMS, {CENTER, DIMS}, 1, 1)) {
		const uint32_t per_page = graph.layout.nodes_per_page;
		for (uint32_t i = 0; i < node_count; i += per_page) {
			if (i / per_page % 100 == 0) {
				file->ReservePages(3); // of others
			}
			const PageId page = file->ReservePages(1);
			EXPECT_TRUE(pages.Add({page.value, 1}));
			for (uint32_t place = 0; place < per_page; place++) {
				nodes.push_back(NodeId(page.value * per_page + place));
			}
		}
		nodes.resize(node_count);
		graph.node_end = uint64_t(file->PageIdEnd()) * per_page;
		graph.entries = {nodes[0]};
		for (uint32_t i = 0; i < node_count; i += per_page) {
			WritePage(i, [](size_t, std::vector<uint8_t> &, CodeScalars &) {});
		}
	}

	//! `change(number, code, scalars)` may change what the edge of each node of the page says.
	template <class CHANGE>
	void WritePage(uint32_t first, const CHANGE &change) {
		AlignedBuffer<uint8_t> page(graph.layout.page_size);
		std::vector<float> scratch;
		const uint32_t per_page = graph.layout.nodes_per_page;
		for (uint32_t place = 0; place < per_page; place++) {
			const uint32_t number = first + place;
			const NodeId unused(graph.layout.PageOf(nodes[first]).value * per_page + place);
			if (number >= node_count) {
				ClearRow(graph.layout, page.data(), unused);
				continue;
			}
			const uint32_t neighbor = (number + STEP) % node_count;
			std::vector<uint8_t> code(graph.layout.code_bytes);
			CodeScalars scalars = graph.quantizer.Encode(VectorOf(neighbor).data(), code.data(), scratch);
			change(number, code, scalars);
			const NodeEdge edge = {nodes[neighbor], scalars, code.data(), false};
			WriteNode(graph.layout, page.data(), nodes[number], RowId(number), VectorOf(number).data(), nullptr,
			          Span<const NodeEdge>(&edge, 1), 0);
		}
		file->WritePage(graph.layout.PageOf(nodes[first]), PageKind::NODES, page.span());
	}
	std::vector<std::string> Verify() {
		return VerifyGraph(graph, pages, *file, 10, [](NodeId, const NodeView &) {});
	}
	std::string Violation(uint32_t number) const {
		return "node " + std::to_string(nodes[number].value) + " holds a code of neighbor " +
		       std::to_string(nodes[(number + STEP) % node_count].value) + " that is not the neighbor's";
	}

	const uint32_t node_count;
	std::unique_ptr<PageFile> file;
	Graph graph;
	ExtentSet pages;
	std::vector<NodeId> nodes;

private:
	static constexpr float CENTER[DIMS] = {};

	static std::vector<float> VectorOf(uint32_t number) {
		return {float(number % 7) - 3, float(number % 101), float(number), 1};
	}
};

TEST(VerifyGraph, ReadsEachBlockTwiceHoweverManyThereAre) {
	Ring ring(150000);
	const uint64_t before = ring.file->Counters().pages_read;
	EXPECT_EQ(ring.Verify(), std::vector<std::string>());
	EXPECT_EQ(ring.file->Counters().pages_read - before, 2 * ring.pages.Count());
}

TEST(VerifyGraph, FindsEachWrongBitOfAnEdge) {
	Ring ring(20000);
	const uint32_t per_page = ring.graph.layout.nodes_per_page;
	const std::vector<std::function<void(std::vector<uint8_t> &, CodeScalars &)>> changes = {
	    [](std::vector<uint8_t> &code, CodeScalars &) { code[0] ^= 1; },
	    [](std::vector<uint8_t> &code, CodeScalars &) { code.back() ^= 0x80; },
	    [](std::vector<uint8_t> &, CodeScalars &scalars) { scalars.reference ^= 1; },
	    [](std::vector<uint8_t> &, CodeScalars &scalars) { scalars.bias = -scalars.bias; },
	    [](std::vector<uint8_t> &, CodeScalars &scalars) { scalars.factor = std::nextafter(scalars.factor, 1e9F); },
	};
	std::vector<std::string> expected;
	for (uint32_t i = 0; i < changes.size(); i++) {
		const uint32_t first = i * 20 * per_page, changed = first + i;
		ring.WritePage(first, [&](size_t number, std::vector<uint8_t> &code, CodeScalars &scalars) {
			if (number == changed) {
				changes[i](code, scalars);
			}
		});
		expected.push_back(ring.Violation(changed));
	}
	EXPECT_THAT(ring.Verify(), testing::UnorderedElementsAreArray(expected));
}

} // namespace
} // namespace lm_diskann
