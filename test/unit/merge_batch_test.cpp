// Property: a batch asks once for each node that a search of it meets whether it is dead, and copies that come one
// after the other share one search.
#include "graph/merge.hpp"
#include "unit/small_graph.hpp"

#include <gtest/gtest.h>

#include <map>

namespace lm_diskann {
namespace {

class MergeBatchTest : public testing::Test, protected SmallGraph {
protected:
	MergeBatchTest() {
		// From the last node every other is reached.
		graph.entries = {ids.back()};
	}

	//! Plans a batch of rows with these vectors; returns how often it asked for each row.
	std::map<RowId, size_t> AsksOf(const std::vector<const float *> &rows) {
		const PageId first = file->ReservePages(uint32_t(rows.size()));
		graph.node_end = uint64_t(file->PageIdEnd()) * graph.layout.nodes_per_page;
		std::vector<NewNode> nodes;
		for (uint32_t i = 0; i < rows.size(); i++) {
			const NodeId id((first.value + i) * graph.layout.nodes_per_page);
			nodes.push_back({id, RowId(int64_t(NODES + i)), rows[i], nullptr});
		}
		std::map<RowId, size_t> asks;
		MergeParameters parameters;
		parameters.list_size = 10;
		parameters.is_dead = [&](RowId row_id) {
			asks[row_id]++;
			return false;
		};
		parameters.is_stopped = [] { return false; };
		MergeBatch batch(graph, parameters, {nodes.data(), nodes.size()});
		EXPECT_TRUE(batch.Plan());
		return asks;
	}
	//! Nodes that were asked for `count` times.
	static size_t CountOf(const std::map<RowId, size_t> &asks, size_t count) {
		return size_t(
		    std::count_if(asks.begin(), asks.end(), [&](const auto &asked) { return asked.second == count; }));
	}
};

TEST_F(MergeBatchTest, AsksOnceForEachNodeThatASearchMeets) {
	const std::map<RowId, size_t> asks = AsksOf({Vector(NODES)});
	EXPECT_GT(asks.size(), 10U);
	EXPECT_EQ(CountOf(asks, 1), asks.size());
}

TEST_F(MergeBatchTest, CopiesShareOneSearch) {
	// Equal by their numbers, not by where they are.
	const std::vector<float> copy(Vector(NODES), Vector(NODES) + DIMS);
	const std::map<RowId, size_t> asks = AsksOf({Vector(NODES), copy.data(), copy.data(), Vector(NODES)});
	EXPECT_GT(asks.size(), 10U);
	EXPECT_EQ(CountOf(asks, 1), asks.size());
}

TEST_F(MergeBatchTest, DifferentVectorsAreSearchedForEach) {
	const std::map<RowId, size_t> asks = AsksOf({Vector(NODES), Vector(NODES + 1)});
	EXPECT_GT(CountOf(asks, 2), 0U);
}

} // namespace
} // namespace lm_diskann
