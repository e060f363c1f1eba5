#include "graph/search_limit.hpp"

#include <algorithm>
#include <cmath>

namespace lm_diskann {

namespace {

//! The distance of fewer than so many rows varies too much from query to query.
constexpr size_t RANK_MIN = 10;
//! The plain bounds around an adaptive one are of lists with this share of the places beyond the rank less, and more.
constexpr double LIST_SHARE = 0.5;

} // namespace

SearchLimit SearchLimit::For(uint32_t list_size, size_t k, float dimension) {
	const size_t rank = std::max(k, RANK_MIN);
	if (!(dimension > 0) || rank >= list_size) {
		return {list_size};
	}
	return {list_size, uint32_t(rank), std::pow(float(list_size) / float(rank), 2 / dimension)};
}

void SmallestDistances::Offer(float distance) {
	if (heap.size() < count_max) {
		heap.push_back(distance);
		std::push_heap(heap.begin(), heap.end());
	} else if (count_max > 0 && distance < heap.front()) {
		std::pop_heap(heap.begin(), heap.end());
		heap.back() = distance;
		std::push_heap(heap.begin(), heap.end());
	}
}

void SearchBound::Reset(const SearchLimit &limit_p) {
	limit = limit_p;
	const bool is_adaptive = limit.rank > 0;
	const auto spare = is_adaptive ? size_t(LIST_SHARE * (limit.list_size - limit.rank)) : 0;
	longest.Reset(limit.list_size + spare);
	shortest.Reset(is_adaptive ? limit.list_size - spare : 0);
	nearest.Reset(limit.rank);
}

void SearchBound::Offer(float distance) {
	longest.Offer(distance);
	shortest.Offer(distance);
	nearest.Offer(distance);
}

float SearchBound::Value() const {
	if (limit.rank == 0) {
		return longest.Bound();
	}
	return std::min(std::max(nearest.Bound() * limit.growth, shortest.Bound()), longest.Bound());
}

} // namespace lm_diskann
