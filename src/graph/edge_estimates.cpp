#include "graph/edge_estimates.hpp"

#include "vector/distance.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace lm_diskann {

namespace {

//! Zero is the distance of copies.
constexpr float LEAST = std::numeric_limits<float>::min();

} // namespace

EdgeEstimates::EdgeEstimates(const Quantizer &quantizer_p, float norm_max_p)
    : quantizer(quantizer_p), norm_max(norm_max_p), decoded(quantizer_p.Dims()) {
}

void EdgeEstimates::Clear() {
	codes.clear();
	factors.clear();
	biases.clear();
	references.clear();
	extras.clear();
}

float EdgeEstimates::ExtraOf(float squared_norm) const {
	return std::sqrt(std::max(0.0F, norm_max * norm_max - squared_norm));
}

void EdgeEstimates::Add(const uint8_t *code, const CodeScalars &scalars) {
	codes.insert(codes.end(), code, code + quantizer.CodeBytes());
	factors.push_back(scalars.factor);
	biases.push_back(scalars.bias);
	references.push_back(scalars.reference);
	if (quantizer.GetMetric() == Metric::IP) {
		// An estimate has no length of a vector.
		const float loss = quantizer.Decode(code, scalars, levels, decoded.data());
		extras.push_back(ExtraOf(InnerProduct(decoded.data(), decoded.data(), decoded.size()) + loss));
	}
}

bool EdgeEstimates::IsCopy(size_t position, const uint8_t *code, const CodeScalars &scalars) const {
	const size_t code_bytes = quantizer.CodeBytes();
	return factors[position] == scalars.factor && biases[position] == scalars.bias &&
	       references[position] == scalars.reference &&
	       std::memcmp(codes.data() + position * code_bytes, code, code_bytes) == 0;
}

const std::vector<float> &EdgeEstimates::DistancesFrom(const EdgeQuery &query) {
	distances.resize(Count());
	quantizer.Estimate(query.prepared, codes.data(), factors.data(), biases.data(), references.data(), Count(),
	                   distances.data());
	const Metric metric = quantizer.GetMetric();
	const float scale = metric == Metric::L2SQ ? 1 : 2;
	const float extra = ExtraOf(query.norm * query.norm);
	for (size_t i = 0; i < distances.size(); i++) {
		const float rest = metric == Metric::IP ? norm_max * norm_max - extra * extras[i] : 0;
		// In this order what is not a number, between vectors as large as floats get, becomes the least one.
		distances[i] = std::max(LEAST, scale * (distances[i] + rest));
	}
	return distances;
}

} // namespace lm_diskann
