// What a search of a list size finds and costs in one index, measured on its own rows: how a target recall becomes a
// list size, and what lm_diskann_calibration() shows.
#pragma once

#include "base/types.hpp"

#include <optional>
#include <vector>

namespace lm_diskann {

//! Neighbours that recall is measured over.
static constexpr uint32_t CALIBRATION_K = 10;

//! Searches of one list size. On disk: all numbers little-endian.
struct CalibrationPoint {
	uint32_t list_size = 0;
	//! Mean recall@10, 0..1, and the standard error of that mean.
	float recall = 0;
	float recall_error = 0;
	//! Mean number of blocks a search visits, read or cached.
	float blocks = 0;
};
static_assert(sizeof(CalibrationPoint) == 16);

//! By ascending list size; neither recall nor blocks descend.
struct Calibration {
	uint32_t sample_count = 0;
	//! Of the adaptive limits of searches (search_limit.hpp) that the points were measured with; 0: plain limits, which
	//! are no worse here.
	float dimension = 0;
	std::vector<CalibrationPoint> points;

	bool IsEmpty() const {
		return points.empty();
	}
	//! List size with which `k` rows are found with `target_recall`; unset where nothing was measured. A target beyond
	//! what was reached gives twice the longest list measured. A longer result needs a longer list: k rows, and what
	//! ten rows need beyond ten, times the square root of k / 10.
	std::optional<uint32_t> ListSizeFor(double target_recall, size_t k) const;

	std::vector<uint8_t> Serialize() const;
	//! An empty calibration from no bytes. Throws CorruptionError.
	static Calibration Deserialize(ConstByteSpan bytes);
};

} // namespace lm_diskann
