#include "index/row_set.hpp"

#include "base/error.hpp"
#include "index/bitmap_check.hpp"

#include <cstring>
#include <map>
#include <roaring/roaring.h>

namespace lm_diskann {

namespace {

struct FreeRoaring {
	void operator()(roaring_bitmap_t *bitmap) const {
		roaring_bitmap_free(bitmap);
	}
};
using Roaring32 = std::unique_ptr<roaring_bitmap_t, FreeRoaring>;

Roaring32 Checked(roaring_bitmap_t *bitmap) {
	if (!bitmap) {
		throw std::bad_alloc();
	}
	return Roaring32(bitmap);
}

uint32_t High(RowId row_id) {
	return uint32_t(uint64_t(row_id.value) >> 32);
}

uint32_t Low(RowId row_id) {
	return uint32_t(uint64_t(row_id.value));
}

} // namespace

//! One 32-bit bitmap for each value of the upper half.
struct RowSet::Bitmap {
	std::map<uint32_t, Roaring32> parts;

	//! Made where there is none.
	roaring_bitmap_t *Part(uint32_t high) {
		auto found = parts.find(high);
		if (found == parts.end()) {
			found = parts.emplace(high, Checked(roaring_bitmap_create())).first;
		}
		return found->second.get();
	}
};

RowSet::RowSet() : bitmap(std::make_unique<Bitmap>()) {
}
RowSet::RowSet(RowSet &&) noexcept = default;
RowSet &RowSet::operator=(RowSet &&) noexcept = default;
RowSet::~RowSet() = default;

bool RowSet::Insert(RowId row_id) {
	return roaring_bitmap_add_checked(bitmap->Part(High(row_id)), Low(row_id));
}

void RowSet::Insert(Span<const RowId> row_ids) {
	std::vector<uint32_t> lows;
	for (size_t begin = 0; begin < row_ids.size(); begin += lows.size()) {
		const uint32_t high = High(row_ids[begin]);
		lows.clear();
		for (size_t i = begin; i < row_ids.size() && High(row_ids[i]) == high; i++) {
			lows.push_back(Low(row_ids[i]));
		}
		roaring_bitmap_add_many(bitmap->Part(high), lows.size(), lows.data());
	}
}

void RowSet::Merge(const RowSet &other) {
	for (const auto &[high, rows] : other.bitmap->parts) {
		roaring_bitmap_or_inplace(bitmap->Part(high), rows.get());
	}
}

bool RowSet::Erase(RowId row_id) {
	const auto found = bitmap->parts.find(High(row_id));
	return found != bitmap->parts.end() && roaring_bitmap_remove_checked(found->second.get(), Low(row_id));
}

bool RowSet::Contains(RowId row_id) const {
	const auto found = bitmap->parts.find(High(row_id));
	return found != bitmap->parts.end() && roaring_bitmap_contains(found->second.get(), Low(row_id));
}

uint64_t RowSet::Count() const {
	uint64_t count = 0;
	for (const auto &part : bitmap->parts) {
		count += roaring_bitmap_get_cardinality(part.second.get());
	}
	return count;
}

void RowSet::ForEach(const std::function<void(RowId)> &visit) const {
	for (const auto &[high, rows] : bitmap->parts) {
		// Copies of some at a time, because an exception must not pass through CRoaring's own iteration.
		roaring_uint32_iterator_t position;
		roaring_init_iterator(rows.get(), &position);
		uint32_t lows[1024];
		while (const uint32_t count = roaring_read_uint32_iterator(&position, lows, 1024)) {
			for (uint32_t i = 0; i < count; i++) {
				visit(RowId(int64_t(uint64_t(high) << 32 | lows[i])));
			}
		}
	}
}

uint64_t RowSet::MemoryBytes() const {
	uint64_t bytes = 0;
	for (const auto &part : bitmap->parts) {
		bytes += roaring_bitmap_portable_size_in_bytes(part.second.get());
	}
	return bytes;
}

//! For each part: upper half u32, size u32, CRoaring's portable form.
std::vector<uint8_t> RowSet::Serialize() const {
	std::vector<uint8_t> bytes;
	for (const auto &part : bitmap->parts) {
		const uint32_t head[2] = {part.first, uint32_t(roaring_bitmap_portable_size_in_bytes(part.second.get()))};
		const size_t offset = bytes.size();
		bytes.resize(offset + sizeof(head) + head[1]);
		std::memcpy(bytes.data() + offset, head, sizeof(head));
		roaring_bitmap_portable_serialize(part.second.get(),
		                                  reinterpret_cast<char *>(bytes.data() + offset + sizeof(head)));
	}
	return bytes;
}

RowSet RowSet::Deserialize(ConstByteSpan bytes) {
	RowSet set;
	size_t offset = 0;
	while (offset < bytes.size()) {
		uint32_t head[2];
		if (bytes.size() - offset < sizeof(head)) {
			throw CorruptionError("a row set ends inside the head of a part");
		}
		std::memcpy(head, bytes.data() + offset, sizeof(head));
		offset += sizeof(head);
		if (head[1] > bytes.size() - offset) {
			throw CorruptionError("a row set names a part of " + std::to_string(head[1]) + " bytes, but " +
			                      std::to_string(bytes.size() - offset) + " are left");
		}
		if (head[0] > uint32_t(INT32_MAX) ||
		    (!set.bitmap->parts.empty() && set.bitmap->parts.rbegin()->first >= head[0])) {
			throw CorruptionError("a row set holds a part for the upper half " + std::to_string(head[0]) +
			                      ", which is negative or does not ascend");
		}
		if (!IsPortableBitmap(bytes.SubSpan(offset, head[1]))) {
			throw CorruptionError("a row set holds a part that is not a bitmap");
		}
		set.bitmap->parts.emplace(head[0], Checked(roaring_bitmap_portable_deserialize_safe(
		                                       reinterpret_cast<const char *>(bytes.data() + offset), head[1])));
		offset += head[1];
	}
	return set;
}

} // namespace lm_diskann
