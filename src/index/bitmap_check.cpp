#include "index/bitmap_check.hpp"

#include <bitset>
#include <cstring>

namespace lm_diskann {

namespace {

constexpr uint32_t COOKIE = 12346, COOKIE_WITH_RUNS = 12347;
constexpr uint32_t CONTAINER_COUNT_MAX = 1U << 16;
//! With run containers, offsets are left out below this count.
constexpr uint32_t OFFSETS_FROM_COUNT = 4;
constexpr uint32_t ARRAY_COUNT_MAX = 4096;
constexpr size_t BITSET_WORDS = 1024;

//! Walks over the bytes; a step beyond the end fails and all later ones too.
class BitmapReader {
public:
	explicit BitmapReader(ConstByteSpan bytes_p) : bytes(bytes_p) {
	}

	bool IsSound() {
		ReadHead();
		const ConstByteSpan descriptors = Take(4 * uint64_t(container_count));
		const bool has_offsets = run_flags.empty() || container_count >= OFFSETS_FROM_COUNT;
		const ConstByteSpan offsets = Take(has_offsets ? 4 * uint64_t(container_count) : 0);
		for (uint32_t i = 0; i < container_count && is_sound; i++) {
			const auto key = At<uint16_t>(descriptors, 2 * i);
			const uint32_t cardinality = At<uint16_t>(descriptors, 2 * i + 1) + 1U;
			Require(i == 0 || At<uint16_t>(descriptors, 2 * i - 2) < key);
			Require(!has_offsets || At<uint32_t>(offsets, i) == position);
			const bool has_runs = !run_flags.empty() && ((run_flags[i / 8] >> (i % 8)) & 1) != 0;
			if (has_runs) {
				CheckRuns(cardinality);
			} else if (cardinality > ARRAY_COUNT_MAX) {
				CheckBitset(cardinality);
			} else {
				CheckArray(cardinality);
			}
		}
		return is_sound && position == bytes.size();
	}

private:
	template <class INTEGER>
	static INTEGER At(ConstByteSpan from, size_t index) {
		INTEGER value;
		std::memcpy(&value, from.data() + index * sizeof(value), sizeof(value));
		return value;
	}
	void Require(bool condition) {
		is_sound = is_sound && condition;
	}
	//! The next `size` bytes; none, and no longer sound, when fewer are left.
	ConstByteSpan Take(uint64_t size) {
		Require(size <= bytes.size() - position);
		const ConstByteSpan taken = is_sound ? bytes.SubSpan(position, size) : ConstByteSpan();
		position += taken.size();
		return taken;
	}
	template <class INTEGER>
	INTEGER TakeNumber() {
		const ConstByteSpan taken = Take(sizeof(INTEGER));
		return taken.empty() ? INTEGER(0) : At<INTEGER>(taken, 0);
	}

	void ReadHead() {
		const auto cookie = TakeNumber<uint32_t>();
		if ((cookie & 0xFFFF) == COOKIE_WITH_RUNS) {
			container_count = (cookie >> 16) + 1;
			run_flags = Take((container_count + 7) / 8);
		} else {
			Require(cookie == COOKIE);
			container_count = TakeNumber<uint32_t>();
			Require(container_count <= CONTAINER_COUNT_MAX);
		}
	}

	void CheckArray(uint32_t cardinality) {
		const ConstByteSpan values = Take(sizeof(uint16_t) * cardinality);
		for (uint32_t i = 1; i < cardinality && is_sound; i++) {
			Require(At<uint16_t>(values, i - 1) < At<uint16_t>(values, i));
		}
	}

	void CheckBitset(uint32_t cardinality) {
		const ConstByteSpan words = Take(BITSET_WORDS * sizeof(uint64_t));
		size_t count = 0;
		for (size_t i = 0; i < BITSET_WORDS && is_sound; i++) {
			count += std::bitset<64>(At<uint64_t>(words, i)).count();
		}
		Require(count == cardinality);
	}

	//! Pairs of first value and count - 1.
	void CheckRuns(uint32_t cardinality) {
		const auto run_count = TakeNumber<uint16_t>();
		const ConstByteSpan runs = Take(2 * sizeof(uint16_t) * uint64_t(run_count));
		uint32_t end = 0;
		uint32_t count = 0;
		for (uint32_t i = 0; i < run_count && is_sound; i++) {
			const uint32_t first = At<uint16_t>(runs, 2 * i);
			const uint32_t run_length = At<uint16_t>(runs, 2 * i + 1) + 1U;
			Require(first >= end);
			end = first + run_length;
			Require(end <= CONTAINER_COUNT_MAX);
			count += run_length;
		}
		Require(count == cardinality);
	}

	ConstByteSpan bytes;
	uint64_t position = 0;
	bool is_sound = true;
	uint32_t container_count = 0;
	//! One bit a container; empty in the form without runs.
	ConstByteSpan run_flags;
};

} // namespace

bool IsPortableBitmap(ConstByteSpan bytes) {
	return BitmapReader(bytes).IsSound();
}

} // namespace lm_diskann
