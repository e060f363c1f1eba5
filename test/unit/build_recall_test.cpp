// Recall of a built graph on data that any way of building has to cope with: vectors along a curve, where edges to
// nearest rows alone came to 0.83, many copies of few vectors, and clusters far apart.
#include "unit/index_rows.hpp"
#include "unit/test_vectors.hpp"

#include <gtest/gtest.h>

namespace lm_diskann {
namespace {

constexpr size_t K = 10;
constexpr size_t QUERY_COUNT = 100;

//! Mean share of K that lies no farther than the exact K-th: of copies, which ones are found does not matter.
double RecallOfBuild(const std::vector<float> &vectors, const std::vector<float> &queries, uint32_t dims,
                     uint32_t l_search) {
	const auto index = BuildIndex(Configure(IndexOptions(), ElementType::FLOAT32, dims), vectors);
	const auto distance_to = [&](const float *query, size_t row) {
		return ReferenceDistance(Metric::L2SQ, query, vectors.data() + row * dims, dims);
	};
	size_t hits = 0;
	const size_t query_count = queries.size() / dims;
	for (size_t q = 0; q < query_count; q++) {
		const float *query = queries.data() + q * dims;
		const double farthest = distance_to(query, ExactNearest(Metric::L2SQ, vectors, dims, query, K).back());
		for (const Neighbor &neighbor : index->Search(query, K, l_search, 4).Next(K)) {
			hits += distance_to(query, size_t(neighbor.row_id.value)) <= farthest ? 1 : 0;
		}
	}
	return double(hits) / double(query_count * K);
}

//! Points sin(t (x + 1)) of a closed curve that oscillates faster in each dimension x.
std::vector<float> MakeCurve(size_t count, size_t dims, double step, double offset) {
	std::vector<float> vectors;
	for (size_t i = 0; i < count; i++) {
		for (size_t x = 0; x < dims; x++) {
			vectors.push_back(float(std::sin((double(i) * step + offset) * double(x + 1))));
		}
	}
	return vectors;
}

TEST(BuildRecall, VectorsAlongACurve) {
	constexpr uint32_t DIMS = 192;
	// A row that nothing near leads to costs a query all of its recall, so there are many queries.
	EXPECT_GE(RecallOfBuild(MakeCurve(4000, DIMS, 1, 0), MakeCurve(1000, DIMS, 4, 0.002), DIMS, 40), 0.96);
}

TEST(BuildRecall, ManyCopiesOfFewVectors) {
	constexpr uint32_t DIMS = 32;
	constexpr size_t COPIES = 40;
	const std::vector<float> distinct = MakeClusteredVectors(500, DIMS, 1);
	std::vector<float> vectors;
	for (size_t copy = 0; copy < COPIES; copy++) {
		vectors.insert(vectors.end(), distinct.begin(), distinct.end());
	}
	// A list of 40 holds the copies of one vector and nothing else.
	EXPECT_GE(RecallOfBuild(vectors, MakeClusteredVectors(QUERY_COUNT, DIMS, 2), DIMS, 40), 0.90);
}

TEST(BuildRecall, ClustersFarApart) {
	constexpr uint32_t DIMS = 32;
	constexpr size_t CLUSTER_COUNT = 50;
	constexpr double SCALE = 100;
	// Centers SCALE times as far apart as the rows of a cluster are from each other.
	std::mt19937_64 random(3);
	std::normal_distribution<double> normal;
	std::vector<double> centers(CLUSTER_COUNT * DIMS);
	for (double &value : centers) {
		value = SCALE * normal(random);
	}
	const auto make_rows = [&](size_t count) {
		std::vector<float> rows;
		for (size_t i = 0; i < count * DIMS; i++) {
			rows.push_back(float(centers[i % centers.size()] + normal(random)));
		}
		return rows;
	};
	const std::vector<float> vectors = make_rows(5000);
	// The list holds a whole cluster, so that the graph decides, not how codes rank the rows of one.
	EXPECT_GE(RecallOfBuild(vectors, make_rows(QUERY_COUNT), DIMS, 100), 0.99);
}

} // namespace
} // namespace lm_diskann
