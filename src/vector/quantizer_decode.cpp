// Codes back to vectors, as far as they go: for choosing edges between nodes of which only codes are at hand.
//
// With the levels t, f = |r|^2 / <t, r> and |r|^2, which factor and bias give back, the multiple of t nearest to the
// residual r is g t with g = <t, r> / |t|^2 = |r|^2 / (f |t|^2), and |r - g t|^2 = |r|^2 - g <t, r>.
#include "vector/code_kernels.hpp"
#include "vector/code_levels.hpp"
#include "vector/distance.hpp"
#include "vector/quantizer.hpp"

#include <algorithm>
#include <cmath>

namespace lm_diskann {

namespace {

//! Mean squared cosine of a rotated residual and its levels.
double UsualSquaredCosine(CodeFamily family) {
	switch (family) {
	case CodeFamily::ONE_BIT:
		return 0.637;
	case CodeFamily::TERNARY:
		return 0.81;
	case CodeFamily::TWO_BIT:
		return 0.883;
	case CodeFamily::FOUR_BIT:
		return 0.989;
	}
	throw InternalError("unknown code family");
}

} // namespace

float Quantizer::Decode(const uint8_t *code, const CodeScalars &scalars, std::vector<uint8_t> &levels,
                        float *target) const {
	levels.resize((dims + CODE_GROUP_DIMS - 1) / CODE_GROUP_DIMS * CODE_GROUP_DIMS);
	const LevelForm form = FormOf(family);
	UnpackLevels(form.bits, code, levels.size(), levels.data());
	// Hostile bytes may name any reference.
	const size_t reference = scalars.reference < ReferenceCount() ? scalars.reference : 0;
	const float *rotated_reference = rotated_references.data() + reference * dims;
	// `target` holds the levels t before it gets the vector.
	std::transform(levels.begin(), levels.begin() + ptrdiff_t(dims), target,
	               [&](uint8_t level) { return form.step * float(level) - form.offset; });
	const float reference_product = InnerProduct(target, rotated_reference, dims); // <t, P c_k>
	const float level_norm = InnerProduct(target, target, dims);                   // |t|^2
	const double f = metric == Metric::L2SQ ? -0.5 * double(scalars.factor) : -double(scalars.factor);
	double squared_norm = 0; // |r|^2
	double scale = 0;        // g
	switch (metric) {
	case Metric::L2SQ:
		squared_norm = double(scalars.bias) - 2 * f * double(reference_product);
		break;
	case Metric::COSINE:
		squared_norm = 2 * (double(scalars.bias) - f * double(reference_product));
		break;
	case Metric::IP:
		squared_norm = UsualSquaredCosine(family) * f * f * double(level_norm);
		break;
	}
	if (f > 0 && level_norm > 0 && squared_norm > 0) {
		scale = squared_norm / (f * double(level_norm));
	}
	double loss = squared_norm - scale * scale * double(level_norm);
	if (!std::isfinite(scale) || !std::isfinite(loss)) {
		scale = 0;
		loss = 0;
	}
	const auto factor = float(scale);
	std::transform(target, target + dims, rotated_reference, target,
	               [factor](float level, float center) { return center + factor * level; });
	return float(std::max(loss, 0.0));
}

} // namespace lm_diskann
