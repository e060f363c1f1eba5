// Distances for choosing edges, between vectors at hand and vectors known only by their codes.
//
// RobustPrune needs a distance that behaves like a squared Euclidean one: |x - y|^2 for L2SQ, between unit vectors for
// COSINE, and with one more coordinate for IP (see PruneDistance). Here every vector is rotated, as codes are, and what
// a code lost counts into its length: the losses of two codes are orthogonal to all else, as good as always.
#pragma once

#include "base/aligned_buffer.hpp"
#include "vector/quantizer.hpp"

#include <vector>

namespace lm_diskann {

//! A distance from <a, b> and the lengths of a and b; `norm_max` (IP only) is the largest length of all vectors. Under
//! IP vectors get one more coordinate, x' = (x / M, sqrt(1 - |x|^2 / M^2)), so that |x' - y'|^2 orders like the inner
//! product for queries (Bachrach et al., RecSys 2014). Not for L2SQ, which loses digits this way where |a - b| is
//! small.
float PruneDistance(Metric metric, float product, float norm_a, float norm_b, float norm_max);

//! A set of vectors that grows and is cleared as a whole. Belongs to one thread; no allocation once it was large.
class EdgeSpace {
public:
	EdgeSpace(const Quantizer &quantizer_p, float norm_max_p);

	void Clear() {
		count = 0;
	}
	size_t Count() const {
		return count;
	}
	//! Returns the position. `vector`: `dims` floats, in the original space.
	uint32_t AddVector(const float *vector);
	//! The same for a space without codes, where a rotation would change no distance.
	uint32_t AddUnrotated(const float *vector);
	//! Returns the position.
	uint32_t AddCode(const uint8_t *code, const CodeScalars &scalars);
	//! Copies a vector of another space over the same quantizer. Returns the position.
	uint32_t AddFrom(const EdgeSpace &other, uint32_t position);

	float Distance(uint32_t a, uint32_t b) const;

private:
	float *Grow();
	void Finish(float loss);
	const float *At(uint32_t position) const {
		return vectors.data() + position * size_t(stride);
	}

	const Quantizer *quantizer;
	float norm_max;
	uint32_t dims;
	uint32_t stride;
	uint32_t count = 0;
	std::vector<float> vectors;
	//! Not for L2SQ.
	std::vector<float> norms;
	//! Squared length that is not in `vectors`.
	std::vector<float> losses;
	std::vector<uint8_t> levels;
	std::vector<float> scratch;
};

} // namespace lm_diskann
