#include "graph/prune.hpp"

namespace lm_diskann {

void PutCopiesLast(const PruneLimits &limits, const std::vector<ScoredNode> &chosen, std::vector<ScoredNode> &dropped) {
	const auto is_own = [](const ScoredNode &candidate) { return candidate.distance <= 0; };
	const auto is_nearer = [](const ScoredNode &candidate, float distance) { return candidate.distance < distance; };
	auto own_count = size_t(std::count_if(chosen.begin(), chosen.end(), is_own));
	std::vector<ScoredNode> first, copies;
	for (const ScoredNode &candidate : dropped) {
		const float distance = candidate.distance;
		const auto as_far = std::lower_bound(chosen.begin(), chosen.end(), distance, is_nearer);
		bool is_copy = (as_far != chosen.end() && as_far->distance == distance) ||
		               (!first.empty() && first.back().distance == distance);
		if (is_own(candidate)) {
			is_copy = own_count++ >= limits.OwnCopiesMax();
		}
		(is_copy ? copies : first).push_back(candidate);
	}
	dropped.swap(first);
	dropped.insert(dropped.end(), copies.begin(), copies.end());
}

} // namespace lm_diskann
