// What a search knows of and has not expanded: the nearest candidates in order, all others unsorted.
//
// A search with a short list meets hundreds of candidates and expands a few dozen. So only about as many as will be
// expanded are kept in order; the rest waits, and is looked at when those are used up, which is rare.
#pragma once

#include "base/types.hpp"
#include "graph/node_set.hpp"

#include <algorithm>
#include <limits>
#include <vector>

namespace lm_diskann {

//! A node and an estimate of its distance.
struct Candidate {
	float distance;
	NodeId node;
};

//! Gives each node once, nearest first. Belongs to one thread.
class Frontier {
public:
	//! Forgets everything and keeps the memory.
	void Clear();
	//! Keeps so many candidates in order, as far as there are places. May be raised at any time.
	void Expect(size_t expansion_count);
	//! Never gives `node`; before the first push.
	void Exclude(NodeId node) {
		known.Insert(node);
	}
	//! True for what was pushed alone, was given, or is excluded.
	bool Knows(NodeId node) const {
		return known.Contains(node);
	}
	//! Does nothing for a known node. A distance that is infinite or not a number counts as the largest number.
	void Push(Candidate candidate);
	//! Pushes `count` candidates. Those at `bound` or beyond it will hardly be asked for.
	void PushAll(const float *distances, const uint32_t *nodes, size_t count, float bound);
	//! Takes the nearest candidate; false when none is below `bound`.
	bool PopNearest(float bound, Candidate &candidate);
	//! The candidate that comes after `rank` others, as far as they are in order; null: none is.
	const Candidate *Peek(size_t rank) const {
		return rank < ordered_count ? &ordered[ordered_count - 1 - rank] : nullptr;
	}
	//! No candidate is nearer than this; infinity when there is none.
	float LowerBound() const {
		return std::min(NearestOrdered(), others_min);
	}
	bool IsEmpty() const {
		return ordered_count == 0 && displaced.empty() && waiting_count == 0;
	}

private:
	static constexpr size_t ORDERED_MAX = 256;

	float NearestOrdered() const {
		return ordered_count > 0 ? ordered[ordered_count - 1].distance : std::numeric_limits<float>::infinity();
	}
	//! `candidate` is below `others_min` and not known before.
	void Insert(Candidate candidate);
	void Displace(Candidate candidate);
	//! Puts the nearest of all in order.
	void Refill();

	//! All nodes but those in `waiting`.
	NodeSet known;
	//! The nearest last. All below `others_min`, unless a bound was below them.
	Candidate ordered[ORDERED_MAX];
	size_t ordered_count = 0;
	size_t ordered_max = 0;
	//! What was in order and had to leave, or was found to be new when `waiting` was looked through.
	std::vector<Candidate> displaced;
	//! Its first `waiting_count` are candidates that never came in order: known or not, some more than once.
	std::vector<Candidate> waiting;
	size_t waiting_count = 0;
	//! Nothing in `displaced` and `waiting` is nearer.
	float others_min = std::numeric_limits<float>::infinity();
	//! Scratch.
	std::vector<uint32_t> near;
};

} // namespace lm_diskann
