// Property: a set of row ids is what was inserted and not erased, comes back from its bytes, and bytes that are not a
// bitmap as Roaring's format defines it are refused before they reach CRoaring.
#include "index/row_set.hpp"

#include "base/error.hpp"
#include "index/bitmap_check.hpp"

#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <roaring/roaring.h>
#include <set>

namespace lm_diskann {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes Portable(roaring_bitmap_t *bitmap) {
	Bytes bytes(roaring_bitmap_portable_size_in_bytes(bitmap));
	roaring_bitmap_portable_serialize(bitmap, reinterpret_cast<char *>(bytes.data()));
	return bytes;
}

//! A bitmap with an array, dense and, if asked for, run containers.
Bytes MakeBitmap(bool has_runs) {
	roaring_bitmap_t *bitmap = roaring_bitmap_create();
	for (uint32_t i = 0; i < 50; i++) {
		roaring_bitmap_add(bitmap, i * 17);
	}
	for (uint32_t i = 0; i < 6000; i++) {
		roaring_bitmap_add(bitmap, 65536 * 3 + i * 7);
	}
	roaring_bitmap_add_range(bitmap, 65536 * 5, 65536 * 8 + 100);
	if (has_runs) {
		roaring_bitmap_run_optimize(bitmap);
	} else {
		roaring_bitmap_remove_run_compression(bitmap);
	}
	Bytes bytes = Portable(bitmap);
	roaring_bitmap_free(bitmap);
	return bytes;
}

TEST(RowSet, ComesBackFromItsBytes) {
	const auto seed = uint64_t(20240607);
	SCOPED_TRACE(seed);
	std::mt19937_64 random(seed);
	RowSet set;
	std::set<int64_t> expected;
	for (int i = 0; i < 20000; i++) {
		const auto row_id = int64_t(random() % 3 << 33 | random() % 10000);
		if (random() % 3 == 0) {
			EXPECT_EQ(set.Erase(RowId(row_id)), expected.erase(row_id) == 1);
		} else {
			EXPECT_EQ(set.Insert(RowId(row_id)), expected.insert(row_id).second);
		}
	}
	const RowSet read = RowSet::Deserialize(set.Serialize());
	EXPECT_EQ(read.Count(), expected.size());
	EXPECT_EQ(read.Serialize(), set.Serialize());
	for (const int64_t row_id : expected) {
		EXPECT_TRUE(read.Contains(RowId(row_id)));
	}
	EXPECT_EQ(RowSet::Deserialize({}).Count(), 0U);
}

TEST(RowSet, WhatCRoaringWritesIsABitmapAsLongAsItHasNoRuns) {
	EXPECT_TRUE(IsPortableBitmap(MakeBitmap(false)));
	EXPECT_FALSE(IsPortableBitmap(MakeBitmap(true)));
	roaring_bitmap_t *bitmap = roaring_bitmap_create();
	EXPECT_TRUE(IsPortableBitmap(Portable(bitmap)));
	roaring_bitmap_free(bitmap);
	// Not even where they would be smaller.
	RowSet set;
	for (int64_t i = 0; i < 200000; i++) {
		set.Insert(RowId(i));
	}
	EXPECT_EQ(RowSet::Deserialize(set.Serialize()).Count(), 200000U);
}

TEST(RowSet, BytesThatAreNotABitmapAreRefused) {
	const Bytes sound = MakeBitmap(false);
	for (size_t size = 0; size < sound.size(); size += size < 100 ? 1 : 97) {
		EXPECT_FALSE(IsPortableBitmap(ConstByteSpan(sound.data(), size))) << size;
	}
	Bytes longer = sound;
	longer.push_back(0);
	EXPECT_FALSE(IsPortableBitmap(longer));
	// Cookie, count, keys, cardinalities and offsets.
	const size_t head_bytes = 8 + 6 * 8;
	size_t refused_count = 0;
	for (size_t bit = 0; bit < 8 * head_bytes; bit++) {
		Bytes flipped = sound;
		flipped[bit / 8] ^= uint8_t(1 << (bit % 8));
		refused_count += IsPortableBitmap(flipped) ? 0 : 1;
		if (IsPortableBitmap(flipped)) {
			// Another key in order is another set, as sound as this one.
			roaring_bitmap_t *read = roaring_bitmap_portable_deserialize_safe(
			    reinterpret_cast<const char *>(flipped.data()), flipped.size());
			ASSERT_NE(read, nullptr) << bit;
			EXPECT_EQ(Portable(read), flipped) << bit;
			roaring_bitmap_free(read);
		}
	}
	EXPECT_GT(refused_count, 8 * head_bytes * 3 / 4);
}

TEST(RowSet, ValuesOutOfOrderAndWrongCardinalitiesAreRefused) {
	const Bytes sound = MakeBitmap(false);
	const size_t array = 8 + 6 * 8;
	Bytes changed = sound;
	std::swap(changed[array], changed[array + 2]); // the first two values: 0, 17
	EXPECT_FALSE(IsPortableBitmap(changed));
	changed = sound;
	changed[array + 100 + 1] ^= 1; // a bit of the dense container
	EXPECT_FALSE(IsPortableBitmap(changed));

	const Bytes part_head = {1, 0, 0, 0, uint8_t(sound.size()), uint8_t(sound.size() >> 8), uint8_t(sound.size() >> 16),
	                         0};
	Bytes part = part_head;
	part.insert(part.end(), changed.begin(), changed.end());
	EXPECT_THROW(RowSet::Deserialize(part), CorruptionError);
	part = part_head;
	part.insert(part.end(), sound.begin(), sound.end());
	EXPECT_GT(RowSet::Deserialize(part).Count(), 6000U);
	const Bytes once = part;
	part.insert(part.end(), once.begin(), once.end());
	EXPECT_THROW(RowSet::Deserialize(part), CorruptionError); // the same upper half twice
}

TEST(RowSet, ForEachGivesEachRowOnceAscending) {
	std::set<int64_t> expected;
	for (int64_t high : {int64_t(0), int64_t(1) << 33}) {
		for (int64_t i = 0; i < 70000; i++) {
			expected.insert(high + i);              // a full container
			expected.insert(high + 200000 + 7 * i); // sparse and, with the next, dense ones
			expected.insert(high + 500000 + 2 * i);
		}
		expected.insert(high + 5000000);
	}
	RowSet set;
	std::vector<RowId> row_ids;
	for (const int64_t row : expected) {
		row_ids.push_back(RowId(row));
	}
	set.Insert(Span<const RowId>(row_ids));
	std::vector<RowId> visited;
	set.ForEach([&](RowId row_id) { visited.push_back(row_id); });
	EXPECT_TRUE(visited == row_ids) << visited.size() << " of " << row_ids.size();
}

TEST(RowSet, ManyAtOnceAndMergedAreAsOneByOne) {
	std::vector<RowId> first;
	std::vector<RowId> second;
	RowSet expected;
	for (int64_t i = 0; i < 5000; i++) {
		first.push_back(RowId(i * 3 + (i % 2 == 0 ? 0 : int64_t(1) << 33)));
		second.push_back(RowId(i * 5));
		expected.Insert(first.back());
		expected.Insert(second.back());
	}
	RowSet set;
	set.Insert(Span<const RowId>(first));
	RowSet other;
	other.Insert(Span<const RowId>(second));
	set.Merge(other);
	EXPECT_EQ(set.Serialize(), expected.Serialize());
}

} // namespace
} // namespace lm_diskann
