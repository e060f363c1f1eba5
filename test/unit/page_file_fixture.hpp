// What the tests of the page file share: pages whose payload follows from a number, and a page file on a SimDisk, which
// shows what was written.
#pragma once

#include "base/error.hpp"
#include "sim/sim_file.hpp"
#include "storage/memory_file.hpp"
#include "storage/page_file.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace lm_diskann::page_file_test {

constexpr uint32_t PAGE_SIZE = 4096;
const Uuid UUID = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

inline ConstByteSpan Text(const char *text) {
	return ConstByteSpan(reinterpret_cast<const uint8_t *>(text), std::strlen(text));
}

inline std::string ToString(ConstByteSpan bytes) {
	return std::string(bytes.begin(), bytes.end());
}

//! A page whose payload follows from `content`.
inline AlignedBuffer<uint8_t> MakePage(uint64_t content, uint32_t count = 1) {
	AlignedBuffer<uint8_t> page(size_t(PAGE_SIZE) * count);
	for (size_t i = 0; i < page.size(); i++) {
		page[i] = i % PAGE_SIZE < sizeof(PageHead) ? 0 : uint8_t((content + i / PAGE_SIZE) * 131 + i);
	}
	return page;
}

inline void WritePage(PageFile &file, PageId id, uint64_t content) {
	AlignedBuffer<uint8_t> page = MakePage(content);
	file.WritePage(id, PageKind::NODES, page.span());
}

inline void ExpectPage(const PageFile &file, PageId id, uint64_t content) {
	AlignedBuffer<uint8_t> expected = MakePage(content);
	AlignedBuffer<uint8_t> page(PAGE_SIZE);
	file.ReadPage(id, PageKind::NODES, page.span());
	EXPECT_EQ(
	    std::memcmp(page.data() + sizeof(PageHead), expected.data() + sizeof(PageHead), PAGE_SIZE - sizeof(PageHead)),
	    0)
	    << "page " << id.value;
}

inline uint64_t OffsetOf(Slot slot) {
	return FILE_HEAD_SIZE + uint64_t(slot.value) * PAGE_SIZE;
}

//! A page file on a disk.
struct Fixture {
	std::shared_ptr<SimDisk> disk = SimDisk::Make(1);
	std::unique_ptr<PageFile> file = PageFile::Create(disk->OpenFile(), PAGE_SIZE, UUID, Text("dims=3"));

	void Reopen(const Marker &marker) {
		file = PageFile::Open(disk->OpenFile(), marker);
	}
	PageId AddPages(uint32_t count, uint64_t content) {
		PageId first = file->ReservePages(count);
		AlignedBuffer<uint8_t> pages = MakePage(content, count);
		file->WritePages(first, PageKind::NODES, pages.span());
		return first;
	}
	//! `blobs`: those of the last published generation.
	void ExpectSound(const std::vector<BlobRef> &blobs = {}) const {
		EXPECT_EQ(file->Verify(blobs), std::vector<std::string>());
	}
};

//! Calls `before_batch` once, between a reader's look into the page map and its read.
class HookedFile : public MemoryFile {
public:
	void ReadBatch(Span<const ReadRequest> requests) const override {
		if (before_batch) {
			std::exchange(before_batch, nullptr)();
		}
		MemoryFile::ReadBatch(requests);
	}

	mutable std::function<void()> before_batch;
};

//! The message of the CorruptionError that opening `image` gives; empty if it opens.
inline std::string OpenMessage(std::vector<uint8_t> image, const Marker &marker) {
	try {
		PageFile::Open(SimDisk::Make(0, std::move(image))->OpenFile(), marker);
	} catch (const CorruptionError &error) {
		return error.what();
	}
	return "";
}

//! Opens `image` and reads everything in it; CorruptionError is fine, anything else fails the test.
inline void ExpectCorruptOrSame(std::vector<uint8_t> image, const Marker &marker, PageId page_count) {
	try {
		auto file = PageFile::Open(SimDisk::Make(0, std::move(image))->OpenFile(), marker);
		EXPECT_EQ(ToString(file->Configuration()), "dims=3");
		EXPECT_EQ(ToString(file->Roots()), "roots");
		file->Verify();
		for (uint32_t id = 0; id < page_count.value; id++) {
			ExpectPage(*file, PageId(id), id);
		}
	} catch (const CorruptionError &) {
	}
}

} // namespace lm_diskann::page_file_test
