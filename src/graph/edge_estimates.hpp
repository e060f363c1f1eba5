// Distances to all edges of one list by their codes, for choosing among them anew in a merge.
//
// Edges that were chosen together do not drop each other (RobustPrune's `is_settled`), so the distances that are asked
// for begin at the node itself or at a new edge. Vectors of both are at hand; made ready like the query of a search,
// each is compared to the codes of a whole list at once, and none is decoded. All distances from one vector are of a
// kind, so codes of copies are as far as each other.
#pragma once

#include "vector/quantizer.hpp"

#include <vector>

namespace lm_diskann {

//! A vector made ready to be compared to codes.
struct EdgeQuery {
	QueryView prepared;
	//! Length of the vector; IP only.
	float norm = 0;
};

//! The codes of one list. Belongs to one thread; no allocation once it was large.
class EdgeEstimates {
public:
	//! `norm_max` (IP): no vector is longer. The quantizer outlives this.
	EdgeEstimates(const Quantizer &quantizer_p, float norm_max_p);

	void Clear();
	//! At the next position.
	void Add(const uint8_t *code, const CodeScalars &scalars);
	size_t Count() const {
		return factors.size();
	}
	//! True if the code at `position` is that of a copy.
	bool IsCopy(size_t position, const uint8_t *code, const CodeScalars &scalars) const;
	//! Estimates of the distances that PruneDistance and BuildSpace have, of all in order.
	const std::vector<float> &DistancesFrom(const EdgeQuery &query);

private:
	//! The coordinate more of IP.
	float ExtraOf(float squared_norm) const;

	const Quantizer &quantizer;
	float norm_max;
	std::vector<uint8_t> codes;
	std::vector<float> factors, biases;
	std::vector<uint16_t> references;
	//! IP only.
	std::vector<float> extras;
	std::vector<float> distances;
	std::vector<float> decoded;
	std::vector<uint8_t> levels;
};

} // namespace lm_diskann
