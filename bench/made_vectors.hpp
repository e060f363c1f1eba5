// Clustered Gaussians with a low intrinsic dimension: a stand-in for embeddings, any row of which is made on its own,
// so that a data set of any size needs neither memory nor disk.
//
// A row is c_k + U_k (w * N(0, I_r)) + s / sqrt(d) * N(0, I_d): the cluster k by a Zipf law, its centre c_k in a
// subspace of 2r dimensions, U_k an orthonormal basis that the clusters share in part, and scales w_j = 0.5 * 0.9^j.
#pragma once

#include "base/random.hpp"

#include <cmath>
#include <vector>

namespace lm_diskann {

class MadeVectors {
public:
	MadeVectors(size_t row_count, size_t dims_p, uint64_t seed_p)
	    : dims(dims_p), seed(seed_p), cluster_count(std::max<size_t>(1, size_t(std::sqrt(double(row_count))))) {
		Random random(seed);
		const std::vector<float> subspace = Orthonormal(Normals(random, 2 * INTRINSIC * dims), 2 * INTRINSIC);
		const std::vector<float> shared = Normals(random, INTRINSIC * dims);
		double total = 0;
		for (size_t k = 0; k < cluster_count; k++) {
			const std::vector<float> place = Normals(random, 2 * INTRINSIC);
			std::vector<float> center(dims);
			for (size_t q = 0; q < 2 * INTRINSIC; q++) {
				for (size_t i = 0; i < dims; i++) {
					center[i] += place[q] * subspace[q * dims + i] / std::sqrt(2.0F * INTRINSIC);
				}
			}
			centers.insert(centers.end(), center.begin(), center.end());
			std::vector<float> basis = Normals(random, INTRINSIC * dims);
			for (size_t i = 0; i < basis.size(); i++) {
				basis[i] = 0.7F * shared[i] + 0.3F * basis[i];
			}
			basis = Orthonormal(std::move(basis), INTRINSIC);
			bases.insert(bases.end(), basis.begin(), basis.end());
			total += 1 / double(k + 1);
			shares.push_back(total);
		}
		for (double &share : shares) {
			share /= total;
		}
	}

	//! Row `row`, into `dims` floats. Rows from the row count on are good for queries.
	void Make(uint64_t row, float *vector) const {
		Random random(seed ^ (row * 0x9E3779B97F4A7C15ULL + 1));
		const double place = double(random.Next() >> 11) * 0x1p-53;
		const size_t k = std::min<size_t>(
		    cluster_count - 1, size_t(std::lower_bound(shares.begin(), shares.end(), place) - shares.begin()));
		for (size_t i = 0; i < dims; i++) {
			vector[i] = centers[k * dims + i] + NOISE / std::sqrt(float(dims)) * Normal(random);
		}
		float scale = 0.5F;
		for (size_t j = 0; j < INTRINSIC; j++, scale *= 0.9F) {
			const float length = scale * Normal(random);
			const float *axis = bases.data() + (k * INTRINSIC + j) * dims;
			for (size_t i = 0; i < dims; i++) {
				vector[i] += length * axis[i];
			}
		}
	}

private:
	static constexpr size_t INTRINSIC = 16;
	static constexpr float NOISE = 0.05F;

	static float Normal(Random &random) {
		// Box and Muller, one of the two.
		const double u = (double(random.Next() >> 11) + 1) * 0x1p-53;
		const double v = double(random.Next() >> 11) * 0x1p-53;
		return float(std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * v));
	}
	static std::vector<float> Normals(Random &random, size_t count) {
		std::vector<float> values(count);
		for (float &value : values) {
			value = Normal(random);
		}
		return values;
	}
	//! Gram and Schmidt on `count` rows.
	std::vector<float> Orthonormal(std::vector<float> rows, size_t count) const {
		for (size_t a = 0; a < count; a++) {
			float *row = rows.data() + a * dims;
			for (size_t b = 0; b < a; b++) {
				const float *other = rows.data() + b * dims;
				const float product = std::inner_product(row, row + dims, other, 0.0F);
				for (size_t i = 0; i < dims; i++) {
					row[i] -= product * other[i];
				}
			}
			const float norm = std::sqrt(std::inner_product(row, row + dims, row, 0.0F));
			for (size_t i = 0; i < dims; i++) {
				row[i] /= norm;
			}
		}
		return rows;
	}

	size_t dims;
	uint64_t seed;
	size_t cluster_count;
	std::vector<float> centers;
	std::vector<float> bases;
	std::vector<double> shares;
};

} // namespace lm_diskann
