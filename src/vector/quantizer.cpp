#include "vector/quantizer.hpp"

#include "base/error.hpp"
#include "base/random.hpp"
#include "vector/code_kernels.hpp"
#include "vector/code_levels.hpp"
#include "vector/distance.hpp"
#include "vector/rotation.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace lm_diskann {

namespace {

constexpr uint32_t QUANTIZER_VERSION = 1;
constexpr uint64_t DIMS_MAX = 16384;
//! Squared lengths between this and its inverse keep all bits that floats have.
constexpr float SAFE_SQUARE_MIN = 1e-20F;
//! Threshold of ternary weight networks (Li et al., 2016): near the optimum once the vector is rotated.
constexpr float TERNARY_THRESHOLD = 0.7F;

//! On disk: followed by reference_count x dims floats. All numbers little-endian.
struct StoredQuantizer {
	uint32_t version;
	uint8_t metric;
	uint8_t family;
	uint16_t reserved;
	uint32_t dims;
	uint32_t reference_count;
	uint64_t seed;
};
static_assert(sizeof(StoredQuantizer) == 24);

size_t PaddedDims(size_t dims) {
	return (dims + CODE_GROUP_DIMS - 1) / CODE_GROUP_DIMS * CODE_GROUP_DIMS;
}

// Each SIMD target adds in its own order, so its sums differ from another's in the last bits. A code must be the same
// on every machine that opens the file: what leads to it adds in this order.

double PortableSquaredNorm(const float *vector, size_t dims) {
	double sum = 0;
	for (size_t i = 0; i < dims; i++) {
		sum += double(vector[i]) * double(vector[i]);
	}
	return sum;
}

double PortableSquaredL2(const float *a, const float *b, size_t dims) {
	double sum = 0;
	for (size_t i = 0; i < dims; i++) {
		const double difference = double(a[i]) - double(b[i]);
		sum += difference * difference;
	}
	return sum;
}

//! Levels on a uniform grid of the given step.
void GridLevels(const float *residual, size_t dims, const LevelForm &form, float grid_step, uint8_t *levels) {
	const float level_max = float((1U << form.bits) - 1);
	const float inverse = 1.0F / grid_step;
	for (size_t i = 0; i < dims; i++) {
		const float level = residual[i] * inverse + (form.offset + 0.5F);
		// In this order a level that is not a number becomes the largest.
		levels[i] = uint8_t(std::max(std::min(level_max, level), 0.0F));
	}
}

//! The grid step whose levels have the largest cosine with the residual, among some around the optimum for Gaussian
//! coordinates (Max, 1960: 0.996 sigma for 4 levels, 0.335 sigma for 16).
float BestGridStep(const float *residual, size_t dims, const LevelForm &form, float sigma, uint8_t *levels) {
	constexpr float FACTORS[] = {0.7F, 0.85F, 1.0F, 1.15F, 1.3F};
	const float optimum = (form.bits == 2 ? 0.996F : 0.335F) * sigma;
	float best_step = optimum;
	float best_cosine = -1;
	for (const float factor : FACTORS) {
		GridLevels(residual, dims, form, factor * optimum, levels);
		float product = 0;
		float squared = 0;
		for (size_t i = 0; i < dims; i++) {
			const float level = float(levels[i]) - form.offset;
			product += level * residual[i];
			squared += level * level;
		}
		const float cosine = squared > 0 ? product / std::sqrt(squared) : 0;
		if (cosine > best_cosine) {
			best_cosine = cosine;
			best_step = factor * optimum;
		}
	}
	return best_step;
}

void ChooseLevels(CodeFamily family, const float *residual, size_t dims, float squared_norm, uint8_t *levels) {
	const LevelForm form = FormOf(family);
	if (family == CodeFamily::ONE_BIT) {
		std::transform(residual, residual + dims, levels, [](float value) { return uint8_t(value >= 0); });
		return;
	}
	if (family == CodeFamily::TERNARY) {
		float sum = 0;
		for (size_t i = 0; i < dims; i++) {
			sum += std::fabs(residual[i]);
		}
		const float threshold = TERNARY_THRESHOLD * sum / float(dims);
		for (size_t i = 0; i < dims; i++) {
			levels[i] = uint8_t(1 + (residual[i] > threshold) - (residual[i] < -threshold));
		}
		return;
	}
	const float sigma = std::sqrt(squared_norm / float(dims));
	if (!(sigma > 0)) {
		std::fill(levels, levels + dims, uint8_t(0));
		return;
	}
	const float grid_step = BestGridStep(residual, dims, form, sigma, levels);
	GridLevels(residual, dims, form, grid_step, levels);
}

} // namespace

size_t Quantizer::CodeBytes(CodeFamily family, size_t dims) {
	return PaddedDims(dims) / 8 * FormOf(family).bits;
}

Quantizer::Quantizer(Metric metric_p, CodeFamily family_p, size_t dims_p, uint64_t seed_p)
    : metric(metric_p), family(family_p), dims(dims_p), seed(seed_p), signs(ROTATION_ROUNDS * dims_p) {
	Random random(seed);
	for (float &sign : signs) {
		sign = (random.Next() >> 63) != 0 ? 1.0F : -1.0F;
	}
}

bool Quantizer::Normalize(const float *source, float *target, size_t dims) {
	const double norm = std::sqrt(PortableSquaredNorm(source, dims));
	const bool has_length = norm > 0 && std::isfinite(norm);
	const double scale = has_length ? 1.0 / norm : 0.0;
	for (size_t i = 0; i < dims; i++) {
		target[i] = float(double(source[i]) * scale);
	}
	return has_length;
}

void Quantizer::Rotate(const float *source, float *target) const {
	RotateVector(signs.data(), source, target, dims);
}

void Quantizer::RotateReferences() {
	rotated_references.resize(references.size());
	for (size_t k = 0; k < ReferenceCount(); k++) {
		Rotate(Reference(k), rotated_references.data() + k * dims);
	}
	reference_table = ReferenceTable(metric, rotated_references.data(), ReferenceCount(), dims);
}

uint16_t Quantizer::NearestOf(const float *vector, float *distances) const {
	DistancesToRows(Metric::L2SQ, vector, references.data(), ReferenceCount(), dims, distances);
	// Above the relative error of SIMD sums; within it the portable sums decide.
	constexpr float ROUNDING = 1e-4F;
	float nearest = std::numeric_limits<float>::infinity();
	size_t found = 0;
	for (size_t k = 0; k < ReferenceCount(); k++) {
		const float distance = distances[k];
		const bool is_clear = distance < nearest * (1 - ROUNDING);
		const bool is_close = !is_clear && distance <= nearest * (1 + ROUNDING);
		if (is_clear || (is_close && PortableSquaredL2(vector, Reference(k), dims) <
		                                 PortableSquaredL2(vector, Reference(found), dims))) {
			nearest = distance;
			found = k;
		}
	}
	return uint16_t(found);
}

uint16_t Quantizer::NearestReference(const float *vector, std::vector<float> &scratch) const {
	scratch.resize(std::max(scratch.size(), dims + ReferenceCount()));
	float *distances = scratch.data() + dims;
	if (metric != Metric::COSINE) {
		return NearestOf(vector, distances);
	}
	Normalize(vector, scratch.data(), dims);
	return NearestOf(scratch.data(), distances);
}

CodeScalars Quantizer::Encode(const float *vector, uint8_t *code, std::vector<float> &scratch) const {
	return Encode(vector, NearestReference(vector, scratch), code, scratch);
}

CodeScalars Quantizer::Encode(const float *vector, uint16_t reference, uint8_t *code,
                              std::vector<float> &scratch) const {
	const size_t padded = PaddedDims(dims);
	// [unit vector | rotated residual | levels as bytes]
	scratch.resize(std::max(scratch.size(), 2 * dims + padded / sizeof(float)));
	float *unit = scratch.data();
	float *residual = unit + dims;
	auto *levels = reinterpret_cast<uint8_t *>(residual + dims);
	const float *source = vector;
	if (metric == Metric::COSINE) {
		Normalize(vector, unit, dims);
		source = unit;
	}
	CodeScalars scalars;
	scalars.reference = reference;
	const float *rotated_reference = rotated_references.data() + scalars.reference * dims;
	Rotate(source, residual);
	for (size_t i = 0; i < dims; i++) {
		residual[i] -= rotated_reference[i];
	}
	const auto squared_norm = float(PortableSquaredNorm(residual, dims));
	std::memset(levels, 0, padded);
	ChooseLevels(family, residual, dims, squared_norm, levels);
	PackLevels(FormOf(family).bits, levels, padded, code);

	const LevelForm form = FormOf(family);
	double product = 0;           // <t, r>
	double reference_product = 0; // <t, P c_k>
	double offset_product = 0;    // <c_k, x - c_k>, the same in rotated space
	for (size_t i = 0; i < dims; i++) {
		const double level = double(form.step * float(levels[i]) - form.offset);
		product += level * double(residual[i]);
		reference_product += level * double(rotated_reference[i]);
		offset_product += double(rotated_reference[i]) * double(residual[i]);
	}
	const double factor = product > 0 ? double(squared_norm) / product : 0.0;
	switch (metric) {
	case Metric::L2SQ:
		scalars.factor = float(-2 * factor);
		scalars.bias = float(double(squared_norm) + 2 * factor * reference_product);
		break;
	case Metric::COSINE:
		scalars.factor = float(-factor);
		scalars.bias = float(double(squared_norm) / 2 + factor * reference_product);
		break;
	case Metric::IP:
		scalars.factor = float(-factor);
		scalars.bias = float(factor * reference_product - offset_product);
		break;
	}
	return scalars;
}

size_t Quantizer::RotatedQueryBytes() const {
	return ArrangedQueryBytes(FormOf(family).bits, PaddedDims(dims));
}

void Quantizer::Prepare(const float *vector, PreparedQuery &query) const {
	const size_t padded = PaddedDims(dims);
	const uint32_t bits = FormOf(family).bits;
	if (query.rotated.size() != RotatedQueryBytes()) {
		query.rotated = AlignedBuffer<int8_t>(RotatedQueryBytes());
		query.rounded.assign(padded, 0);
	}
	query.scratch.resize(2 * dims);
	float *source = query.scratch.data();
	float *rotated = source + dims;
	std::memcpy(source, vector, dims * sizeof(float));
	if (metric == Metric::COSINE) {
		// A query's bits need not be the same everywhere; a sum that leaves the range of floats is left to doubles.
		const float squared_norm = InnerProduct(vector, vector, dims);
		if (squared_norm > SAFE_SQUARE_MIN && squared_norm < 1 / SAFE_SQUARE_MIN) {
			const float scale = 1 / std::sqrt(squared_norm);
			std::transform(source, source + dims, source, [&](float value) { return value * scale; });
		} else {
			Normalize(vector, source, dims);
		}
	}
	Rotate(source, rotated);
	const float largest = LargestMagnitude(rotated, dims);
	const auto limit = float(QueryLimit(bits));
	query.step = largest > 0 && std::isfinite(largest) ? largest / limit : 1.0F;
	query.rotated_sum = RoundToInt8(rotated, 1.0F / query.step, limit, query.rounded.data(), dims);
	ArrangeQuery(bits, query.rounded.data(), padded, query.rotated.data());
	PrepareReferences(rotated, query);
}

void Quantizer::PrepareReferences(const float *rotated, PreparedQuery &query) const {
	const size_t count = ReferenceCount();
	std::vector<float> &terms = query.reference_terms;
	terms.resize(count + 1);
	terms[count] = std::numeric_limits<float>::infinity();
	reference_table.Distances(rotated, terms.data(), query.reference_scratch);
	// Few references improve on what is listed once the list is full, so inserting costs next to nothing.
	std::vector<uint16_t> &nearest = query.nearest_references;
	nearest.assign(std::min(count, PreparedQuery::NEAREST_COUNT), uint16_t(count));
	for (size_t k = 0; k < count; k++) {
		if (!(terms[k] < terms[nearest.back()])) {
			continue;
		}
		size_t place = nearest.size() - 1;
		for (; place > 0 && terms[k] < terms[nearest[place - 1]]; place--) {
			nearest[place] = nearest[place - 1];
		}
		nearest[place] = uint16_t(k);
	}
}

void Quantizer::Estimate(const QueryView &query, const uint8_t *codes, const float *factors, const float *biases,
                         const uint16_t *reference_ids, size_t count, float *distances) const {
	constexpr size_t BATCH = 64;
	const LevelForm form = FormOf(family);
	const size_t code_bytes = CodeBytes();
	const float query_offset = form.offset * float(query.rotated_sum);
	const float *terms = query.reference_terms.data();
	const size_t out_of_range = query.reference_terms.size() - 1;
	int32_t sums[BATCH];
	for (size_t begin = 0; begin < count; begin += BATCH) {
		const size_t end = std::min(count, begin + BATCH);
		CodeDotProducts(form.bits, query.rotated, codes + begin * code_bytes, code_bytes, end - begin, sums);
		for (size_t i = begin; i < end; i++) {
			const size_t reference = std::min<size_t>(reference_ids[i] & REFERENCE_MASK, out_of_range);
			const float product = query.step * (form.step * float(sums[i - begin]) - query_offset);
			distances[i] = terms[reference] + biases[i] + factors[i] * product;
		}
	}
}

size_t Quantizer::MemoryBytes() const {
	return (signs.size() + references.size() + rotated_references.size()) * sizeof(float) +
	       reference_table.MemoryBytes();
}

std::vector<uint8_t> Quantizer::Serialize() const {
	StoredQuantizer stored = {};
	stored.version = QUANTIZER_VERSION;
	stored.metric = uint8_t(metric);
	stored.family = uint8_t(family);
	stored.dims = uint32_t(dims);
	stored.reference_count = uint32_t(ReferenceCount());
	stored.seed = seed;
	std::vector<uint8_t> bytes(sizeof(stored) + references.size() * sizeof(float));
	std::memcpy(bytes.data(), &stored, sizeof(stored));
	std::memcpy(bytes.data() + sizeof(stored), references.data(), references.size() * sizeof(float));
	return bytes;
}

Quantizer Quantizer::Deserialize(ConstByteSpan bytes) {
	StoredQuantizer stored = {};
	if (bytes.size() < sizeof(stored)) {
		throw CorruptionError("the quantizer has " + std::to_string(bytes.size()) + " bytes, at least " +
		                      std::to_string(sizeof(stored)) + " were expected");
	}
	std::memcpy(&stored, bytes.data(), sizeof(stored));
	const uint64_t value_count = uint64_t(stored.reference_count) * stored.dims;
	if (stored.version != QUANTIZER_VERSION || stored.metric > uint8_t(Metric::IP) ||
	    stored.family > uint8_t(CodeFamily::FOUR_BIT) || stored.dims == 0 || stored.dims > DIMS_MAX ||
	    stored.reference_count == 0 || stored.reference_count > REFERENCES_MAX ||
	    bytes.size() != sizeof(stored) + value_count * sizeof(float)) {
		throw CorruptionError("the quantizer names version " + std::to_string(stored.version) + ", " +
		                      std::to_string(stored.reference_count) + " references of " + std::to_string(stored.dims) +
		                      " dimensions, but has " + std::to_string(bytes.size()) + " bytes");
	}
	Quantizer quantizer(Metric(stored.metric), CodeFamily(stored.family), stored.dims, stored.seed);
	quantizer.references.resize(value_count);
	std::memcpy(quantizer.references.data(), bytes.data() + sizeof(stored), value_count * sizeof(float));
	if (!std::all_of(quantizer.references.begin(), quantizer.references.end(),
	                 [](float value) { return std::isfinite(value); })) {
		throw CorruptionError("the quantizer holds a reference that is not finite");
	}
	quantizer.RotateReferences();
	return quantizer;
}

} // namespace lm_diskann
