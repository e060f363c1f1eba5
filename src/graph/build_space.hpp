// The vectors of a build in RAM, made small: rotated, centred and rounded to 8 or 4 bits a dimension, with the distance
// that the graph is built with.
//
// Linking meets each vector a few thousand times in random order, so all of them have to be at hand; as floats they
// would be larger than all else together. The distance is exactly the squared Euclidean one between the rounded
// vectors, as RobustPrune needs it: between unit vectors for COSINE, and with one more coordinate sqrt(M^2 - |x|^2) for
// IP, M the largest length of all, so that it orders like the inner product for queries (Bachrach et al., RecSys 2014).
#pragma once

#include "base/aligned_buffer.hpp"
#include "vector/distance_columns.hpp"
#include "vector/quantizer.hpp"

#include <vector>

namespace lm_diskann {

//! Writes beside each other on distinct nodes; reads by any thread afterwards.
class BuildSpace {
public:
	//! `bits` is 8 or 4. `norm_max` (IP): no vector is longer. The quantizer, which outlives this, gives rotation and
	//! centre.
	BuildSpace(const Quantizer &quantizer_p, uint32_t bits_p, float norm_max_p, size_t count_p);

	static uint64_t MemoryBytes(uint32_t bits, size_t dims, size_t count);

	size_t Count() const {
		return count;
	}
	size_t Dims() const {
		return dims;
	}
	//! Takes `vector` (`dims` floats, finite; not zero for COSINE) for `node`. `scratch` is grown once.
	void Set(NodeId node, const float *vector, std::vector<float> &scratch);
	//! Fetches the first lines of a vector that is needed soon.
	void Prefetch(NodeId node) const;

	//! A vector made ready for distances to many. Belongs to one thread; reuse it.
	class Point {
	public:
		Point() = default;
		Point(const Point &) = delete;
		Point &operator=(const Point &) = delete;

		//! Signed bytes, at least one for each dimension.
		const int8_t *Values() const {
			return values.data();
		}

	private:
		friend class BuildSpace;
		NodeId node = NodeId(UINT32_MAX);
		//! And their sum.
		std::vector<int8_t> values;
		int32_t sum = 0;
		std::vector<uint8_t> levels;
	};
	void Load(NodeId node, Point &point) const;
	void Distances(const Point &point, Span<const NodeId> others, float *distances) const;
	//! With these, rows of Point::Values and these columns DistanceColumns has the same distances.
	ByteVectorTerms TermsOf(NodeId node) const;
	void AddTo(DistanceColumns &columns, NodeId node, Point &scratch) const;

private:
	uint8_t *Bytes(NodeId node) const {
		return vectors.data() + node.value * stride;
	}
	//! <point, other> for `batch` others, in units of both scales.
	void Products(const Point &point, const uint8_t *const *bytes, size_t batch, int32_t *products) const;
	void RoundToBytes(const float *vector, uint8_t *target, ByteVectorTerms &terms) const;
	void RoundToLevels(const float *vector, uint8_t *target, ByteVectorTerms &terms) const;

	const Quantizer &quantizer;
	uint32_t bits;
	float norm_max;
	size_t dims;
	size_t count;
	size_t vector_bytes;
	//! Bytes from one vector to the next.
	size_t stride;
	std::vector<float> center;
	AlignedBuffer<uint8_t> vectors;
};

//! Distances for RobustPrune.
class BuildDistance {
public:
	explicit BuildDistance(const BuildSpace &space_p) : space(space_p) {
	}
	void operator()(NodeId from, Span<const NodeId> to, float *distances) {
		space.Load(from, point);
		space.Distances(point, to, distances);
		count += to.size();
	}
	//! Distances computed so far.
	uint64_t Count() const {
		return count;
	}

private:
	const BuildSpace &space;
	BuildSpace::Point point;
	uint64_t count = 0;
};

} // namespace lm_diskann
