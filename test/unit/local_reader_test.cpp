// Property: whatever way a batch goes past the page cache, its bytes are those of the file, into targets of any
// alignment, from any number of threads; what cannot be read is a FileError. Skipped where direct I/O is refused.
#include "storage/local_reader.hpp"

#include "base/error.hpp"
#include "base/random.hpp"

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <thread>
#include <vector>

namespace lm_diskann {
namespace {

constexpr size_t BLOCK = LocalReader::ALIGNMENT;
constexpr size_t BLOCK_COUNT = 300;

class LocalReaderTest : public testing::TestWithParam<LocalReader::Method> {
protected:
	void SetUp() override {
		path = testing::TempDir() + "local_reader_" + std::to_string(::getpid());
		Random random(5);
		content.resize(BLOCK_COUNT * BLOCK);
		for (uint8_t &byte : content) {
			byte = uint8_t(random.Next() >> 56);
		}
		std::ofstream(path, std::ios::binary)
		    .write(reinterpret_cast<const char *>(content.data()), std::streamsize(content.size()));
		reader = LocalReader::TryOpen(path, GetParam());
		if (!reader) {
			GTEST_SKIP() << "no direct I/O in " << testing::TempDir();
		}
	}
	void TearDown() override {
		std::remove(path.c_str());
	}

	//! `count` reads of one to three blocks each; true when all bytes are right.
	bool ReadsWhatIsThere(size_t count, uint64_t seed) const {
		Random random(seed);
		std::vector<std::vector<uint8_t>> targets(count);
		std::vector<ReadRequest> requests;
		for (std::vector<uint8_t> &target : targets) {
			const uint64_t block_count = 1 + random.Next() % 3;
			target.resize(1 + block_count * BLOCK);
			requests.push_back(
			    {random.Next() % (BLOCK_COUNT - 2) * BLOCK, ByteSpan(target.data() + 1, block_count * BLOCK)});
		}
		reader->ReadBatch(Span<const ReadRequest>(requests.data(), requests.size()));
		bool is_right = true;
		for (const ReadRequest &request : requests) {
			is_right = is_right && std::equal(request.target.begin(), request.target.end(),
			                                  content.begin() + ptrdiff_t(request.offset));
		}
		return is_right;
	}

	std::string path;
	std::vector<uint8_t> content;
	std::unique_ptr<LocalReader> reader;
};

TEST_P(LocalReaderTest, BatchesOfAnySizeHaveTheBytesOfTheFile) {
	for (const size_t count : {0, 1, 2, 4, 63, 64, 65, 200}) {
		EXPECT_TRUE(ReadsWhatIsThere(count, count)) << count;
	}
}

TEST_P(LocalReaderTest, ThreadsReadAtOnce) {
	std::vector<std::thread> threads;
	std::vector<int> is_right(4, 0);
	for (size_t thread = 0; thread < is_right.size(); thread++) {
		threads.emplace_back([&, thread] {
			is_right[thread] = 1;
			for (uint64_t round = 0; round < 20; round++) {
				is_right[thread] &= ReadsWhatIsThere(4, 100 * thread + round) ? 1 : 0;
			}
		});
	}
	for (std::thread &thread : threads) {
		thread.join();
	}
	EXPECT_EQ(is_right, std::vector<int>(4, 1));
}

TEST_P(LocalReaderTest, ReadPastTheEndIsAnErrorAndTheNextReadIsNot) {
	std::vector<uint8_t> bytes(2 * BLOCK);
	const ReadRequest requests[] = {{0, ByteSpan(bytes.data(), BLOCK)},
	                                {BLOCK_COUNT * BLOCK, ByteSpan(bytes.data() + BLOCK, BLOCK)}};
	EXPECT_THROW(reader->ReadBatch(Span<const ReadRequest>(requests, 2)), FileError);
	EXPECT_TRUE(ReadsWhatIsThere(8, 1));
}

TEST_P(LocalReaderTest, OnlyAlignedRequestsAreServed) {
	std::vector<uint8_t> bytes(BLOCK);
	const ReadRequest aligned = {BLOCK, ByteSpan(bytes.data(), BLOCK)};
	const ReadRequest between = {BLOCK + 512, ByteSpan(bytes.data(), BLOCK)};
	const ReadRequest part = {BLOCK, ByteSpan(bytes.data(), 48)};
	EXPECT_TRUE(LocalReader::Serves(Span<const ReadRequest>(&aligned, 1)));
	EXPECT_FALSE(LocalReader::Serves(Span<const ReadRequest>(&between, 1)));
	EXPECT_FALSE(LocalReader::Serves(Span<const ReadRequest>(&part, 1)));
}

TEST_P(LocalReaderTest, TheOpenFileIsKnownByItsIdentity) {
	struct stat status = {};
	ASSERT_EQ(stat(path.c_str(), &status), 0);
	EXPECT_TRUE(reader->Is(uint64_t(status.st_dev), uint64_t(status.st_ino)));
	EXPECT_FALSE(reader->Is(uint64_t(status.st_dev), uint64_t(status.st_ino) + 1));
	EXPECT_EQ(LocalReader::TryOpen(path + "_missing", GetParam()), nullptr);
}

INSTANTIATE_TEST_SUITE_P(Storage, LocalReaderTest,
                         testing::Values(LocalReader::Method::AUTOMATIC, LocalReader::Method::THREADS));

} // namespace
} // namespace lm_diskann
