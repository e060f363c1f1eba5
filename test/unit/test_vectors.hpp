// Vectors and exact answers for tests of the graph and the index.
#pragma once

#include "base/types.hpp"
#include "vector/vector_types.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <set>
#include <vector>

namespace lm_diskann {

//! Clustered Gaussians with an offset: the shape of embeddings (row-major, `count` x `dims`).
inline std::vector<float> MakeClusteredVectors(size_t count, size_t dims, uint64_t seed, size_t cluster_count = 20) {
	std::mt19937_64 random(seed);
	std::normal_distribution<float> normal;
	std::mt19937_64 center_random(4711);
	std::vector<float> centers(cluster_count * dims);
	for (float &value : centers) {
		value = normal(center_random) + 0.5F;
	}
	std::vector<float> vectors(count * dims);
	for (size_t i = 0; i < count; i++) {
		const size_t cluster = random() % cluster_count;
		for (size_t j = 0; j < dims; j++) {
			vectors[i * dims + j] = centers[cluster * dims + j] + 0.4F * normal(random);
		}
	}
	return vectors;
}

//! Reference distance in double precision.
inline double ReferenceDistance(Metric metric, const float *a, const float *b, size_t dims) {
	double squared = 0;
	double product = 0;
	double norm_a = 0;
	double norm_b = 0;
	for (size_t i = 0; i < dims; i++) {
		squared += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
		product += double(a[i]) * b[i];
		norm_a += double(a[i]) * a[i];
		norm_b += double(b[i]) * b[i];
	}
	switch (metric) {
	case Metric::L2SQ:
		return squared;
	case Metric::COSINE:
		return 1 - product / std::sqrt(norm_a * norm_b);
	case Metric::IP:
		break;
	}
	return -product;
}

//! Positions of the `k` nearest of `vectors` to `query`, nearest first.
inline std::vector<size_t> ExactNearest(Metric metric, const std::vector<float> &vectors, size_t dims,
                                        const float *query, size_t k) {
	std::vector<std::pair<double, size_t>> distances(vectors.size() / dims);
	for (size_t i = 0; i < distances.size(); i++) {
		distances[i] = {ReferenceDistance(metric, query, vectors.data() + i * dims, dims), i};
	}
	k = std::min(k, distances.size());
	std::partial_sort(distances.begin(), distances.begin() + ptrdiff_t(k), distances.end());
	std::vector<size_t> nearest;
	for (size_t i = 0; i < k; i++) {
		nearest.push_back(distances[i].second);
	}
	return nearest;
}

} // namespace lm_diskann
