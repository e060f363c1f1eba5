// A copy-on-write radix tree from uint64 keys to 48-bit values, with linear runs.
//
// An inner node is one page of F = (page_size - 32) / 8 entries. An entry is empty, the address of a child page, or a
// linear run: key -> base + (key - first key under the entry). At the lowest level a run is a single value. A map
// filled with consecutive values is therefore one entry, without any page, however long it is; a change below a run
// splits just the path to its key.
//
// Pages are never changed in place: a change writes the path to fresh pages through the PageSpace and releases the
// former ones. The map does not know what an address is: the page map uses slots, the row map page ids.
#pragma once

#include "base/types.hpp"
#include "storage/format.hpp"

#include <functional>
#include <optional>
#include <vector>

namespace lm_diskann {

//! Where a map keeps its pages. `Read` fills a whole page and has verified it (storage law 6).
struct RadixPageSpace {
	uint32_t page_size = 0;
	std::function<void(uint64_t address, ByteSpan page)> read;
	//! Stores a page (its PageHead is filled by the space) at a fresh address.
	std::function<uint64_t(ByteSpan page)> write;
	//! The page is not reachable from the map's next root.
	std::function<void(uint64_t address)> release;
};

//! Lookups are const and safe beside each other; changes by one thread without lookups on the same object. Owners that
//! need concurrent lookups copy the root (24 bytes) and look up in the copy.
class RadixMap {
public:
	static constexpr uint64_t VALUE_MAX = (uint64_t(1) << 48) - 1;

	//! Throws CorruptionError for a root that no map has.
	RadixMap(RadixPageSpace space_p, RadixRoot root_p);

	const RadixRoot &Root() const {
		return root;
	}
	//! Value of `key`, or none. Cost: one page read a level.
	std::optional<uint64_t> Find(uint64_t key) const;
	//! Sets many keys, ascending and distinct: each touched page is written once.
	void Assign(Span<const std::pair<uint64_t, uint64_t>> ascending);
	//! Removes many keys, ascending; absent keys are ignored.
	void Erase(Span<const uint64_t> ascending);
	//! Replaces everything by keys 0..count-1 -> base, base+1, ...; no page is written.
	void AssignLinear(uint64_t count, uint64_t base);
	//! Calls `visit(key, value)` for each present key, ascending.
	void ForEach(const std::function<void(uint64_t key, uint64_t value)> &visit) const;
	//! Calls `visit(address)` for each page of the map, parents first.
	void ForEachPage(const std::function<void(uint64_t address)> &visit) const;
	//! Writes each page whose address `is_moved` wants elsewhere to a fresh one, and with it those above it.
	void MovePages(const std::function<bool(uint64_t address)> &is_moved);
	//! Releases every page; the map is empty.
	void Clear();

private:
	RadixPageSpace space;
	RadixRoot root;
};

} // namespace lm_diskann
