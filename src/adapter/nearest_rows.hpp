// The k best rows met so far, by DuckDB's order of distances: numbers, NaN, NULL.
#pragma once

#include "duckdb/common/common.hpp"

#include <vector>

namespace duckdb {

struct RankedRow {
	enum class Rank : uint8_t { NUMBER, NOT_A_NUMBER, NO_VALUE };

	Rank rank = Rank::NUMBER;
	double distance = 0;
	row_t row_id = 0;
	//! Where it was met: a position in its chunk.
	uint32_t position = 0;

	bool operator<(const RankedRow &other) const {
		if (rank != other.rank) {
			return rank < other.rank;
		}
		if (rank == Rank::NUMBER && distance != other.distance) {
			return distance < other.distance;
		}
		return row_id < other.row_id;
	}
};

//! Belongs to one thread; memory for `capacity` rows.
class NearestRows {
public:
	explicit NearestRows(idx_t capacity_p) : capacity(capacity_p) {
	}

	void Clear() {
		rows.clear();
	}
	//! Keeps the row if it is among the best; each row is offered once.
	void Offer(const RankedRow &row);
	idx_t Count() const {
		return rows.size();
	}
	//! The rows from `offset` on, ascending. What is kept is theirs.
	std::vector<RankedRow> TakeFrom(idx_t offset);

private:
	const idx_t capacity;
	//! A max-heap.
	std::vector<RankedRow> rows;
};

} // namespace duckdb
