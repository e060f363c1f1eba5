#include "vector/quantizer_training.hpp"

#include "base/random.hpp"

#include <algorithm>
#include <cmath>

namespace lm_diskann {

namespace {

//! Rows a reference is trained on, rounds of training, and the count below which one reference serves all.
constexpr size_t ROWS_PER_REFERENCE = 32;
constexpr size_t ROUNDS = 5;
constexpr uint64_t REFERENCES_MIN = 16, ROWS_FOR_REFERENCES = 256;
constexpr size_t ITEM_SIZE = 64;

} // namespace

QuantizerTraining::QuantizerTraining(Metric metric, CodeFamily family, size_t dims, AlignedBuffer<float> sample_p,
                                     uint64_t row_count, uint64_t seed)
    : quantizer(metric, family, dims, seed), rows(std::move(sample_p)), count(rows.size() / dims) {
	for (size_t i = 0; metric == Metric::COSINE && i < count; i++) {
		Quantizer::Normalize(rows.data() + i * dims, rows.data() + i * dims, dims);
	}
	std::vector<float> &references = quantizer.references;
	if (row_count < ROWS_FOR_REFERENCES || count < REFERENCES_MIN) {
		references.assign(dims, 0.0F);
		for (size_t i = 0; metric == Metric::L2SQ && i < count; i++) {
			for (size_t j = 0; j < dims; j++) {
				references[j] += rows[i * dims + j] / float(count);
			}
		}
		round = ROUNDS;
		return;
	}
	const size_t reference_count = std::min(Quantizer::ReferenceCountFor(row_count), count);
	order = Random(seed ^ 0x5851F42D4C957F2DULL).Permutation<size_t>(count);
	order.resize(std::min(count, ROWS_PER_REFERENCE * reference_count));
	nearest.resize(order.size());
	for (size_t k = 0; k < reference_count; k++) {
		const float *row = rows.data() + order[k] * dims;
		references.insert(references.end(), row, row + dims);
	}
}

uint64_t QuantizerTraining::SampleCount(uint64_t row_count) {
	return std::min<uint64_t>(
	    row_count, std::max(ROWS_FOR_REFERENCES, ROWS_PER_REFERENCE * Quantizer::ReferenceCountFor(row_count)));
}

bool QuantizerTraining::StartRound() {
	if (round > 0 && !order.empty()) {
		TakeMeans();
	}
	if (round == ROUNDS) {
		return false;
	}
	round++;
	return true;
}

size_t QuantizerTraining::ItemCount() const {
	return (order.size() + ITEM_SIZE - 1) / ITEM_SIZE;
}

void QuantizerTraining::RunItem(size_t item) {
	std::vector<float> distances(quantizer.ReferenceCount());
	for (size_t i = item * ITEM_SIZE; i < std::min(order.size(), (item + 1) * ITEM_SIZE); i++) {
		nearest[i] = quantizer.NearestOf(rows.data() + order[i] * quantizer.dims, distances.data());
	}
}

//! A reference that loses all rows stays where it was.
void QuantizerTraining::TakeMeans() {
	const size_t dims = quantizer.dims;
	std::vector<float> &references = quantizer.references;
	std::vector<double> sums(references.size());
	std::vector<size_t> counts(quantizer.ReferenceCount());
	for (size_t i = 0; i < order.size(); i++) {
		const float *row = rows.data() + order[i] * dims;
		counts[nearest[i]]++;
		for (size_t j = 0; j < dims; j++) {
			sums[nearest[i] * dims + j] += double(row[j]);
		}
	}
	for (size_t k = 0; k < counts.size(); k++) {
		for (size_t j = 0; counts[k] > 0 && j < dims; j++) {
			references[k * dims + j] = float(sums[k * dims + j] / double(counts[k]));
		}
	}
}

Quantizer QuantizerTraining::Finish() {
	quantizer.RotateReferences();
	return std::move(quantizer);
}

size_t Quantizer::ReferenceCountFor(uint64_t row_count) {
	if (row_count < ROWS_FOR_REFERENCES) {
		return 1;
	}
	return std::clamp<size_t>(size_t(std::llround(std::sqrt(double(row_count)))), REFERENCES_MIN, REFERENCES_MAX);
}

Quantizer Quantizer::Train(Metric metric, CodeFamily family, size_t dims, Span<const float> sample, uint64_t row_count,
                           uint64_t seed) {
	AlignedBuffer<float> rows(sample.size());
	std::copy(sample.begin(), sample.end(), rows.data());
	QuantizerTraining training(metric, family, dims, std::move(rows), row_count, seed);
	while (training.StartRound()) {
		for (size_t item = 0; item < training.ItemCount(); item++) {
			training.RunItem(item);
		}
	}
	return training.Finish();
}

} // namespace lm_diskann
