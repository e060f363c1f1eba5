#include "graph/build_space.hpp"

#include "vector/byte_products.hpp"
#include "vector/code_kernels.hpp"
#include "vector/distance.hpp"
#include "vector/rotation.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

namespace lm_diskann {

namespace {

//! Best step of 16 levels for Gaussian coordinates, in their deviations (Max, 1960).
constexpr float LEVEL_STEP = 0.335F;
constexpr uint32_t LEVEL_BITS = 4;
//! A byte stands for so much less: products of bytes are fastest between a signed and an unsigned one.
constexpr int32_t BYTE_OFFSET = 128;

size_t VectorBytes(uint32_t bits, size_t dims) {
	return bits == LEVEL_BITS ? Quantizer::CodeBytes(CodeFamily::FOUR_BIT, dims) : dims;
}

//! `value` as a whole number of low..high; what is not a number becomes the lowest.
float RoundWithin(float value, float low, float high) {
	return std::nearbyint(std::min(value > low ? value : low, high));
}

} // namespace

BuildSpace::BuildSpace(const Quantizer &quantizer_p, uint32_t bits_p, float norm_max_p, size_t count_p)
    : quantizer(quantizer_p), bits(bits_p), norm_max(norm_max_p), dims(quantizer_p.Dims()), count(count_p),
      vector_bytes(VectorBytes(bits_p, dims)), stride(size_t(MemoryBytes(bits_p, dims, 1))), center(dims),
      vectors(count_p * stride) {
	std::vector<float> mean(dims);
	for (size_t k = 0; k < quantizer.ReferenceCount(); k++) {
		for (size_t i = 0; i < dims; i++) {
			mean[i] += quantizer.Reference(k)[i] / float(quantizer.ReferenceCount());
		}
	}
	quantizer.Rotate(mean.data(), center.data());
}

uint64_t BuildSpace::MemoryBytes(uint32_t bits, size_t dims, size_t count) {
	return count * (VectorBytes(bits, dims) + sizeof(ByteVectorTerms));
}

ByteVectorTerms BuildSpace::TermsOf(NodeId node) const {
	ByteVectorTerms terms;
	std::memcpy(&terms, Bytes(node) + vector_bytes, sizeof(terms));
	return terms;
}

void BuildSpace::Set(NodeId node, const float *vector, std::vector<float> &scratch) {
	scratch.resize(std::max(scratch.size(), 2 * dims));
	float *rotated = scratch.data();
	float *scaled = rotated + dims;
	const float norm = std::sqrt(InnerProduct(vector, vector, dims));
	const float factor = quantizer.GetMetric() == Metric::COSINE ? 1 / norm : 1.0F;
	std::transform(vector, vector + dims, scaled, [factor](float value) { return value * factor; });
	quantizer.Rotate(scaled, rotated);
	std::transform(rotated, rotated + dims, center.begin(), rotated, [](float a, float b) { return a - b; });
	ByteVectorTerms terms = {};
	if (quantizer.GetMetric() == Metric::IP) {
		terms.extra = std::sqrt(std::max(0.0F, norm_max * norm_max - norm * norm));
	}
	if (bits == LEVEL_BITS) {
		RoundToLevels(rotated, Bytes(node), terms);
	} else {
		RoundToBytes(rotated, Bytes(node), terms);
	}
	std::memcpy(Bytes(node) + vector_bytes, &terms, sizeof(terms));
}

void BuildSpace::RoundToBytes(const float *vector, uint8_t *target, ByteVectorTerms &terms) const {
	const float largest = LargestMagnitude(vector, dims);
	terms.scale = largest / 127;
	auto *values = reinterpret_cast<int8_t *>(target);
	RoundToInt8(vector, largest > 0 ? 127 / largest : 0, 127, values, dims);
	int32_t squares = 0;
	for (size_t i = 0; i < dims; i++) {
		target[i] = uint8_t(values[i] + BYTE_OFFSET);
		const int32_t value = int32_t(target[i]) - BYTE_OFFSET;
		squares += value * value;
	}
	terms.norm = terms.scale * terms.scale * float(squares);
}

void BuildSpace::RoundToLevels(const float *vector, uint8_t *target, ByteVectorTerms &terms) const {
	std::vector<uint8_t> levels(vector_bytes * 2);
	const float step = LEVEL_STEP * std::sqrt(InnerProduct(vector, vector, dims) / float(dims));
	const float inverse = step > 0 ? 1 / step : 0;
	// A level u stands for (u - 7.5) steps, kept as the odd number 2u - 15 of half steps.
	int64_t squares = 0;
	for (size_t i = 0; i < dims; i++) {
		levels[i] = uint8_t(RoundWithin(vector[i] * inverse + 7.5F, 0, 15));
		const int64_t odd = 2 * int64_t(levels[i]) - 15;
		squares += odd * odd;
	}
	terms.scale = step / 2;
	terms.norm = terms.scale * terms.scale * float(squares);
	PackLevels(LEVEL_BITS, levels.data(), levels.size(), target);
}

void BuildSpace::Prefetch(NodeId node) const {
	const uint8_t *vector = Bytes(node);
	// The hardware streams the rest once the first lines are asked for.
	for (size_t offset = 0; offset < std::min<size_t>(stride, 512); offset += 64) {
		__builtin_prefetch(vector + offset);
	}
}

void BuildSpace::Load(NodeId node, Point &point) const {
	if (point.node == node) {
		return;
	}
	point.node = node;
	const uint8_t *bytes = Bytes(node);
	if (bits != LEVEL_BITS) {
		point.values.resize(dims);
		std::transform(bytes, bytes + dims, point.values.begin(), [](uint8_t u) { return int8_t(u - BYTE_OFFSET); });
	} else {
		point.levels.resize(vector_bytes * 2);
		point.values.resize(vector_bytes * 2); // zeros behind the last
		UnpackLevels(LEVEL_BITS, bytes, point.levels.size(), point.levels.data());
		std::transform(point.levels.begin(), point.levels.begin() + ptrdiff_t(dims), point.values.begin(),
		               [](uint8_t u) { return int8_t(2 * int32_t(u) - 15); });
	}
	point.sum = std::accumulate(point.values.begin(), point.values.end(), int32_t(0));
}

void BuildSpace::AddTo(DistanceColumns &columns, NodeId node, Point &scratch) const {
	if (bits != LEVEL_BITS) {
		columns.Add(Bytes(node), TermsOf(node));
		return;
	}
	scratch.levels.resize(vector_bytes * 2);
	UnpackLevels(LEVEL_BITS, Bytes(node), scratch.levels.size(), scratch.levels.data());
	for (uint8_t &level : scratch.levels) {
		level = uint8_t(2 * int32_t(level) - 15 + BYTE_OFFSET);
	}
	columns.Add(scratch.levels.data(), TermsOf(node));
}

void BuildSpace::Distances(const Point &point, Span<const NodeId> others, float *distances) const {
	constexpr size_t BATCH = 64;
	const ByteVectorTerms a = TermsOf(point.node);
	const uint8_t *bytes[BATCH];
	int32_t products[BATCH];
	for (size_t begin = 0; begin < others.size(); begin += BATCH) {
		const size_t batch = std::min(BATCH, others.size() - begin);
		for (size_t i = 0; i < batch; i++) {
			bytes[i] = Bytes(others[begin + i]);
		}
		Products(point, bytes, batch, products);
		for (size_t i = 0; i < batch; i++) {
			const ByteVectorTerms b = TermsOf(others[begin + i]);
			const float extra = a.extra - b.extra;
			const float sum = a.norm + b.norm - 2 * a.scale * b.scale * float(products[i]) + extra * extra;
			// In this order a distance that is not a number, between vectors as large as floats get, becomes zero.
			distances[begin + i] = std::max(0.0F, sum);
		}
	}
}

void BuildSpace::Products(const Point &point, const uint8_t *const *bytes, size_t batch, int32_t *products) const {
	if (bits != LEVEL_BITS) {
		ByteProducts(point.values.data(), bytes, batch, dims, products);
		std::for_each(products, products + batch, [&](int32_t &product) { product -= BYTE_OFFSET * point.sum; });
		return;
	}
	for (size_t i = 0; i < batch; i++) {
		// <2u - 15, 2v - 15> = 2 <2u - 15, v> - 15 sum(2u - 15); what pads u is zero.
		CodeDotProducts(LEVEL_BITS, point.values.data(), bytes[i], vector_bytes, 1, products + i);
		products[i] = 2 * products[i] - 15 * point.sum;
	}
}

} // namespace lm_diskann
