// Property: what was appended to a Spill is read back, wherever its blocks lie and in any order, RAM stays within its
// limit, and freed places of the file are used again.
#include "storage/spill.hpp"

#include "base/error.hpp"
#include "storage/memory_file.hpp"

#include <cstring>
#include <gtest/gtest.h>
#include <numeric>

namespace lm_diskann {
namespace {

constexpr size_t RECORD_BYTES = 1000;

std::vector<uint8_t> Record(uint64_t number) {
	std::vector<uint8_t> record(RECORD_BYTES, uint8_t(number));
	std::memcpy(record.data(), &number, sizeof(number));
	return record;
}

void AppendNumbers(Spill &spill, uint32_t stream, uint64_t begin, uint64_t end) {
	for (uint64_t number = begin; number < end; number++) {
		spill.Append(stream, Record(number).data(), 1);
	}
}

std::vector<uint64_t> ReadNumbers(const Spill &spill, uint32_t stream) {
	std::vector<uint64_t> numbers;
	for (size_t block = 0; block < spill.BlockCount(stream); block++) {
		const Spill::Block records = spill.Read(stream, block);
		for (size_t i = 0; i < records.Count(); i++) {
			uint64_t number;
			std::memcpy(&number, records.Record(i), sizeof(number));
			EXPECT_EQ(std::memcmp(records.Record(i), Record(number).data(), RECORD_BYTES), 0);
			numbers.push_back(number);
		}
	}
	return numbers;
}

std::vector<uint64_t> Range(uint64_t begin, uint64_t end) {
	std::vector<uint64_t> numbers(end - begin);
	std::iota(numbers.begin(), numbers.end(), begin);
	return numbers;
}

TEST(Spill, GivesBackWhatWasAppendedWithinItsMemory) {
	for (const size_t blocks_max : {0, 2, 3, 5, 1000}) {
		Spill spill(RECORD_BYTES, [] { return std::make_unique<MemoryFile>(); });
		const uint64_t memory_max = blocks_max * spill.BlockBytes();
		spill.SetMemoryMax(memory_max);
		const uint32_t first = spill.AddStream();
		const uint32_t second = spill.AddStream();
		for (uint64_t number = 0; number < 500; number++) {
			AppendNumbers(spill, first, number, number + 1);
			AppendNumbers(spill, second, 1000 + number, 1001 + number);
			// The block that is being filled is in RAM.
			EXPECT_LE(spill.MemoryBytes(), std::max(memory_max, 2 * spill.BlockBytes()));
		}
		EXPECT_EQ(ReadNumbers(spill, first), Range(0, 500));
		EXPECT_EQ(ReadNumbers(spill, second), Range(1000, 1500));
		spill.SetMemoryMax(0);
		EXPECT_EQ(spill.MemoryBytes(), 0);
		EXPECT_EQ(ReadNumbers(spill, first), Range(0, 500));
	}
}

TEST(Spill, UsesFreedPlacesOfTheFileAgain) {
	Spill spill(RECORD_BYTES, [] { return std::make_unique<MemoryFile>(); });
	spill.SetMemoryMax(0);
	uint64_t file_bytes = 0;
	for (uint64_t round = 0; round < 4; round++) {
		const uint32_t stream = spill.AddStream();
		AppendNumbers(spill, stream, 0, 30000);
		file_bytes = round == 0 ? spill.FileBytes() : file_bytes;
		EXPECT_EQ(spill.FileBytes(), file_bytes);
		for (size_t block = 0; block < spill.BlockCount(stream); block++) {
			spill.Free(stream, block);
			EXPECT_THROW(spill.Read(stream, block), InternalError);
		}
	}
}

TEST(Spill, WithoutAFileEverythingStaysInMemory) {
	Spill spill(RECORD_BYTES, nullptr);
	spill.SetMemoryMax(0);
	const uint32_t stream = spill.AddStream();
	AppendNumbers(spill, stream, 0, 200);
	EXPECT_EQ(ReadNumbers(spill, stream), Range(0, 200));
	EXPECT_EQ(spill.FileBytes(), 0);
}

} // namespace
} // namespace lm_diskann
