#include "adapter/nearest_rows.hpp"

#include <algorithm>

namespace duckdb {

void NearestRows::Offer(const RankedRow &row) {
	if (rows.size() == capacity) {
		if (!(row < rows.front())) {
			return;
		}
		std::pop_heap(rows.begin(), rows.end());
		rows.pop_back();
	}
	rows.push_back(row);
	std::push_heap(rows.begin(), rows.end());
}

std::vector<RankedRow> NearestRows::TakeFrom(idx_t offset) {
	std::sort_heap(rows.begin(), rows.end());
	rows.erase(rows.begin(), rows.begin() + int64_t(MinValue<idx_t>(offset, rows.size())));
	return std::move(rows);
}

} // namespace duckdb
