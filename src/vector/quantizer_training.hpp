// Learning the references of a Quantizer, in pieces that may run beside each other.
//
// K references by k-means (Lloyd's iterations from a random choice of rows): K = clamp(round(sqrt(row_count)), 16,
// 1024) bounded by the rows of the sample; K = 1 below 256 rows, the mean for L2SQ and the zero vector for COSINE and
// IP. The same (sample, seed) gives the same references for any number of threads.
#pragma once

#include "vector/quantizer.hpp"

namespace lm_diskann {

class QuantizerTraining {
public:
	//! `sample`: row-major, `count` x `dims` floats, all finite; for COSINE of any length but zero.
	QuantizerTraining(Metric metric, CodeFamily family, size_t dims, AlignedBuffer<float> sample_p, uint64_t row_count,
	                  uint64_t seed);

	//! Rows of a sample that are of use.
	static uint64_t SampleCount(uint64_t row_count);

	//! The next round, of ItemCount items; false: the references are learned.
	bool StartRound();
	size_t ItemCount() const;
	//! Any thread.
	void RunItem(size_t item);
	//! After the last round, once.
	Quantizer Finish();

private:
	void TakeMeans();

	Quantizer quantizer;
	AlignedBuffer<float> rows;
	size_t count;
	//! Rows trained on, and the nearest reference of each.
	std::vector<size_t> order;
	std::vector<uint16_t> nearest;
	size_t round = 0;
};

} // namespace lm_diskann
