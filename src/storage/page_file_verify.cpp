// Verify: every slot of the open generation has exactly one owner and holds what that owner expects.
//
// The owners of the slots below the generation's slot count: the meta page, the free list's own pages, the extents of
// the free list (which at the publish were free, freed or quarantined), the pages of the page map, the mapped pages,
// and the blobs that the file's owner names. A slot claimed twice would be written under somebody's feet; one claimed
// by nobody is lost to the file for ever.
#include "base/error.hpp"
#include "storage/page_file_state.hpp"

#include <algorithm>

namespace lm_diskann {

namespace {

//! A file that is damaged everywhere gives a list of this length, not one as long as the file.
constexpr size_t FINDING_COUNT_MAX = 1000;

class Verifier {
public:
	Verifier(uint32_t slot_count_p, std::vector<std::string> &findings_p)
	    : is_owned(slot_count_p, false), findings(findings_p) {
	}

	//! Ends the verification when the list is full, which bounds the walk through a hostile file.
	void Report(const std::string &finding) {
		if (findings.size() >= FINDING_COUNT_MAX) {
			throw CorruptionError("page file: there are more than " + std::to_string(FINDING_COUNT_MAX) +
			                      " violations");
		}
		findings.push_back(finding);
	}
	//! False, with a finding, if the slot has an owner already or lies beyond the generation.
	bool Own(uint64_t slot, const std::string &owner) {
		if (slot >= is_owned.size()) {
			Report("page file: slot " + std::to_string(slot) + " of " + owner + " is beyond the generation's " +
			       std::to_string(is_owned.size()) + " slots");
			return false;
		}
		if (is_owned[slot]) {
			Report("page file: slot " + std::to_string(slot) + " of " + owner + " has a second owner");
			return false;
		}
		is_owned[slot] = true;
		return true;
	}
	//! One finding for each run of slots without an owner.
	void ReportLost() {
		for (size_t slot = 0; slot < is_owned.size(); slot++) {
			const size_t first = slot;
			while (slot < is_owned.size() && !is_owned[slot]) {
				slot++;
			}
			if (slot > first) {
				Report("page file: " + std::to_string(slot - first) + " slots from slot " + std::to_string(first) +
				       " are neither free nor reached: they are lost");
			}
		}
	}

private:
	std::vector<bool> is_owned;
	std::vector<std::string> &findings;
};

void OwnExtents(const ExtentSet &extents, uint32_t slot_count, Verifier &verifier) {
	for (const auto &[first, count] : extents.All()) {
		uint64_t end = std::min<uint64_t>(slot_count, uint64_t(first) + count);
		for (uint64_t slot = first; slot < end; slot++) {
			verifier.Own(slot, "the free list");
		}
	}
}

} // namespace

std::vector<std::string> PageFile::Verify(Span<const BlobRef> blobs) const {
	std::vector<std::string> findings;
	if (current.generation.value == 0) {
		return findings;
	}
	// The state as it would be opened from the file, apart from what has changed in RAM since. The checks of Open
	// throw; here what they throw is the answer.
	try {
		AlignedBuffer<uint8_t> page(page_size);
		MetaHead meta = state->ReadMeta(current, page.span());
		State::FreeList free = state->ReadFreeList(meta);
		Verifier verifier(meta.slot_count, findings);
		verifier.Own(current.meta_slot.value, "the meta page");
		for (uint64_t i = 0; i < state->BlobPageCount(meta.free_list.size_bytes); i++) {
			verifier.Own(meta.free_list.first.value + i, "the free list's pages");
		}
		OwnExtents(free.slots, meta.slot_count, verifier);

		auto check = [&](Slot slot, PageIdentity identity) {
			file->Read(state->OffsetOf(slot), page.span());
			const ConstByteSpan bytes(page.data(), page.size());
			if (auto fault = state->FindFault(bytes, identity, slot, current.generation)) {
				verifier.Report("page file: " + *fault);
			}
		};
		RadixMap map(state->MapSpace(), meta.page_map);
		map.ForEachPage([&](uint64_t slot) {
			if (!verifier.Own(slot, "the page map")) {
				throw CorruptionError("page file: the page map ends at slot " + std::to_string(slot));
			}
		});
		map.ForEach([&](uint64_t id, uint64_t slot) {
			if (slot >= meta.slot_count) {
				throw CorruptionError("page file: page " + std::to_string(id) + " is in slot " + std::to_string(slot) +
				                      ", beyond the generation's " + std::to_string(meta.slot_count) + " slots");
			}
			if (verifier.Own(slot, "page " + std::to_string(id))) {
				// Any kind of mapped page is right here; its reader knows which.
				file->Read(state->OffsetOf(Slot(uint32_t(slot))), page.span());
				PageKind kind = ReadPageHead(ConstByteSpan(page.data(), page.size())).kind;
				check(Slot(uint32_t(slot)), PageIdentity {kind, uint32_t(id)});
			}
		});
		for (const BlobRef &blob : blobs) {
			const uint64_t page_count = state->BlobPageCount(blob.size_bytes);
			for (uint64_t i = 0; i < page_count; i++) {
				const uint64_t slot = blob.first.value + i;
				if (verifier.Own(slot, "the blob from slot " + std::to_string(blob.first.value))) {
					check(Slot(uint32_t(slot)), PageIdentity {PageKind::BLOB, uint32_t(slot)});
				} else if (slot >= meta.slot_count) {
					break;
				}
			}
		}
		verifier.ReportLost();
	} catch (const CorruptionError &error) {
		findings.push_back(error.what());
	}
	return findings;
}

} // namespace lm_diskann
