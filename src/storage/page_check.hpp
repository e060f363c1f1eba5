// Sealing a page before a write and checking it after a read: law 6, both halves in one place.
#pragma once

#include "storage/format.hpp"

#include <optional>
#include <string>

namespace lm_diskann {

//! What a page says it is: `id` is a PageId for mapped kinds, else the Slot.
struct PageIdentity {
	PageKind kind = PageKind::NONE;
	uint32_t id = 0;
};

const char *PageKindName(PageKind kind);
PageHead ReadPageHead(ConstByteSpan page);
//! Fills in the head of `page` (a whole page) and returns its checksum. `detail` stays as it is.
uint64_t SealPage(ByteSpan page, PageIdentity identity, Generation generation);
void SetPageDetail(ByteSpan page, uint64_t detail);
//! Why `page`, read from `slot`, is not a sound page with that identity; none if it is.
std::optional<std::string> FindPageFault(ConstByteSpan page, PageIdentity identity, Slot slot);

} // namespace lm_diskann
