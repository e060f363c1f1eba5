// Distances for choosing edges, between a node and vectors known only by their codes.
//
// RobustPrune needs a distance that behaves like a squared Euclidean one: |x - y|^2 for L2SQ, between unit vectors for
// COSINE, and with one more coordinate for IP (see PruneDistance). Here every vector is rotated, as codes are, and what
// a code lost counts into its length: the losses of two codes are orthogonal to all else, as good as always. Equal
// codes are those of copies, whose distance is 0.
#pragma once

#include "base/aligned_buffer.hpp"
#include "graph/prune.hpp"
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
	//! The node whose neighbours follow, at position 0 of an empty space. `vector`: `dims` floats, in the original
	//! space.
	void AddNode(const float *vector);
	//! All others by their distance from the node: 0 for copies of it, also where these are known by their codes.
	void ScoreNeighbors(std::vector<ScoredNode> &scored) const;
	//! At the next position.
	void AddCode(const uint8_t *code, const CodeScalars &scalars);

	float Distance(uint32_t a, uint32_t b) const;

private:
	bool AreEqual(const float *a, const float *b) const;
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
	//! The node's own code, as it is and decoded, and what it lost.
	std::vector<uint8_t> own_code;
	std::vector<float> own_decoded;
	float own_loss = 0;
	std::vector<uint8_t> levels;
	std::vector<float> scratch;
};

} // namespace lm_diskann
