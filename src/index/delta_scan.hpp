// The rows of the delta for one search: bounds of their distances first, from a quarter of the bytes, and exact
// distances of the few that may be answers when these are asked for.
//
// A full chunk does not change, so it is rounded once (rounded_rows.hpp), by a search that meets it: one chunk a
// search, for this takes longer than reading it. Rows of other chunks have exact distances at once. The scan keeps the
// chunks whose vectors it may need, so a merge may take their rows meanwhile.
#pragma once

#include "index/ann_index.hpp"
#include "index/delta.hpp"

#include <functional>
#include <limits>
#include <memory>
#include <vector>

namespace lm_diskann {

//! Belongs to one thread.
class DeltaScan {
public:
	//! `query`: `dims` floats. The delta's lock is held, here alone. Throws FileError, CorruptionError.
	DeltaScan(const Delta &delta, const IndexConfiguration &configuration, const float *query_p);

	//! Rows that were neither taken nor dropped.
	size_t LeftCount() const {
		return left_count;
	}
	//! Was in the delta when it was scanned.
	bool Scanned(RowId row_id);
	//! Takes all rows whose distance is at most `distance`, and others that might have been, to the end of `taken`.
	void TakeWithin(float distance, std::vector<Neighbor> &taken);
	//! Takes the `count` rows with the smallest bounds, or all.
	void TakeLowest(size_t count, std::vector<Neighbor> &taken);
	//! Drops what is not accepted.
	void Filter(const std::function<bool(RowId)> &accepts);
	void DropAll();

	uint64_t ExactCount() const {
		return exact_count;
	}
	uint64_t EstimatedCount() const {
		return estimated_count;
	}

private:
	//! Instead of the bound of a row that is not left. No comparison with it holds.
	static constexpr float GONE = std::numeric_limits<float>::quiet_NaN();

	//! Rows from `first` on, to the next chunk.
	struct Chunk {
		size_t first;
		//! Null: bounds are distances.
		std::shared_ptr<const DeltaVectors> kept;
	};

	void FindDistances(const Delta::ChunkView &chunk, float *distances);
	void Take(size_t row, std::vector<Neighbor> &taken);

	Metric metric;
	ElementType element_type;
	std::vector<float> query;
	std::vector<Chunk> chunks;
	//! Of all rows of the chunks.
	std::vector<RowId> row_ids;
	std::vector<float> bounds;
	//! On demand.
	std::vector<RowId> sorted_row_ids;
	size_t left_count = 0;
	uint64_t exact_count = 0;
	uint64_t estimated_count = 0;
};

} // namespace lm_diskann
