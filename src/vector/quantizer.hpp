// Compressed vectors: rotated, centred on one of K references, b bits a dimension, with unbiased distance estimates.
//
// Let P be a random orthogonal map, c_k the reference nearest to x and r = P(x - c_k). Each coordinate of r becomes a
// level t (ternary -1/0/+1 by the TWN threshold 0.7 mean|r|; 1bit -1/+1; 2bit and 4bit a uniform grid whose step
// maximises the cosine of t and r). With f = |r|^2 / <t, r> the estimator <q - c_k, x - c_k> ~ f <P(q - c_k), t> is
// unbiased over P (RaBitQ, SIGMOD 2024; extended RaBitQ, SIGMOD 2025). One scalar more, `bias`, folds the reference's
// part and the norm, so an estimate is A_k + bias + f' * <Pq, t> for all three metrics:
//
//   L2SQ    |q-x|^2 ~ |q-c_k|^2 + [ |r|^2 + 2 f <Pc_k,t> ] - 2 f <Pq,t>
//   IP      -<q,x>  ~ -<q,c_k>  - [ <c_k, x-c_k> - f <Pc_k,t> ] - f <Pq,t>
//   COSINE  vectors are scaled to unit length first, then L2SQ / 2
//
// Levels are stored as unsigned numbers u = t * a + b packed b bits each, in groups of 128 dimensions whose bits are
// interleaved so that one shift and mask serves 32 dimensions. The query is rounded once, to eight bits, or to five for
// 1bit codes, whose own error is far larger; <Pq, t> is then one unsigned x signed integer dot product: one kernel,
// four code families. Codes do not depend on the block they lie in, so an edge can be copied from block to block.
#pragma once

#include "base/aligned_buffer.hpp"
#include "base/types.hpp"
#include "vector/reference_table.hpp"
#include "vector/vector_types.hpp"

#include <vector>

namespace lm_diskann {

//! What a code carries beside its bits. Eight bytes of it and the reference are stored per edge.
struct CodeScalars {
	//! Factor of <Pq, t> in the estimate, sign and 2 included.
	float factor = 0;
	//! Everything that does not depend on the query.
	float bias = 0;
	//! Index of the reference c_k.
	uint16_t reference = 0;
};

//! Most references a quantizer may have.
static constexpr uint64_t REFERENCES_MAX = 1024;

//! The top bit of a stored reference does not belong to it: blocks keep a mark of theirs there.
static constexpr uint16_t REFERENCE_MASK = 0x7FFF;

//! What estimates need of a query (see PreparedQuery).
struct QueryView {
	const int8_t *rotated;
	float step;
	int32_t rotated_sum;
	Span<const float> reference_terms;
};

//! A query made ready for estimates. Belongs to one thread; reuse it to avoid allocation.
struct PreparedQuery {
	//! So many references are kept in order.
	static constexpr size_t NEAREST_COUNT = 8;

	//! Rounded rotated query, in the order that the kernels meet it.
	AlignedBuffer<int8_t> rotated;
	//! Rounding step: <Pq, t> ~ step * <rotated, t>.
	float step = 0;
	//! Sum of all `rotated`; removes the offset of unsigned levels.
	int32_t rotated_sum = 0;
	//! A_k for each reference: |q-c_k|^2, -<q,c_k> or half the former; K floats, then +infinity for ids out of range.
	std::vector<float> reference_terms;
	//! The NEAREST_COUNT references (or all, if they are fewer) of the smallest terms, ascending; the number of
	//! references stands for none (what is infinitely far is not near).
	std::vector<uint16_t> nearest_references;
	//! Scratch of Prepare.
	std::vector<float> scratch;
	std::vector<int8_t> rounded;
	std::vector<int16_t> reference_scratch;

	//! Until it is prepared anew.
	QueryView View() const {
		return {rotated.data(), step, rotated_sum, {reference_terms.data(), reference_terms.size()}};
	}
};

//! Trained compression of vectors of one index. Immutable after construction, so any number of threads may use it.
class Quantizer {
public:
	//! Bytes of one packed code: dims rounded up to 128, times bits, over 8. Multiple of 16.
	static size_t CodeBytes(CodeFamily family, size_t dims);

	//! QuantizerTraining as a whole, on a copy of `sample`.
	static Quantizer Train(Metric metric, CodeFamily family, size_t dims, Span<const float> sample, uint64_t row_count,
	                       uint64_t seed);
	//! K as Train chooses it from a sample that is large enough.
	static size_t ReferenceCountFor(uint64_t row_count);
	//! The inverse of Serialize. Throws CorruptionError.
	static Quantizer Deserialize(ConstByteSpan bytes);
	//! Everything but what the seed gives back; references as float32.
	std::vector<uint8_t> Serialize() const;

	Metric GetMetric() const {
		return metric;
	}
	CodeFamily Family() const {
		return family;
	}
	size_t Dims() const {
		return dims;
	}
	//! Of the rotation.
	uint64_t Seed() const {
		return seed;
	}
	size_t CodeBytes() const {
		return CodeBytes(family, dims);
	}
	size_t ReferenceCount() const {
		return references.size() / dims;
	}
	//! Reference k as `dims` floats in the original (not rotated) space.
	const float *Reference(size_t k) const {
		return references.data() + k * dims;
	}
	//! Heap bytes held.
	size_t MemoryBytes() const;

	//! Encodes `vector` (`dims` floats, finite; not zero for COSINE) into `code` (CodeBytes() bytes).
	//! `scratch` is grown once to what is needed.
	CodeScalars Encode(const float *vector, uint8_t *code, std::vector<float> &scratch) const;
	//! The same where the nearest reference is known.
	CodeScalars Encode(const float *vector, uint16_t reference, uint8_t *code, std::vector<float> &scratch) const;
	//! The vector a code stands for, rotated (distances stay what they are): `target` gets `dims` floats. Under COSINE
	//! it has unit length but for what the code lost. Returns the squared length of that loss; for IP, whose codes do
	//! not tell it, what is usual for the family. Finite for any bytes. `levels` is scratch.
	float Decode(const uint8_t *code, const CodeScalars &scalars, std::vector<uint8_t> &levels, float *target) const;
	//! Index of the reference nearest (squared L2; unit length for COSINE) to `vector`.
	uint16_t NearestReference(const float *vector, std::vector<float> &scratch) const;

	//! Size of PreparedQuery::rotated.
	size_t RotatedQueryBytes() const;
	//! Makes `query` ready for estimates against `vector` (`dims` floats, finite).
	void Prepare(const float *vector, PreparedQuery &query) const;

	//! distances[i] = estimate for code i of a whole node: `count` codes, contiguous, CodeBytes() each; factors, biases
	//! and reference_ids are arrays of `count` (any alignment of the codes, natural alignment of the arrays).
	//! A reference id out of range gives +infinity. No allocation, no I/O, never throws.
	void Estimate(const QueryView &query, const uint8_t *codes, const float *factors, const float *biases,
	              const uint16_t *reference_ids, size_t count, float *distances) const;

	//! target = P(source): `dims` floats each, may not overlap. Keeps length and inner products.
	void Rotate(const float *source, float *target) const;

private:
	friend class QuantizerTraining;

	Quantizer(Metric metric_p, CodeFamily family_p, size_t dims_p, uint64_t seed_p);
	//! Scales to unit length; false when the length is zero or not finite.
	static bool Normalize(const float *source, float *target, size_t dims);
	void RotateReferences();
	void PrepareReferences(const float *rotated, PreparedQuery &query) const;
	//! `distances`: scratch for one of each reference.
	uint16_t NearestOf(const float *vector, float *distances) const;

	Metric metric;
	CodeFamily family;
	size_t dims;
	uint64_t seed;
	//! 4 rounds of random signs, `dims` each, as +-1.
	std::vector<float> signs;
	//! K x dims, original space, and the same rotated.
	std::vector<float> references;
	std::vector<float> rotated_references;
	ReferenceTable reference_table;
};

} // namespace lm_diskann
