// The nearest nodes that a search of a build has met, ascending, and which of them it has expanded.
#pragma once

#include "graph/graph.hpp"
#include "graph/prune.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

namespace lm_diskann {

//! Belongs to one thread; reuse it.
class NearestList {
public:
	//! Empties it. At most `capacity` (not zero) nodes stay.
	void Start(size_t capacity_p) {
		capacity = capacity_p;
		keys.resize(capacity + 1);
		count = 0;
		first_open = 0;
	}

	//! Puts a node at its place, and returns the place: `capacity` if the list is full of nearer ones. `distance` is
	//! not negative, and the node was not offered before.
	size_t Offer(float distance, NodeId node) {
		const uint64_t key = KeyOf(distance, node);
		if (count == capacity && key >= keys[count - 1]) {
			return capacity;
		}
		const size_t place = PlaceOf(key);
		std::memmove(keys.data() + place + 1, keys.data() + place, (count - place) * sizeof(uint64_t));
		keys[place] = key;
		count += count < capacity ? 1 : 0;
		first_open = std::min(first_open, place);
		return place;
	}

	//! Takes the nearest that was not expanded as expanded; NO_NODE when there is none.
	NodeId ExpandNext() {
		while (first_open < count && (keys[first_open] & IS_EXPANDED) != 0) {
			first_open++;
		}
		if (first_open == count) {
			return NO_NODE;
		}
		keys[first_open] |= IS_EXPANDED;
		return NodeOf(keys[first_open++]);
	}

	//! All of them, ascending.
	void CopyTo(std::vector<ScoredNode> &nodes) const {
		nodes.resize(count);
		std::transform(keys.begin(), keys.begin() + ptrdiff_t(count), nodes.begin(), [](uint64_t key) {
			const auto bits = uint32_t(key >> DISTANCE_SHIFT);
			float distance;
			std::memcpy(&distance, &bits, sizeof(distance));
			return ScoredNode {distance, NodeOf(key)};
		});
	}

private:
	//! A key is the distance, whose bits order as it does and whose sign is free, the node, and whether it is expanded.
	static constexpr uint32_t DISTANCE_SHIFT = 33;
	static constexpr uint64_t IS_EXPANDED = 1;

	static uint64_t KeyOf(float distance, NodeId node) {
		uint32_t bits;
		std::memcpy(&bits, &distance, sizeof(bits));
		return uint64_t(bits) << DISTANCE_SHIFT | uint64_t(node.value) << 1;
	}
	static NodeId NodeOf(uint64_t key) {
		return NodeId(uint32_t(key >> 1));
	}
	//! The number of keys below `key`, without branches: they would be guessed wrong half of the time.
	size_t PlaceOf(uint64_t key) const {
		const uint64_t *base = keys.data();
		size_t length = count;
		while (length > 1) {
			const size_t half = length / 2;
			base += base[half - 1] < key ? half : 0;
			length -= half;
		}
		return size_t(base - keys.data()) + (length == 1 && *base < key ? 1 : 0);
	}

	//! One more than capacity, for what Offer moves out.
	std::vector<uint64_t> keys;
	size_t capacity = 0;
	size_t count = 0;
	//! No node before it is left to expand.
	size_t first_open = 0;
};

} // namespace lm_diskann
