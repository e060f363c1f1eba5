// Packing: what lies at the end of the file moves to free slots before it, so that the file can be cut.
//
// A move is a copy to a fresh slot under the same page id (law 1); the former slot is quarantined like any other, and
// cut off once it is free. Which page a slot holds is said by the page itself, and believed if the page map agrees.
#include "base/error.hpp"
#include "storage/page_file_state.hpp"

#include <algorithm>
#include <numeric>

namespace lm_diskann {

namespace {

//! Free slots that stay free for what the next publish writes beside pages of the map: meta page, free list, blobs.
constexpr uint64_t PUBLISH_SLOTS = 16;

} // namespace

std::optional<PageIdentity> PageFile::State::FindMappedPage(Slot slot, ByteSpan page) const {
	CheckSlotsInFile(slot, 1);
	owner.file->Read(OffsetOf(slot), page);
	owner.counters.pages_read.fetch_add(1, std::memory_order_relaxed);
	const ConstByteSpan bytes(page.data(), page.size());
	const PageHead head = ReadPageHead(bytes);
	const bool is_mapped = (head.kind == PageKind::NODES || head.kind == PageKind::ROW_MAP) && head.id < page_id_end &&
	                       Locate(PageId(head.id)) == std::optional<Slot>(slot);
	if (!is_mapped) {
		return std::nullopt;
	}
	const PageIdentity identity {head.kind, head.id};
	if (auto fault = FindFault(bytes, identity, slot, NextGeneration())) {
		throw CorruptionError("page file: " + *fault);
	}
	return identity;
}

Slot PageFile::State::PackedEnd() const {
	uint64_t used = 0;
	TailWalk walk(slots);
	// As many free slots as are needed by what lies behind: there the two meet.
	while (const std::optional<Slot> slot = walk.Next()) {
		if (walk.FreeBefore() <= used) {
			return Slot(slot->value + 1);
		}
		used++;
	}
	return Slot(0);
}

uint64_t PageFile::State::KeptFreeCount() const {
	const uint64_t fanout = (owner.page_size - sizeof(PageHead)) / sizeof(uint64_t);
	return page_id_end / fanout + 1 + PUBLISH_SLOTS;
}

uint32_t PageFile::MoveTail(uint32_t page_max) {
	state->CheckNotPoisoned();
	if (IsPacked()) {
		return 0;
	}
	AlignedBuffer<uint8_t> pages(size_t(page_max) * page_size);
	const auto place = [&](size_t i) { return ByteSpan(pages.data() + i * page_size, page_size); };
	std::vector<PageIdentity> moving;
	TailWalk walk(state->slots);
	while (moving.size() < page_max) {
		const std::optional<Slot> slot = walk.Next();
		if (!slot || walk.FreeBefore() <= state->KeptFreeCount() + moving.size()) {
			break;
		}
		if (const std::optional<PageIdentity> identity = state->FindMappedPage(*slot, place(moving.size()))) {
			moving.push_back(*identity);
		}
	}
	// Everything is read before anything changes.
	if (!state->packed_end) {
		state->packed_end = state->PackedEnd();
	}
	std::vector<size_t> order(moving.size());
	std::iota(order.begin(), order.end(), size_t(0));
	// Neighbours by id stay neighbours.
	std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return moving[a].id < moving[b].id; });
	for (const size_t i : order) {
		WritePage(PageId(moving[i].id), moving[i].kind, place(i));
	}
	return uint32_t(moving.size());
}

bool PageFile::IsPacked() const {
	return HoleCount() <= state->KeptFreeCount();
}

Slot PageFile::PackedEnd() const {
	return state->PackedEnd();
}

uint64_t PageFile::HoleCount() const {
	std::shared_lock<std::shared_mutex> guard(state->lock);
	return state->slots.FreeCount();
}

} // namespace lm_diskann
