#include "graph/places.hpp"

#include <algorithm>
#include <iterator>

namespace lm_diskann {

Places::Places(const ExtentSet &pages, uint32_t nodes_per_page) {
	for (const auto &[first, page_count] : pages.All()) {
		const uint64_t node_count = uint64_t(page_count) * nodes_per_page;
		runs.push_back({uint64_t(first) * nodes_per_page, node_count, count});
		count += node_count;
	}
}

Place Places::Of(NodeId node) const {
	const auto next = std::upper_bound(runs.begin(), runs.end(), node.value,
	                                   [](uint64_t value, const Run &run) { return value < run.first; });
	if (next == runs.begin()) {
		return NO_PLACE;
	}
	const Run &run = *std::prev(next);
	const uint64_t offset = node.value - run.first;
	return offset < run.count ? Place(run.place + offset) : NO_PLACE;
}

} // namespace lm_diskann
