// What ends a search: a bound that moves with the distances of the nodes it has expanded.
//
// The plain bound is the distance of the L-th nearest of them. It costs the same for every query: too much where the
// nearest rows stand out, too little where thousands are about as near. The adaptive bound is the distance of the k-th
// nearest times a growth factor, so a search ends when what is left is that much farther than what was found. In data
// of local dimension m, a ball that is `growth` times as large by squared distance holds growth^(m / 2) times as many
// rows; so a list of L has its factor, and costs the same on average (Calibration has m). Where the distance of the
// k-th means little (copies of one row; queries far from everything) plain bounds hold: those of lists with half of the
// places beyond k, and with half more of them.
// Stopping by the k-th distance: "Distance Adaptive Beam Search for Provably Accurate Graph-Based Nearest Neighbor
// Search", arXiv 2505.15636, 2025.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace lm_diskann {

struct SearchLimit {
	uint32_t list_size = 0;
	//! 0: the plain bound.
	uint32_t rank = 0;
	//! Of squared distances (or 1 - cosine), at least 1.
	float growth = 1;

	//! The limit that a list of `list_size` has in a search for `k` rows. Plain where `dimension` is 0, or where k is
	//! no less than the list.
	static SearchLimit For(uint32_t list_size, size_t k, float dimension);

	bool operator==(const SearchLimit &other) const {
		return list_size == other.list_size && rank == other.rank && growth == other.growth;
	}
};

//! The smallest of the distances that were offered.
class SmallestDistances {
public:
	//! Forgets all, keeps the memory; from here on at most `count_max` are kept.
	void Reset(size_t count_max_p) {
		count_max = count_max_p;
		heap.clear();
	}
	void Offer(float distance);
	size_t Count() const {
		return heap.size();
	}
	//! The largest of `count_max` distances; infinity while there are fewer.
	float Bound() const {
		return heap.size() == count_max && count_max > 0 ? heap.front() : std::numeric_limits<float>::infinity();
	}

private:
	//! Max-heap.
	std::vector<float> heap;
	size_t count_max = 0;
};

//! The bound of one search. Nodes at it or beyond it are not expanded.
class SearchBound {
public:
	//! Forgets all distances.
	void Reset(const SearchLimit &limit_p);
	void Offer(float distance);
	float Value() const;
	const SearchLimit &Limit() const {
		return limit;
	}
	//! Of the distances offered, those in the list.
	size_t ListedCount() const {
		return longest.Count();
	}

private:
	SearchLimit limit;
	//! Of a plain limit, the list. Of an adaptive one, the longest list that it may stand for.
	SmallestDistances longest;
	//! Of an adaptive limit alone: the shortest such list, and as many as its rank.
	SmallestDistances shortest;
	SmallestDistances nearest;
};

} // namespace lm_diskann
