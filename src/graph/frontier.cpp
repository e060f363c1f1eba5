#include "graph/frontier.hpp"

#include <algorithm>

namespace lm_diskann {

namespace {

constexpr float NOWHERE = std::numeric_limits<float>::infinity();
//! Places in order beyond the expected expansions: estimates are not distances.
constexpr size_t SPARE = 16;
constexpr size_t WAITING_MIN = 1024;

//! Overflow can make infinity and worse; every candidate must come below the bound of a search that takes all.
float Finite(float distance) {
	constexpr float LARGEST = std::numeric_limits<float>::max();
	return distance < LARGEST ? distance : LARGEST;
}

//! How many of the first `count` are farther. Without a branch: where a candidate belongs cannot be foreseen.
size_t CountFarther(const Candidate *candidates, size_t count, float distance) {
	uint32_t farther = 0;
	for (size_t i = 0; i < count; i++) {
		farther += candidates[i].distance > distance ? 1 : 0;
	}
	return farther;
}

} // namespace

void Frontier::Clear() {
	known.Clear();
	ordered_count = 0;
	ordered_max = 0;
	displaced.clear();
	waiting_count = 0;
	others_min = NOWHERE;
}

void Frontier::Expect(size_t expansion_count) {
	ordered_max = std::max(ordered_max, std::min(expansion_count + SPARE, ORDERED_MAX));
}

void Frontier::Push(Candidate candidate) {
	candidate.distance = Finite(candidate.distance);
	if (!known.Insert(candidate.node)) {
		return;
	}
	if (candidate.distance < others_min) {
		Insert(candidate);
	} else {
		Displace(candidate);
	}
}

void Frontier::PushAll(const float *distances, const uint32_t *nodes, size_t count, float bound) {
	if (waiting.size() < waiting_count + count) {
		waiting.resize(std::max(WAITING_MIN, 2 * (waiting_count + count)));
	}
	near.resize(std::max(near.size(), count));
	const float limit = std::min(bound, others_min);
	// Which are near cannot be foreseen: both lists are written, and only the one that is right grows.
	size_t near_count = 0;
	for (size_t i = 0; i < count; i++) {
		const float distance = Finite(distances[i]);
		const bool is_near = distance < limit;
		near[near_count] = uint32_t(i);
		near_count += is_near ? 1 : 0;
		waiting[waiting_count] = {distance, NodeId(nodes[i])};
		waiting_count += is_near ? 0 : 1;
	}
	others_min = near_count < count ? limit : others_min;
	for (size_t i = 0; i < near_count; i++) {
		Push({distances[near[i]], NodeId(nodes[near[i]])});
	}
}

bool Frontier::PopNearest(float bound, Candidate &candidate) {
	while (others_min < bound && others_min < NearestOrdered()) {
		Refill();
	}
	if (!(NearestOrdered() < bound)) {
		return false;
	}
	candidate = ordered[--ordered_count];
	return true;
}

void Frontier::Insert(Candidate candidate) {
	const size_t position = CountFarther(ordered, ordered_count, candidate.distance);
	if (ordered_count < ordered_max) {
		std::copy_backward(ordered + position, ordered + ordered_count, ordered + ordered_count + 1);
		ordered[position] = candidate;
		ordered_count++;
	} else if (position == 0) {
		Displace(candidate);
	} else {
		Displace(ordered[0]);
		std::copy(ordered + 1, ordered + position, ordered);
		ordered[position - 1] = candidate;
	}
}

void Frontier::Displace(Candidate candidate) {
	displaced.push_back(candidate);
	others_min = std::min(others_min, candidate.distance);
}

void Frontier::Refill() {
	displaced.insert(displaced.end(), ordered, ordered + ordered_count);
	for (size_t i = 0; i < waiting_count; i++) {
		if (known.Insert(waiting[i].node)) {
			displaced.push_back(waiting[i]);
		}
	}
	waiting_count = 0;
	const auto is_nearer = [](const Candidate &a, const Candidate &b) {
		return a.distance < b.distance || (a.distance == b.distance && a.node < b.node);
	};
	const size_t taken = std::min(displaced.size(), std::max<size_t>(ordered_max, 1));
	// The nearest go to the end, where they can be cut off.
	const auto is_farther = [&](const Candidate &a, const Candidate &b) { return is_nearer(b, a); };
	const auto begin = displaced.end() - ptrdiff_t(taken);
	if (begin != displaced.begin()) {
		std::nth_element(displaced.begin(), begin, displaced.end(), is_farther);
	}
	std::sort(begin, displaced.end(), is_farther);
	std::copy(begin, displaced.end(), ordered);
	ordered_count = taken;
	displaced.erase(begin, displaced.end());
	others_min = NOWHERE;
	for (const Candidate &candidate : displaced) {
		others_min = std::min(others_min, candidate.distance);
	}
}

} // namespace lm_diskann
