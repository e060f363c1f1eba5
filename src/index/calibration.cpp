#include "index/calibration.hpp"

#include "base/error.hpp"
#include "index/options.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

namespace lm_diskann {

namespace {

constexpr uint32_t CALIBRATION_VERSION = 2;
constexpr float DIMENSION_MAX = 65536;
constexpr uint32_t POINT_COUNT_MAX = 256, SAMPLE_COUNT_MAX = 1 << 20;

//! On disk, followed by the points: all numbers little-endian.
struct CalibrationHead {
	uint32_t version;
	uint32_t k;
	uint32_t sample_count;
	uint32_t point_count;
	//! Heads of version 1 end before it.
	float dimension;
};
static_assert(sizeof(CalibrationHead) == 20);
constexpr size_t HEAD_SIZE_V1 = 16;

bool IsSound(const CalibrationPoint &point, const CalibrationPoint &former) {
	return point.list_size > former.list_size && point.list_size <= L_SEARCH_MAX && point.recall >= former.recall &&
	       point.recall <= 1 && point.recall_error >= 0 && point.recall_error <= 1 && point.blocks >= former.blocks &&
	       std::isfinite(point.blocks);
}

} // namespace

std::optional<uint32_t> Calibration::ListSizeFor(double target_recall, size_t k) const {
	if (points.empty()) {
		return std::nullopt;
	}
	// The mean of a sample may be too high by chance: its error is left as a margin.
	const auto found = std::find_if(points.begin(), points.end(), [&](const CalibrationPoint &point) {
		return double(point.recall) - double(point.recall_error) >= target_recall;
	});
	const double for_ten = found == points.end() ? 2.0 * points.back().list_size : found->list_size;
	if (k <= CALIBRATION_K) {
		return uint32_t(std::min<double>(for_ten, L_SEARCH_MAX));
	}
	const double beyond = std::max(0.0, for_ten - CALIBRATION_K) * std::sqrt(double(k) / CALIBRATION_K);
	return uint32_t(std::min<double>(double(k) + std::ceil(beyond), std::max<double>(double(k), L_SEARCH_MAX)));
}

std::vector<uint8_t> Calibration::Serialize() const {
	if (points.empty()) {
		return {};
	}
	const CalibrationHead head = {CALIBRATION_VERSION, CALIBRATION_K, sample_count, uint32_t(points.size()), dimension};
	std::vector<uint8_t> bytes(sizeof(head) + points.size() * sizeof(CalibrationPoint));
	std::memcpy(bytes.data(), &head, sizeof(head));
	std::memcpy(bytes.data() + sizeof(head), points.data(), points.size() * sizeof(CalibrationPoint));
	return bytes;
}

Calibration Calibration::Deserialize(ConstByteSpan bytes) {
	Calibration calibration;
	if (bytes.empty()) {
		return calibration;
	}
	CalibrationHead head = {};
	if (bytes.size() < HEAD_SIZE_V1) {
		throw CorruptionError("the calibration has " + std::to_string(bytes.size()) + " bytes");
	}
	std::memcpy(&head, bytes.data(), HEAD_SIZE_V1);
	if (head.version < 1 || head.version > CALIBRATION_VERSION || head.k != CALIBRATION_K || head.sample_count == 0 ||
	    head.sample_count > SAMPLE_COUNT_MAX || head.point_count == 0 || head.point_count > POINT_COUNT_MAX) {
		throw CorruptionError("the head of the calibration holds version " + std::to_string(head.version) + ", k " +
		                      std::to_string(head.k) + ", " + std::to_string(head.sample_count) + " samples and " +
		                      std::to_string(head.point_count) + " points");
	}
	const size_t head_size = head.version == 1 ? HEAD_SIZE_V1 : sizeof(head);
	if (bytes.size() != head_size + head.point_count * sizeof(CalibrationPoint)) {
		throw CorruptionError("a calibration of " + std::to_string(head.point_count) + " points has " +
		                      std::to_string(bytes.size()) + " bytes");
	}
	std::memcpy(&head, bytes.data(), head_size);
	if (!(head.dimension >= 0 && head.dimension <= DIMENSION_MAX)) {
		throw CorruptionError("the dimension in the calibration must be from 0 to " + std::to_string(DIMENSION_MAX) +
		                      ", found " + std::to_string(head.dimension));
	}
	calibration.sample_count = head.sample_count;
	calibration.dimension = head.dimension;
	calibration.points.resize(head.point_count);
	std::memcpy(calibration.points.data(), bytes.data() + head_size, head.point_count * sizeof(CalibrationPoint));
	CalibrationPoint former;
	for (const CalibrationPoint &point : calibration.points) {
		if (!IsSound(point, former)) {
			throw CorruptionError("the calibration's point of list size " + std::to_string(point.list_size) +
			                      " is not one that can be measured");
		}
		former = point;
	}
	return calibration;
}

} // namespace lm_diskann
