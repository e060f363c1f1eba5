// Rows with equal vectors, in an index as it was built and after rows were replaced: a node leads to its own copies, so
// that who finds one finds all, and beyond these to different vectors, not to more copies of a few.
#include "graph/build.hpp"
#include "unit/index_rows.hpp"
#include "unit/test_vectors.hpp"

#include <algorithm>
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
		EXPECT_GE(replaced.chosen_together, 0.95 * built.chosen_together);
		EXPECT_EQ(FindProblems(*index), std::vector<std::string>());
	}
}

//! When the copies of a vector come: in one batch, or each in another.
enum class Arrival { TOGETHER, APART };

//! Of the rows that the searches for `queries` find, the share that have one of the nearest vectors.
double RecallOf(AnnIndex &index, const std::vector<float> &distinct, const std::vector<size_t> &vector_of,
                const std::vector<float> &queries) {
	constexpr size_t NEAREST = 3, K = NEAREST * COPIES;
	constexpr uint32_t LIST_SIZE = 16, BEAM_WIDTH = 4;
	size_t hits = 0;
	for (size_t i = 0; i < queries.size(); i += DIMS) {
		const float *query = queries.data() + i;
		const std::vector<size_t> nearest = ExactNearest(Metric::L2SQ, distinct, DIMS, query, NEAREST);
		for (const Neighbor &neighbor : index.Search(query, K, LIST_SIZE, BEAM_WIDTH).Next(K)) {
			const size_t vector = vector_of[size_t(neighbor.row_id.value)];
			hits += std::count(nearest.begin(), nearest.end(), vector) > 0 ? 1 : 0;
		}
	}
	return double(hits) / double(queries.size() / DIMS * K);
}

// Four fifths of the rows are merged, so that these lead to each other. A list of 16 has room for four vectors: edges
// have to lead to the nearest ones. Vectors of no structure, as all else is found anyway.
TEST(Copies, MergedTogetherOrApartAreFoundAsInABuiltIndex) {
	constexpr size_t STEP = 200, STEPS = 5, STEP_ROWS = STEP * COPIES, QUERIES = 1000;
	const std::vector<float> distinct = MakeClusteredVectors(STEP * STEPS, DIMS, 31, 1);
	const std::vector<float> queries = MakeClusteredVectors(QUERIES, DIMS, 32, 1);
	const IndexConfiguration configuration = Configure(IndexOptions(), ElementType::FLOAT32, DIMS);
	for (const Arrival arrival : {Arrival::TOGETHER, Arrival::APART}) {
		SCOPED_TRACE(arrival == Arrival::TOGETHER ? "together" : "apart");
		std::vector<size_t> vector_of;
		std::vector<float> vectors;
		for (size_t row = 0; row < STEPS * STEP_ROWS; row++) {
			vector_of.push_back(arrival == Arrival::TOGETHER ? row / COPIES : row / STEP_ROWS * STEP + row % STEP);
			const auto vector = distinct.begin() + ptrdiff_t(vector_of.back() * DIMS);
			vectors.insert(vectors.end(), vector, vector + DIMS);
		}
		std::shared_ptr<AnnIndex> index;
		WithRows(vectors, DIMS, 0, STEP_ROWS,
		         [&](const VectorBatch &rows) { index = BuildIndex(configuration, rows); });
		for (size_t first = STEP_ROWS; first < vector_of.size(); first += STEP) {
			WithRows(vectors, DIMS, first, STEP, [&](const VectorBatch &rows) { index->Append(rows); });
			while (index->Merge(STEP, Never)) {
			}
		}
		const std::shared_ptr<AnnIndex> built = BuildIndex(configuration, vectors);
		const double recall = RecallOf(*index, distinct, vector_of, queries);
		const double built_recall = RecallOf(*built, distinct, vector_of, queries);
		EXPECT_GE(recall, built_recall);
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
	const double of_few = DistancesForACopy(5000), of_many = DistancesForACopy(40000);
	EXPECT_LT(of_many, 1.2 * of_few);
	// What the neighbours of so many nodes take, for its search and for all choices that it is a candidate of.
	EXPECT_LT(of_many, 32.0 * MAX_DEGREE);
}

} // namespace
} // namespace lm_diskann
