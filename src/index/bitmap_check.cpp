#include "index/bitmap_check.hpp"

#include <bitset>
#include <cstring>

namespace lm_diskann {

namespace {

constexpr uint32_t COOKIE_WITHOUT_RUNS = 12346;
constexpr uint32_t CONTAINER_COUNT_MAX = 1U << 16;
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
		const ConstByteSpan offsets = Take(4 * uint64_t(container_count));
		for (uint32_t i = 0; i < container_count && is_sound; i++) {
			const auto key = At<uint16_t>(descriptors, 2 * i);
			const uint32_t cardinality = At<uint16_t>(descriptors, 2 * i + 1) + 1U;
			Require(i == 0 || At<uint16_t>(descriptors, 2 * i - 2) < key);
			Require(At<uint32_t>(offsets, i) == position);
			if (cardinality > ARRAY_COUNT_MAX) {
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
		Require(TakeNumber<uint32_t>() == COOKIE_WITHOUT_RUNS);
		container_count = TakeNumber<uint32_t>();
		Require(container_count <= CONTAINER_COUNT_MAX);
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

	ConstByteSpan bytes;
	uint64_t position = 0;
	bool is_sound = true;
	uint32_t container_count = 0;
};

} // namespace

bool IsPortableBitmap(ConstByteSpan bytes) {
	return BitmapReader(bytes).IsSound();
}

} // namespace lm_diskann
