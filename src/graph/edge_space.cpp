#include "graph/edge_space.hpp"

#include "vector/distance.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace lm_diskann {

float PruneDistance(Metric metric, float product, float norm_a, float norm_b, float norm_max) {
	if (metric == Metric::IP) {
		const float scale = norm_max > 0 ? 1.0F / norm_max : 0.0F;
		const float a = norm_a * scale;
		const float b = norm_b * scale;
		const float extra = std::sqrt(std::max(0.0F, 1 - a * a) * std::max(0.0F, 1 - b * b));
		return std::max(0.0F, 2.0F - 2.0F * (product * scale * scale + extra));
	}
	const float norms = norm_a * norm_b;
	return norms > 0 ? std::max(0.0F, 2.0F - 2.0F * product / norms) : 2.0F;
}

EdgeSpace::EdgeSpace(const Quantizer &quantizer_p, float norm_max_p)
    : quantizer(&quantizer_p), norm_max(norm_max_p), dims(uint32_t(quantizer_p.Dims())), stride((dims + 15) / 16 * 16) {
}

float *EdgeSpace::Grow() {
	if (vectors.size() < (count + 1) * size_t(stride)) {
		vectors.resize(std::max<size_t>(2 * vectors.size(), 64 * size_t(stride)));
		norms.resize(vectors.size() / stride);
		losses.resize(vectors.size() / stride);
	}
	return vectors.data() + count * size_t(stride);
}

void EdgeSpace::Finish(float loss) {
	losses[count] = loss;
	if (quantizer->GetMetric() != Metric::L2SQ) {
		norms[count] = std::sqrt(InnerProduct(At(count), At(count), dims) + loss);
	}
	count++;
}

void EdgeSpace::AddNode(const float *vector) {
	own_code.resize(quantizer->CodeBytes());
	const CodeScalars scalars = quantizer->Encode(vector, own_code.data(), scratch);
	own_decoded.resize(dims);
	own_loss = quantizer->Decode(own_code.data(), scalars, levels, own_decoded.data());
	quantizer->Rotate(vector, Grow());
	Finish(0);
}

void EdgeSpace::ScoreNeighbors(std::vector<ScoredNode> &scored) const {
	scored.clear();
	for (uint32_t position = 1; position < count; position++) {
		const bool is_copy = losses[position] == own_loss && AreEqual(own_decoded.data(), At(position));
		scored.push_back({is_copy ? 0 : Distance(0, position), NodeId(position)});
	}
	std::sort(scored.begin(), scored.end());
}

void EdgeSpace::AddCode(const uint8_t *code, const CodeScalars &scalars) {
	const float loss = quantizer->Decode(code, scalars, levels, Grow());
	Finish(loss);
}

bool EdgeSpace::AreEqual(const float *a, const float *b) const {
	// Nearly always the first number tells.
	return *a == *b && std::memcmp(a, b, dims * sizeof(float)) == 0;
}

float EdgeSpace::Distance(uint32_t a, uint32_t b) const {
	// What equal codes lost is the same as well, not orthogonal: they are of copies.
	if (losses[a] == losses[b] && AreEqual(At(a), At(b))) {
		return 0;
	}
	const Metric metric = quantizer->GetMetric();
	if (metric == Metric::L2SQ) {
		const float distance = SquaredL2(At(a), At(b), dims) + losses[a] + losses[b];
		// Hostile or huge vectors can make NaN; it must not reach an ordering.
		return distance == distance ? distance : std::numeric_limits<float>::infinity();
	}
	return PruneDistance(metric, InnerProduct(At(a), At(b), dims), norms[a], norms[b], norm_max);
}

} // namespace lm_diskann
