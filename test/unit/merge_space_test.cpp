// Property: what a merge knows of the nodes it meets is what they are, whatever it has forgotten for want of room, and
// whether a code is found in the block of another node or made anew.
#include "graph/merge_space.hpp"
#include "unit/small_graph.hpp"

#include <gtest/gtest.h>

namespace lm_diskann {
namespace {

class MergeSpaceTest : public testing::Test, protected SmallGraph {
protected:
	void AddRows(MergeSpace &space) const {
		for (uint32_t row = 0; row < ROWS; row++) {
			space.AddRow(NodeId(uint32_t(graph.node_end) + row), Vector(NODES + row));
		}
	}
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
