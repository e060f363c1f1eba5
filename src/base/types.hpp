// Identities and spans shared by every layer of the core.
//
// Ids are distinct types: a page cannot be passed where a slot is meant, and no two bare integers stand side by side
// in a signature. They cost nothing at run time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <type_traits>

namespace lm_diskann {

//! An integer with a meaning. `TAG` only makes the type distinct.
template <class TAG, class INTEGER>
struct StrongId {
	using integer_type = INTEGER;

	INTEGER value = 0;

	constexpr StrongId() = default;
	constexpr explicit StrongId(INTEGER value_p) : value(value_p) {
	}

	friend constexpr bool operator==(StrongId a, StrongId b) {
		return a.value == b.value;
	}
	friend constexpr bool operator!=(StrongId a, StrongId b) {
		return a.value != b.value;
	}
	friend constexpr bool operator<(StrongId a, StrongId b) {
		return a.value < b.value;
	}
	friend constexpr bool operator<=(StrongId a, StrongId b) {
		return a.value <= b.value;
	}
};

//! A node of the graph: page * nodes_per_page + position inside the page.
using NodeId = StrongId<struct NodeTag, uint32_t>;
//! A logical page; it keeps its id when its bytes move to another slot.
using PageId = StrongId<struct PageTag, uint32_t>;
//! A physical place of one page in the file, counted in pages after the file head.
using Slot = StrongId<struct SlotTag, uint32_t>;
//! DuckDB's row id; never negative for a stored row.
using RowId = StrongId<struct RowTag, int64_t>;
//! A published state of the file; 0 means none.
using Generation = StrongId<struct GenerationTag, uint64_t>;

//! A view of `size()` consecutive elements owned by someone else.
template <class T>
class Span {
public:
	constexpr Span() = default;
	constexpr Span(T *begin_p, size_t size_p) : first(begin_p), length(size_p) {
	}
	//! Any contiguous container with data() and size().
	template <class CONTAINER,
	          class = std::enable_if_t<std::is_convertible_v<decltype(std::declval<CONTAINER &>().data()), T *>>>
	constexpr Span(CONTAINER &container) : first(container.data()), length(container.size()) { // NOLINT: a view
	}

	template <class CONTAINER,
	          class = std::enable_if_t<std::is_convertible_v<decltype(std::declval<const CONTAINER &>().data()), T *>>>
	constexpr Span(const CONTAINER &container) : first(container.data()), length(container.size()) { // NOLINT: a view
	}

	constexpr T *data() const {
		return first;
	}
	constexpr size_t size() const {
		return length;
	}
	constexpr bool empty() const {
		return length == 0;
	}
	constexpr T &operator[](size_t index) const {
		return first[index];
	}
	constexpr T *begin() const {
		return first;
	}
	constexpr T *end() const {
		return first + length;
	}
	//! The `count` elements from `offset`; the caller keeps them inside.
	constexpr Span SubSpan(size_t offset, size_t count) const {
		return Span(first + offset, count);
	}

private:
	T *first = nullptr;
	size_t length = 0;
};

using ByteSpan = Span<uint8_t>;
using ConstByteSpan = Span<const uint8_t>;

} // namespace lm_diskann

namespace std {
template <class TAG, class INTEGER>
struct hash<lm_diskann::StrongId<TAG, INTEGER>> {
	size_t operator()(lm_diskann::StrongId<TAG, INTEGER> id) const noexcept {
		return hash<INTEGER>()(id.value);
	}
};
} // namespace std
