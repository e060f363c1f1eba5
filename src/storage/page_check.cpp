#include "storage/page_check.hpp"

#include "base/checksum.hpp"

#include <cstddef>
#include <cstring>

namespace lm_diskann {

namespace {

uint64_t PageChecksum(ConstByteSpan page, PageIdentity identity) {
	uint64_t seed = (uint64_t(identity.kind) << 56) | identity.id;
	return Checksum(page.SubSpan(sizeof(uint64_t), page.size() - sizeof(uint64_t)), seed);
}

std::string Describe(PageIdentity identity) {
	return std::string(PageKindName(identity.kind)) + " page " + std::to_string(identity.id);
}

} // namespace

const char *PageKindName(PageKind kind) {
	switch (kind) {
	case PageKind::NONE:
		return "empty";
	case PageKind::META:
		return "meta";
	case PageKind::MAP:
		return "map";
	case PageKind::BLOB:
		return "blob";
	case PageKind::NODES:
		return "node";
	case PageKind::ROW_MAP:
		return "row map";
	}
	return "unknown";
}

PageHead ReadPageHead(ConstByteSpan page) {
	PageHead head;
	std::memcpy(&head, page.data(), sizeof(head));
	return head;
}

uint64_t SealPage(ByteSpan page, PageIdentity identity, Generation generation) {
	PageHead head = ReadPageHead(ConstByteSpan(page.data(), page.size()));
	head.id = identity.id;
	head.kind = identity.kind;
	std::memset(head.reserved, 0, sizeof(head.reserved));
	head.generation = generation.value;
	std::memcpy(page.data(), &head, sizeof(head));
	uint64_t checksum = PageChecksum(ConstByteSpan(page.data(), page.size()), identity);
	std::memcpy(page.data(), &checksum, sizeof(checksum));
	return checksum;
}

void SetPageDetail(ByteSpan page, uint64_t detail) {
	std::memcpy(page.data() + offsetof(PageHead, detail), &detail, sizeof(detail));
}

std::optional<std::string> FindPageFault(ConstByteSpan page, PageIdentity identity, Slot slot) {
	PageHead head = ReadPageHead(page);
	if (head.id != identity.id || head.kind != identity.kind) {
		return "slot " + std::to_string(slot.value) + ": expected " + Describe(identity) + ", found " +
		       Describe(PageIdentity {head.kind, head.id});
	}
	uint64_t expected = PageChecksum(page, identity);
	if (head.checksum != expected) {
		return "slot " + std::to_string(slot.value) + ": " + Describe(identity) + " has checksum " +
		       std::to_string(head.checksum) + ", its bytes give " + std::to_string(expected);
	}
	return std::nullopt;
}

} // namespace lm_diskann
