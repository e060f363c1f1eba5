// A set of 32-bit numbers (slots, page ids) kept as disjoint extents that do not touch.
#pragma once

#include "storage/format.hpp"

#include <map>
#include <optional>

namespace lm_diskann {

//! Not thread-safe. Memory is proportional to the number of extents; each operation costs O(log extents).
class ExtentSet {
public:
	//! first -> count, ascending.
	using Extents = std::map<uint32_t, uint32_t>;

	//! False, without a change, if any number of `extent` is present already or beyond 32 bits.
	[[nodiscard]] bool Add(Extent extent);
	//! Adds all of `other`; numbers present in both are an InternalError.
	void AddAll(const ExtentSet &other);
	//! Removes `number`; false if it was absent.
	bool Remove(uint32_t number);
	bool Contains(uint32_t number) const;
	//! True if any number of `extent` is present.
	bool Overlaps(Extent extent) const;
	//! Removes the lowest `count` consecutive numbers. Cost: O(extents) when `count` > 1.
	std::optional<uint32_t> TakeRun(uint32_t count);
	//! Removes the `count` lowest numbers, or all if there are fewer, and returns them.
	ExtentSet TakeLowest(uint32_t count);
	//! First number of the extent that `number` is in; none if it is absent.
	std::optional<uint32_t> BeginOf(uint32_t number) const;
	//! Removes the extent that ends just below `end`; returns its first number, or `end` if there is none.
	uint32_t TakeTail(uint32_t end);
	void Clear();

	const Extents &All() const {
		return extents;
	}
	uint64_t Count() const {
		return number_count;
	}

private:
	Extents extents;
	uint64_t number_count = 0;
};

} // namespace lm_diskann
