#include "storage/radix_map.hpp"

#include "base/aligned_buffer.hpp"
#include "base/error.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <unordered_set>

namespace lm_diskann {

namespace {

constexpr uint64_t EMPTY = 0;
constexpr uint64_t CHILD_TAG = uint64_t(1) << 62;
constexpr uint64_t RUN_TAG = uint64_t(2) << 62;
constexpr uint64_t TAG_MASK = uint64_t(3) << 62;
//! Eight levels of at least 508 entries hold every 64-bit key; this bounds each walk through a hostile file.
constexpr uint32_t HEIGHT_MAX = 8;
constexpr uint64_t UNUSED_MASK = ~(TAG_MASK | RadixMap::VALUE_MAX);

bool IsChild(uint64_t entry) {
	return (entry & TAG_MASK) == CHILD_TAG;
}
bool IsRun(uint64_t entry) {
	return (entry & TAG_MASK) == RUN_TAG;
}
uint64_t ValueOf(uint64_t entry) {
	return entry & RadixMap::VALUE_MAX;
}

uint64_t SaturatingAdd(uint64_t a, uint64_t b) {
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

//! What all walks over one map share: fan-out, spans and checked access to entries.
struct Shape {
	const RadixPageSpace &space;
	uint64_t fanout;

	explicit Shape(const RadixPageSpace &space_p)
	    : space(space_p), fanout((space_p.page_size - sizeof(PageHead)) / sizeof(uint64_t)) {
	}

	//! Keys below an entry of `level`; a level-0 entry is a single value.
	uint64_t Span(uint32_t level) const {
		uint64_t span = 1;
		for (uint32_t i = 0; i < level; i++) {
			if (span > UINT64_MAX / fanout) {
				return UINT64_MAX;
			}
			span *= fanout;
		}
		return span;
	}
	uint32_t HeightFor(uint64_t key_end) const {
		uint32_t height = 1;
		while (Span(height) < key_end) {
			height++;
		}
		return height;
	}
	//! Law 6 for one entry: a known tag, unused bits zero, no child below the leaves.
	void CheckEntry(uint64_t entry, uint32_t level) const {
		bool is_known = entry == EMPTY || IsRun(entry) || (IsChild(entry) && level > 0);
		if (!is_known || (entry & UNUSED_MASK) != 0) {
			throw CorruptionError("radix map: level " + std::to_string(level) + " holds the invalid entry " +
			                      std::to_string(entry));
		}
	}
	uint64_t RunValue(uint64_t entry, uint64_t offset) const {
		if (offset > RadixMap::VALUE_MAX - ValueOf(entry)) {
			throw CorruptionError("radix map: the run from " + std::to_string(ValueOf(entry)) + " has no value at " +
			                      std::to_string(offset));
		}
		return ValueOf(entry) + offset;
	}
	//! Reads the page of a child entry into `page`.
	void Read(uint64_t entry, ByteSpan page) const {
		space.read(ValueOf(entry), page);
	}
	uint64_t EntryAt(const AlignedBuffer<uint8_t> &page, uint64_t index) const {
		uint64_t entry;
		std::memcpy(&entry, page.data() + sizeof(PageHead) + index * sizeof(entry), sizeof(entry));
		return entry;
	}
};

//! Calls `on_page` before the entries of each page and `on_run(first key, end key, entry)` for each run, ascending.
//! Each page is entered once: pages that name each other in a circle, or all the same child, would give fan-out ^
//! height visits.
template <class ON_PAGE, class ON_RUN>
void Walk(const Shape &shape, const RadixRoot &root, ON_PAGE on_page, ON_RUN on_run) {
	struct Walker {
		const Shape &shape;
		uint64_t key_end;
		ON_PAGE &on_page;
		ON_RUN &on_run;
		std::unordered_set<uint64_t> entered;

		void Visit(uint64_t entry, uint32_t level, uint64_t first, uint64_t end) {
			shape.CheckEntry(entry, level);
			if (IsRun(entry)) {
				on_run(first, std::min(end, key_end), entry);
			}
			if (!IsChild(entry)) {
				return;
			}
			if (!entered.insert(ValueOf(entry)).second) {
				throw CorruptionError("radix map: the page at " + std::to_string(ValueOf(entry)) + " is reached twice");
			}
			on_page(ValueOf(entry));
			AlignedBuffer<uint8_t> page(shape.space.page_size);
			shape.Read(entry, page.span());
			uint64_t span = shape.Span(level - 1);
			uint64_t child_first = first;
			for (uint64_t i = 0; i < shape.fanout && child_first < key_end; i++) {
				uint64_t child_end = SaturatingAdd(child_first, span);
				Visit(shape.EntryAt(page, i), level - 1, child_first, child_end);
				child_first = child_end;
			}
		}
	};
	Walker {shape, root.key_end, on_page, on_run, {}}.Visit(root.entry, root.height, 0, UINT64_MAX);
}

//! One key's next entry: a run of one value, or EMPTY.
struct Change {
	uint64_t key;
	uint64_t entry;
};

//! Applies ascending changes to a tree, each touched page read and written once.
//!
//! A run entry means all keys of its span below key_end. When key_end grows, a run that reaches over the former end
//! either continues through the changes or is split there, so that keys never assigned stay absent.
class Editor {
public:
	Editor(const RadixPageSpace &space_p, const RadixRoot &root_p, uint64_t key_end_p)
	    : space(space_p), shape(space_p), before(root_p), key_end(key_end_p) {
	}

	RadixRoot Apply(Span<const Change> changes) {
		uint32_t height = std::max(before.height, shape.HeightFor(key_end));
		uint64_t entry = Edit(before.entry, height, 0, changes);
		RadixRoot after;
		if (entry != EMPTY) {
			after.entry = entry;
			after.key_end = key_end;
			after.height = IsChild(entry) ? height : 0;
		}
		return after;
	}

private:
	//! The tree got higher: the former root's page belongs further down the leftmost path.
	bool IsFormerRoot(uint64_t entry, uint32_t level, uint64_t first) const {
		return first == 0 && IsChild(entry) && level > before.height;
	}

	bool NeedsWork(uint64_t entry, uint32_t level, uint64_t first, Span<const Change> changes) const {
		uint64_t end = SaturatingAdd(first, shape.Span(level));
		bool reaches_over_end = entry != EMPTY && first < before.key_end && before.key_end < end;
		return !changes.empty() || (reaches_over_end && before.key_end < key_end) || IsFormerRoot(entry, level, first);
	}

	uint64_t Edit(uint64_t entry, uint32_t level, uint64_t first, Span<const Change> changes) {
		shape.CheckEntry(entry, level);
		if (level == 0) {
			return changes.empty() ? entry : changes[changes.size() - 1].entry;
		}
		if (std::optional<uint64_t> run = AsRun(entry, level, first, changes)) {
			return *run;
		}
		std::vector<uint64_t> entries = Load(entry, level, first);
		bool is_page = IsChild(entry) && !IsFormerRoot(entry, level, first);
		bool is_changed = !is_page;
		uint64_t span = shape.Span(level - 1);
		uint64_t child_first = first;
		const Change *next = changes.begin();
		for (uint64_t i = 0; i < shape.fanout && child_first < key_end; i++) {
			uint64_t child_end = SaturatingAdd(child_first, span);
			const Change *begin = next;
			while (next != changes.end() && next->key < child_end) {
				next++;
			}
			Span<const Change> own(begin, size_t(next - begin));
			if (NeedsWork(entries[i], level - 1, child_first, own)) {
				uint64_t edited = Edit(entries[i], level - 1, child_first, own);
				is_changed = is_changed || edited != entries[i];
				entries[i] = edited;
			}
			child_first = child_end;
		}
		if (!is_changed) {
			return entry;
		}
		if (is_page) {
			space.release(ValueOf(entry));
		}
		return Store(entries, level, first);
	}

	//! The entry after `changes` if it is one run without looking into pages.
	std::optional<uint64_t> AsRun(uint64_t entry, uint32_t level, uint64_t first, Span<const Change> changes) const {
		if (IsChild(entry) || changes.empty() || !IsRun(changes[0].entry)) {
			return std::nullopt;
		}
		uint64_t end = std::min(SaturatingAdd(first, shape.Span(level)), key_end);
		uint64_t present_end = IsRun(entry) ? std::min(end, before.key_end) : first;
		bool covers_rest = changes[0].key == present_end && changes.size() == end - present_end;
		if (!covers_rest) {
			return std::nullopt;
		}
		uint64_t run = IsRun(entry) ? entry : changes[0].entry;
		for (const Change &change : changes) {
			if (change.entry != run + (change.key - first)) {
				return std::nullopt;
			}
		}
		return run;
	}

	//! The fan-out entries below `entry`, as they were.
	std::vector<uint64_t> Load(uint64_t entry, uint32_t level, uint64_t first) const {
		std::vector<uint64_t> entries(shape.fanout, EMPTY);
		if (IsFormerRoot(entry, level, first)) {
			entries[0] = entry;
		} else if (IsChild(entry)) {
			AlignedBuffer<uint8_t> page(space.page_size);
			shape.Read(entry, page.span());
			std::memcpy(entries.data(), page.data() + sizeof(PageHead), entries.size() * sizeof(uint64_t));
		} else if (IsRun(entry)) {
			uint64_t span = shape.Span(level - 1);
			uint64_t child_first = first;
			for (uint64_t i = 0; i < shape.fanout && child_first < before.key_end; i++) {
				entries[i] = RUN_TAG | shape.RunValue(entry, child_first - first);
				child_first = SaturatingAdd(child_first, span);
			}
		}
		return entries;
	}

	//! A run or nothing where that says the same, else a page.
	uint64_t Store(const std::vector<uint64_t> &entries, uint32_t level, uint64_t first) {
		if (std::optional<uint64_t> collapsed = Collapse(entries, level, first)) {
			return *collapsed;
		}
		AlignedBuffer<uint8_t> page(space.page_size);
		std::memcpy(page.data() + sizeof(PageHead), entries.data(), entries.size() * sizeof(uint64_t));
		uint64_t address = space.write(page.span());
		LMD_CHECK(address <= RadixMap::VALUE_MAX, "an address of a radix page fits 48 bits");
		return CHILD_TAG | address;
	}

	std::optional<uint64_t> Collapse(const std::vector<uint64_t> &entries, uint32_t level, uint64_t first) const {
		uint64_t span = shape.Span(level - 1);
		uint64_t child_first = first;
		bool is_run = IsRun(entries[0]);
		bool is_empty = true;
		for (uint64_t i = 0; i < shape.fanout && child_first < key_end; i++) {
			is_run = is_run && entries[i] == entries[0] + (child_first - first);
			is_empty = is_empty && entries[i] == EMPTY;
			child_first = SaturatingAdd(child_first, span);
		}
		if (is_empty) {
			return EMPTY;
		}
		return is_run ? std::optional<uint64_t>(entries[0]) : std::nullopt;
	}

	const RadixPageSpace &space;
	Shape shape;
	RadixRoot before;
	uint64_t key_end;
};

} // namespace

RadixMap::RadixMap(RadixPageSpace space_p, RadixRoot root_p) : space(std::move(space_p)), root(root_p) {
	if (root.height > HEIGHT_MAX) {
		throw CorruptionError("radix map: height must be at most " + std::to_string(HEIGHT_MAX) + ", found " +
		                      std::to_string(root.height));
	}
}

std::optional<uint64_t> RadixMap::Find(uint64_t key) const {
	if (key >= root.key_end) {
		return std::nullopt;
	}
	Shape shape(space);
	uint64_t entry = root.entry;
	uint32_t level = root.height;
	uint64_t offset = key;
	AlignedBuffer<uint8_t> page;
	while (true) {
		shape.CheckEntry(entry, level);
		if (IsRun(entry)) {
			return shape.RunValue(entry, offset);
		}
		if (!IsChild(entry)) {
			return std::nullopt;
		}
		if (page.size() == 0) {
			page = AlignedBuffer<uint8_t>(space.page_size);
		}
		shape.Read(entry, page.span());
		level--;
		uint64_t span = shape.Span(level);
		uint64_t index = offset / span;
		if (index >= shape.fanout) {
			throw CorruptionError("radix map: key " + std::to_string(key) + " is beyond a root of height " +
			                      std::to_string(root.height));
		}
		entry = shape.EntryAt(page, index);
		offset -= index * span;
	}
}

void RadixMap::Assign(Span<const std::pair<uint64_t, uint64_t>> ascending) {
	if (ascending.empty()) {
		return;
	}
	std::vector<Change> changes;
	changes.reserve(ascending.size());
	for (const auto &[key, value] : ascending) {
		LMD_CHECK(value <= VALUE_MAX, "a value of a radix map fits 48 bits");
		LMD_CHECK(changes.empty() || changes.back().key < key, "keys ascend");
		changes.push_back(Change {key, RUN_TAG | value});
	}
	LMD_CHECK(changes.back().key < UINT64_MAX, "the last 64-bit number is no key");
	root = Editor(space, root, std::max(root.key_end, changes.back().key + 1)).Apply(Span<const Change>(changes));
}

void RadixMap::Erase(Span<const uint64_t> ascending) {
	std::vector<Change> changes;
	changes.reserve(ascending.size());
	for (uint64_t key : ascending) {
		LMD_CHECK(changes.empty() || changes.back().key < key, "keys ascend");
		if (key < root.key_end) {
			changes.push_back(Change {key, EMPTY});
		}
	}
	if (!changes.empty()) {
		root = Editor(space, root, root.key_end).Apply(Span<const Change>(changes));
	}
}

void RadixMap::AssignLinear(uint64_t count, uint64_t base) {
	LMD_CHECK(base <= VALUE_MAX && count <= VALUE_MAX - base, "a value of a radix map fits 48 bits");
	Clear();
	if (count > 0) {
		root.entry = RUN_TAG | base;
		root.key_end = count;
	}
}

void RadixMap::ForEach(const std::function<void(uint64_t key, uint64_t value)> &visit) const {
	Shape shape(space);
	Walk(
	    shape, root, [](uint64_t) {},
	    [&](uint64_t first, uint64_t end, uint64_t entry) {
		    for (uint64_t key = first; key < end; key++) {
			    visit(key, shape.RunValue(entry, key - first));
		    }
	    });
}

void RadixMap::ForEachPage(const std::function<void(uint64_t address)> &visit) const {
	Shape shape(space);
	Walk(shape, root, visit, [](uint64_t, uint64_t, uint64_t) {});
}

void RadixMap::MovePages(const std::function<bool(uint64_t address)> &is_moved) {
	struct Mover {
		const Shape &shape;
		const std::function<bool(uint64_t address)> &is_moved;
		std::unordered_set<uint64_t> entered;

		uint64_t Move(uint64_t entry, uint32_t level) {
			shape.CheckEntry(entry, level);
			// Only what is moved is read of the lowest level, which is nearly all of a map.
			if (!IsChild(entry) || (level == 1 && !is_moved(ValueOf(entry)))) {
				return entry;
			}
			if (!entered.insert(ValueOf(entry)).second) {
				throw CorruptionError("radix map: the page at " + std::to_string(ValueOf(entry)) + " is reached twice");
			}
			AlignedBuffer<uint8_t> page(shape.space.page_size);
			shape.Read(entry, page.span());
			bool is_changed = is_moved(ValueOf(entry));
			for (uint64_t i = 0; level > 1 && i < shape.fanout; i++) {
				const uint64_t child = shape.EntryAt(page, i);
				const uint64_t moved = Move(child, level - 1);
				std::memcpy(page.data() + sizeof(PageHead) + i * sizeof(moved), &moved, sizeof(moved));
				is_changed = is_changed || moved != child;
			}
			if (!is_changed) {
				return entry;
			}
			shape.space.release(ValueOf(entry));
			return CHILD_TAG | shape.space.write(page.span());
		}
	};
	const Shape shape(space);
	root.entry = Mover {shape, is_moved, {}}.Move(root.entry, root.height);
}

void RadixMap::Clear() {
	std::vector<uint64_t> addresses;
	ForEachPage([&](uint64_t address) { addresses.push_back(address); });
	for (uint64_t address : addresses) {
		space.release(address);
	}
	root = RadixRoot();
}

} // namespace lm_diskann
