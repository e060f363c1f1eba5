#include "index/search_replay.hpp"

#include <algorithm>
#include <cmath>

namespace lm_diskann {

namespace {

//! Lists that adaptive and plain limits are compared by.
constexpr uint32_t COMPARED_LIST_SIZES[] = {12, 16, 24, 32, 48, 64, 96, 128};
//! Within this range lies the dimension that is looked for, and so many halvings find it.
constexpr float DIMENSION_MIN = 2, DIMENSION_MAX = 1024;
constexpr int HALVING_COUNT = 12;
//! An adaptive limit is worth it when it takes at most this share of the blocks that a plain one takes for the same
//! recall.
constexpr double BLOCKS_SHARE_MAX = 0.95;

//! Blocks for this recall, between two points of a curve; 0 where it does not reach so far, or begins beyond it.
double BlocksFor(float recall, const std::vector<CalibrationPoint> &curve) {
	for (size_t i = 1; i < curve.size(); i++) {
		const CalibrationPoint &before = curve[i - 1], &after = curve[i];
		if (before.recall <= recall && recall < after.recall) {
			const double share = double(recall - before.recall) / double(after.recall - before.recall);
			return double(before.blocks) + share * double(after.blocks - before.blocks);
		}
	}
	return 0;
}

double SumBlocks(const std::vector<CalibrationPoint> &curve) {
	double blocks = 0;
	for (const CalibrationPoint &point : curve) {
		blocks += double(point.blocks);
	}
	return blocks;
}

} // namespace

CalibrationPoint SearchReplay::Measure(uint32_t list_size, float dimension) const {
	const SearchLimit limit = SearchLimit::For(list_size, CALIBRATION_K, dimension);
	SearchBound bound;
	double recall_sum = 0, square_sum = 0, blocks = 0;
	for (const RecordedSearch &search : searches) {
		bound.Reset(limit);
		size_t visited = 0, found = 0;
		for (; visited < search.steps.size() && search.steps[visited].estimate < bound.Value(); visited++) {
			bound.Offer(search.steps[visited].distance);
			found += search.steps[visited].is_answer ? 1 : 0;
		}
		const double recall = double(std::min(found, search.answer_count)) / double(search.answer_count);
		const bool is_over = visited == search.steps.size() && list_size > search.list_size;
		recall_sum += recall;
		square_sum += recall * recall;
		blocks += double(visited) + (is_over ? list_size - search.list_size : 0);
	}
	const auto count = double(searches.size());
	const double mean = recall_sum / count;
	const double variance = std::max(0.0, square_sum / count - mean * mean);
	return {list_size, float(mean), float(std::sqrt(variance / count)), float(blocks / count)};
}

std::vector<CalibrationPoint> SearchReplay::Curve(float dimension) const {
	std::vector<CalibrationPoint> curve;
	for (const uint32_t list_size : COMPARED_LIST_SIZES) {
		curve.push_back(Measure(list_size, dimension));
	}
	return curve;
}

float SearchReplay::FitDimension() const {
	const std::vector<CalibrationPoint> plain = Curve(0);
	const double plain_blocks = SumBlocks(plain);
	// The larger the dimension, the nearer and cheaper the limit.
	float low = DIMENSION_MIN, high = DIMENSION_MAX;
	for (int i = 0; i < HALVING_COUNT; i++) {
		const float middle = std::sqrt(low * high);
		(SumBlocks(Curve(middle)) > plain_blocks ? low : high) = middle;
	}
	const std::vector<CalibrationPoint> adaptive = Curve(high);
	double blocks = 0, blocks_before = 0;
	for (const CalibrationPoint &point : plain) {
		const double for_recall = BlocksFor(point.recall, adaptive);
		blocks += for_recall;
		blocks_before += for_recall > 0 ? double(point.blocks) : 0;
	}
	return blocks < BLOCKS_SHARE_MAX * blocks_before ? high : 0;
}

} // namespace lm_diskann
