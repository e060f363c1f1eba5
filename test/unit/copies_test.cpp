// Rows with equal vectors, in an index as it was built and after rows were replaced: a node leads to its own copies, so
// that who finds one finds all, and beyond these to different vectors, not to more copies of a few.
#include "graph/build.hpp"
#include "unit/index_rows.hpp"
#include "unit/test_vectors.hpp"

#include <gtest/gtest.h>
#include <limits>
#include <map>
#include <set>

namespace lm_diskann {
namespace {

constexpr size_t DIMS = 48, COPIES = 4, VECTOR_COUNT = 500, ROW_COUNT = COPIES * VECTOR_COUNT;

//! Row `row` has the vector row / COPIES.
size_t VectorOf(RowId row_id) {
	return size_t(row_id.value) / COPIES;
}

//! In the mean over all rows.
struct Edges {
	double own_copies = 0;
	//! Different vectors that edges lead to.
	double vectors = 0;
	//! Different vectors that all copies of a vector choose together.
	double chosen_together = 0;
};

Edges EdgesOf(AnnIndex &index) {
	std::map<NodeId, RowId> rows;
	const std::vector<NodeSummary> nodes = index.ReadNodes(NodeId(0), std::numeric_limits<uint32_t>::max());
	for (const NodeSummary &node : nodes) {
		if (node.row_id && !node.is_deleted) {
			rows.emplace(node.node, *node.row_id);
		}
	}
	Edges edges;
	std::map<size_t, std::set<size_t>> chosen;
	for (const NodeSummary &node : nodes) {
		const auto row = rows.find(node.node);
		std::set<size_t> vectors;
		for (size_t i = 0; i < node.neighbors.size(); i++) {
			const auto other = rows.find(node.neighbors[i]);
			if (row != rows.end() && other != rows.end()) {
				vectors.insert(VectorOf(other->second));
				if (!node.is_fill[i]) {
					chosen[VectorOf(row->second)].insert(VectorOf(other->second));
				}
				edges.own_copies += VectorOf(other->second) == VectorOf(row->second) ? 1 : 0;
			}
		}
		edges.vectors += double(vectors.size());
	}
	for (const auto &of_vector : chosen) {
		edges.chosen_together += double(of_vector.second.size()) / double(chosen.size());
	}
	return {edges.own_copies / double(rows.size()), edges.vectors / double(rows.size()), edges.chosen_together};
}

TEST(Copies, LeadToEachOtherAndLeaveRoomForOtherVectors) {
	for (const Metric metric : {Metric::L2SQ, Metric::COSINE}) {
		SCOPED_TRACE(MetricName(metric));
		std::vector<float> vectors;
		const std::vector<float> distinct = MakeClusteredVectors(2 * VECTOR_COUNT, DIMS, 7, 5);
		for (size_t row = 0; row < 2 * ROW_COUNT; row++) {
			const auto vector = distinct.begin() + ptrdiff_t(row / COPIES * DIMS);
			vectors.insert(vectors.end(), vector, vector + DIMS);
		}
		IndexOptions options;
		options.metric = metric;
		std::shared_ptr<AnnIndex> index;
		WithRows(vectors, DIMS, 0, ROW_COUNT, [&](const VectorBatch &rows) {
			index = BuildIndex(Configure(options, ElementType::FLOAT32, DIMS), rows);
		});
		const Edges built = EdgesOf(*index);
		EXPECT_GE(built.own_copies, 0.95 * (COPIES - 1));
		constexpr size_t STEP = ROW_COUNT / 4;
		for (size_t first = 0; first < ROW_COUNT; first += STEP) {
			WithRows(vectors, DIMS, ROW_COUNT + first, STEP, [&](const VectorBatch &rows) { index->Append(rows); });
			WithRows(vectors, DIMS, first, STEP,
			         [&](const VectorBatch &rows) { index->Delete(Span<const RowId>(rows.row_ids, rows.count)); });
			while (index->Merge(index->MergeBatchRows(), Never)) {
			}
			while (index->Compact(Never)) {
			}
		}
		const Edges replaced = EdgesOf(*index);
		EXPECT_GE(replaced.own_copies, 0.95 * (COPIES - 1));
		EXPECT_GE(replaced.vectors, built.vectors);
		EXPECT_GE(replaced.chosen_together, 0.7 * built.chosen_together);
		EXPECT_EQ(FindProblems(*index), std::vector<std::string>());
	}
}

constexpr uint32_t MAX_DEGREE = 48;

//! What linking so many copies of one vector computes for each.
double DistancesForACopy(uint32_t count) {
	const std::vector<float> vector(DIMS, 0.5F);
	const Quantizer quantizer = Quantizer::Train(Metric::L2SQ, CodeFamily::FOUR_BIT, DIMS, vector, count, 1);
	BuildSpace space(quantizer, 8, 0, count);
	std::vector<float> scratch;
	for (uint32_t i = 0; i < count; i++) {
		space.Set(NodeId(i), vector.data(), scratch);
	}
	const std::vector<uint16_t> references(count);
	BuildParameters parameters;
	parameters.max_degree = MAX_DEGREE;
	parameters.list_size = 100;
	GraphBuilder builder(space, parameters, references, quantizer.ReferenceCount(), NodeId(0));
	for (Phase phase; builder.NextPhase(phase);) {
		for (size_t item = 0; item < phase.item_count; item++) {
			phase.run(item);
		}
	}
	return double(builder.DistanceCount()) / count;
}

TEST(Copies, OfOneVectorCostABuildNoMoreEachTheMoreThereAre) {
	const double of_few = DistancesForACopy(2500), of_many = DistancesForACopy(20000);
	EXPECT_LT(of_many, 1.2 * of_few);
	// What the neighbours of so many nodes take, for its search and for all choices that it is a candidate of.
	EXPECT_LT(of_many, 32.0 * MAX_DEGREE);
}

} // namespace
} // namespace lm_diskann
