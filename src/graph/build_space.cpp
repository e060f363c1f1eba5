#include "graph/build_space.hpp"

#include "vector/code_kernels.hpp"
#include "vector/distance.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace lm_diskann {

namespace {

//! Best step of 16 levels for Gaussian coordinates, in their deviations (Max, 1960).
constexpr float LEVEL_STEP = 0.335F;
constexpr uint32_t LEVEL_BITS = 4;

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
	return count * (VectorBytes(bits, dims) + sizeof(Tail));
}

BuildSpace::Tail BuildSpace::TailOf(NodeId node) const {
	Tail tail;
	std::memcpy(&tail, Bytes(node) + vector_bytes, sizeof(tail));
	return tail;
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
	Tail tail = {};
	if (quantizer.GetMetric() == Metric::IP) {
		tail.extra = std::sqrt(std::max(0.0F, norm_max * norm_max - norm * norm));
	}
	if (bits == LEVEL_BITS) {
		RoundToLevels(rotated, Bytes(node), tail);
	} else {
		RoundToBytes(rotated, Bytes(node), tail);
	}
	std::memcpy(Bytes(node) + vector_bytes, &tail, sizeof(tail));
}

void BuildSpace::RoundToBytes(const float *vector, uint8_t *target, Tail &tail) const {
	float largest = 0;
	for (size_t i = 0; i < dims; i++) {
		largest = std::max(largest, std::fabs(vector[i]));
	}
	tail.scale = largest / 127;
	const float inverse = largest > 0 ? 127 / largest : 0;
	auto *bytes = reinterpret_cast<int8_t *>(target);
	for (size_t i = 0; i < dims; i++) {
		bytes[i] = int8_t(RoundWithin(vector[i] * inverse, -127, 127));
	}
	tail.norm = tail.scale * tail.scale * InnerProduct(bytes, bytes, dims);
}

void BuildSpace::RoundToLevels(const float *vector, uint8_t *target, Tail &tail) const {
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
	tail.scale = step / 2;
	tail.norm = tail.scale * tail.scale * float(squares);
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
	point.node = node;
	if (bits != LEVEL_BITS) {
		point.values = reinterpret_cast<const int8_t *>(Bytes(node));
		return;
	}
	point.levels.resize(vector_bytes * 2);
	point.unpacked.resize(vector_bytes * 2);
	UnpackLevels(LEVEL_BITS, Bytes(node), point.levels.size(), point.levels.data());
	point.sum = 0;
	for (size_t i = 0; i < dims; i++) {
		point.unpacked[i] = int8_t(2 * int32_t(point.levels[i]) - 15);
		point.sum += point.unpacked[i];
	}
	point.values = point.unpacked.data();
}

float BuildSpace::Distance(const Point &point, NodeId other) const {
	const Tail a = TailOf(point.node);
	const Tail b = TailOf(other);
	float product;
	if (bits == LEVEL_BITS) {
		// <2u - 15, 2v - 15> = 2 <2u - 15, v> - 15 sum(2u - 15); what pads u is zero.
		int32_t sum;
		CodeDotProducts(LEVEL_BITS, point.values, Bytes(other), vector_bytes, 1, &sum);
		product = float(2 * sum - 15 * point.sum);
	} else {
		product = InnerProduct(point.values, reinterpret_cast<const int8_t *>(Bytes(other)), dims);
	}
	const float extra = a.extra - b.extra;
	// In this order a distance that is not a number, between vectors as large as floats get, becomes zero.
	return std::max(0.0F, a.norm + b.norm - 2 * a.scale * b.scale * product + extra * extra);
}

} // namespace lm_diskann
