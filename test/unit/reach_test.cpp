// FindReach against brute force over random graphs: edges and anchors of a sound index are dropped, and others made
// anchors, circles among them. A row is unreached exactly when a search for all rows misses it.
#include "base/random.hpp"
#include "fuzz/index_image.hpp"
#include "index/index_state.hpp"
#include "unit/index_rows.hpp"

#include <gtest/gtest.h>
#include <set>

namespace lm_diskann {
namespace {

using namespace fuzz;

constexpr uint32_t ROW_COUNT = 200;

struct Edge {
	uint32_t source;
	uint32_t target;
	bool is_anchor;
};

enum class Fate { DROPPED, PLAIN, ANCHOR };

//! An index that was built as a whole, so that its nodes begin the file in order.
const IndexImage &SoundImage() {
	static const IndexImage IMAGE =
	    MakeImage({{{"r", "6"}, {"l_build", "20"}}, ElementType::FLOAT32, 8, ROW_COUNT, 1, false}, Uuid {1});
	return IMAGE;
}

//! The image after `choose(edge)` has decided on each edge, and those that are left.
template <class FUNCTION>
IndexImage WithEdges(std::vector<Edge> &edges, const FUNCTION &choose) {
	IndexImage image = SoundImage();
	const IndexConfiguration &configuration = image.configuration;
	const NodeLayout layout =
	    NodeLayout::Create(configuration.page_size, configuration.dims, configuration.element_type,
	                       configuration.vectors, configuration.max_degree, configuration.codes);
	for (uint32_t id = 0; id < ROW_COUNT; id++) {
		const uint64_t slot = layout.PageOf(NodeId(id)).value;
		uint8_t *page = image.bytes.data() + image.OffsetOf(slot);
		const std::vector<uint8_t> former(page, page + layout.page_size);
		const NodeView node(layout, former.data(), NodeId(id), ROW_COUNT);
		EdgeEdit edit;
		edit.node = NodeId(id);
		for (uint32_t i = 0; i < node.Degree(); i++) {
			const Fate fate = choose(Edge {id, node.Neighbor(i).value, node.IsAnchor(i)});
			if (fate != Fate::DROPPED) {
				edit.added.push_back({node.Neighbor(i), node.Scalars(i), node.Code(i), fate == Fate::ANCHOR});
				edges.push_back({id, node.Neighbor(i).value, fate == Fate::ANCHOR});
			}
		}
		EditNode(layout, page, edit);
		ResealPage(image, slot);
	}
	return image;
}

//! Rows that these edges do not lead to.
std::set<int64_t> Beyond(AnnIndex &index, const std::vector<Edge> &edges, bool is_anchors_only) {
	const std::vector<NodeSummary> nodes = index.ReadNodes(NodeId(0), ROW_COUNT);
	std::set<uint32_t> reached;
	for (const NodeSummary &node : nodes) {
		if (node.is_entry) {
			reached.insert(node.node.value);
		}
	}
	for (size_t count = 0; reached.size() > count;) {
		count = reached.size();
		for (const Edge &edge : edges) {
			if (reached.count(edge.source) == 1 && (edge.is_anchor || !is_anchors_only)) {
				reached.insert(edge.target);
			}
		}
	}
	std::set<int64_t> beyond;
	for (const NodeSummary &node : nodes) {
		if (reached.count(node.node.value) == 0 && !node.is_deleted) {
			beyond.insert(node.row_id->value);
		}
	}
	return beyond;
}

std::set<int64_t> AsNumbers(const RowSet &rows) {
	std::set<int64_t> numbers;
	rows.ForEach([&](RowId row_id) { numbers.insert(row_id.value); });
	return numbers;
}

std::set<int64_t> MissedBySearch(AnnIndex &index) {
	const std::vector<float> query = MakeVector(index.Configuration().dims, ElementType::FLOAT32, 7);
	std::set<int64_t> missed;
	for (const auto &[row_id, vector] : SoundImage().rows) {
		missed.insert(row_id);
	}
	for (const Neighbor &neighbor : index.Search(query.data(), ROW_COUNT + 10, 10, 4).Next(ROW_COUNT + 10)) {
		missed.erase(neighbor.row_id.value);
	}
	return missed;
}

void ExpectAsBruteForce(const IndexImage &image, const std::vector<Edge> &edges) {
	const auto index = OpenImage(image);
	ASSERT_EQ(index->Verify(), std::vector<std::string>());
	const Reach reach = index->FindReach();
	const std::set<int64_t> unreached = AsNumbers(reach.unreached);
	std::set<int64_t> unanchored = AsNumbers(reach.unanchored);
	EXPECT_EQ(unreached, Beyond(*index, edges, false));
	EXPECT_EQ(unreached, MissedBySearch(*index));
	unanchored.insert(unreached.begin(), unreached.end());
	EXPECT_EQ(unanchored, Beyond(*index, edges, true));
}

TEST(Reach, EveryRowOfABuiltIndexIsAnchored) {
	for (const IndexImage &image : Images()) {
		const Reach reach = OpenImage(image)->FindReach();
		EXPECT_EQ(reach.unreached.Count(), 0U);
		EXPECT_EQ(reach.unanchored.Count(), 0U);
	}
}

TEST(Reach, RowsBehindADroppedAnchorAreFoundOut) {
	std::vector<Edge> all;
	WithEdges(all, [](const Edge &edge) { return edge.is_anchor ? Fate::ANCHOR : Fate::PLAIN; });
	for (const Edge &dropped : all) {
		if (!dropped.is_anchor || dropped.source % 10 != 0) {
			continue;
		}
		std::vector<Edge> edges;
		const IndexImage image = WithEdges(edges, [&](const Edge &edge) {
			const bool is_dropped = edge.source == dropped.source && edge.target == dropped.target;
			return is_dropped ? Fate::DROPPED : edge.is_anchor ? Fate::ANCHOR : Fate::PLAIN;
		});
		ExpectAsBruteForce(image, edges);
	}
}

//! It looks like a place that was never used, but is none while edges lead to it.
TEST(Reach, ANodeWithoutEdgesWhoseRowIsReplacedStaysSound) {
	std::vector<Edge> edges;
	constexpr uint32_t NODE = 50;
	const IndexImage image = WithEdges(edges, [&](const Edge &edge) {
		return edge.source == NODE ? Fate::DROPPED : edge.is_anchor ? Fate::ANCHOR : Fate::PLAIN;
	});
	const auto index = OpenImage(image);
	const RowId row_id = *index->ReadNodes(NodeId(NODE), 1).front().row_id;
	AppendRow(*index, row_id, MakeVector(image.configuration.dims, ElementType::FLOAT32, 999));
	while (index->Merge(64, Never)) {
	}
	EXPECT_EQ(index->Verify(), std::vector<std::string>());
	index->Compact(Never);
	EXPECT_EQ(index->Verify(), std::vector<std::string>());
}

TEST(Reach, OfRandomGraphsIsThatOfBruteForce) {
	size_t unreached_count = 0;
	for (uint64_t seed = 0; seed < 60; seed++) {
		SCOPED_TRACE("seed " + std::to_string(seed));
		Random random(seed);
		// Of 100 edges so many are dropped, so many anchors cease to be one, and so many others become one.
		const uint64_t dropped = random.Next() % 90, unanchored = random.Next() % 50, anchored = random.Next() % 30;
		std::vector<Edge> edges;
		const IndexImage image = WithEdges(edges, [&](const Edge &edge) {
			const bool is_dropped = random.Next() % 100 < dropped;
			const bool is_changed = random.Next() % 100 < (edge.is_anchor ? unanchored : anchored);
			return is_dropped ? Fate::DROPPED : edge.is_anchor != is_changed ? Fate::ANCHOR : Fate::PLAIN;
		});
		ExpectAsBruteForce(image, edges);
		unreached_count += AsNumbers(OpenImage(image)->FindReach().unreached).size();
	}
	EXPECT_GT(unreached_count, 1000U) << "the graphs fall apart";
}

} // namespace
} // namespace lm_diskann
