// Property: whatever bytes an index file holds, opening, searching, changing, merging, publishing and verifying it end
// in an answer or in one of the errors that the host expects, and an answer names only rows that the file can have.
//
// The input is a list of patches to a valid image. A patch may compute the page's checksum again (for the meta page
// the marker's, too), so that the code behind the checksums sees the patched bytes.
#include "base/error.hpp"
#include "fuzz/fuzz_input.hpp"
#include "fuzz/index_image.hpp"

#include <cmath>
#include <cstring>
#include <set>

namespace lm_diskann::fuzz {

namespace {

enum class PatchKind : uint8_t { RAW = 0, PAGE = 1, META = 2, HEAD = 3, SIZE = 4, COPY_PAGE = 5, LAST = COPY_PAGE };

constexpr size_t PATCH_COUNT_MAX = 16;

void Overwrite(IndexImage &image, uint64_t offset, ConstByteSpan bytes) {
	for (size_t i = 0; i < bytes.size() && offset + i < image.bytes.size(); i++) {
		image.bytes[offset + i] = bytes[i];
	}
}

void ApplyPatch(FuzzInput &input, IndexImage &image) {
	const auto kind = PatchKind(input.Take<uint8_t>() % (uint8_t(PatchKind::LAST) + 1));
	const uint64_t slot_count = image.SlotCount();
	if (image.bytes.size() < FILE_HEAD_SIZE || slot_count == 0) {
		return;
	}
	const uint64_t slot = input.Take<uint8_t>() % slot_count;
	const auto offset = input.Take<uint16_t>();
	const ConstByteSpan bytes = input.TakeBytes(input.Take<uint8_t>() % 33);
	const uint32_t page_size = image.configuration.page_size;
	switch (kind) {
	case PatchKind::RAW:
		Overwrite(image, image.OffsetOf(slot) + offset % page_size, bytes);
		break;
	case PatchKind::PAGE:
		Overwrite(image, image.OffsetOf(slot) + offset % page_size, bytes);
		ResealPage(image, slot);
		break;
	case PatchKind::META:
		if (image.marker.meta_slot.value < slot_count) {
			Overwrite(image, image.OffsetOf(image.marker.meta_slot.value) + offset % 256, bytes);
			ResealPage(image, image.marker.meta_slot.value);
		}
		break;
	case PatchKind::HEAD:
		Overwrite(image, offset % FILE_HEAD_SIZE, bytes);
		ResealHead(image);
		std::memcpy(image.marker.uuid.data(), image.bytes.data() + offsetof(FileHead, uuid), sizeof(Uuid));
		break;
	case PatchKind::SIZE:
		image.bytes.resize((slot * page_size + offset) % (2 * image.bytes.size()));
		break;
	case PatchKind::COPY_PAGE: {
		// To the place, and with the identity, of another page.
		const uint64_t target = offset % slot_count;
		std::memmove(image.bytes.data() + image.OffsetOf(target), image.bytes.data() + image.OffsetOf(slot), page_size);
		const auto id = uint32_t(target);
		std::memcpy(image.bytes.data() + image.OffsetOf(target) + offsetof(PageHead, id), &id, sizeof(id));
		ResealPage(image, target);
		break;
	}
	}
}

//! Returns every row that a query finds, as often as it finds it.
std::multiset<int64_t> Search(AnnIndex &index, const std::vector<float> &query) {
	const IndexSummary summary = index.Summary();
	std::multiset<int64_t> found;
	SearchCursor cursor = index.Search(query.data(), 5, 10, 4);
	for (size_t count = 5;; count = 64) {
		const std::vector<Neighbor> next = cursor.Next(count);
		float nearest = -std::numeric_limits<float>::infinity();
		for (const Neighbor &neighbor : next) {
			LMD_CHECK(neighbor.row_id.value >= 0, "a found row id is not negative");
			LMD_CHECK(uint64_t(neighbor.row_id.value) < summary.covered_rows, "a found row was offered to the index");
			LMD_CHECK(neighbor.distance >= nearest, "distances ascend");
			nearest = neighbor.distance;
			found.insert(neighbor.row_id.value);
		}
		if (next.size() < count) {
			break;
		}
	}
	return found;
}

void SearchAndVerify(AnnIndex &index) {
	const IndexConfiguration &configuration = index.Configuration();
	const bool is_sound = index.Verify().empty();
	const Reach reach = is_sound ? index.FindReach() : Reach();
	std::set<int64_t> present, reached;
	for (const StoredRow &row : index.CollectRows()) {
		const bool is_single = present.insert(row.row_id.value).second;
		LMD_CHECK(is_single || !is_sound, "a verified index holds each row once");
		if (!reach.unreached.Contains(row.row_id)) {
			reached.insert(row.row_id.value);
		}
	}
	for (uint64_t i = 0; i < 3; i++) {
		const std::multiset<int64_t> found =
		    Search(index, MakeVector(configuration.dims, configuration.element_type, 1000 + i));
		LMD_CHECK(!is_sound || std::includes(present.begin(), present.end(), found.begin(), found.end()),
		          "a verified index finds only rows that it has, each once");
		LMD_CHECK(!is_sound || std::includes(found.begin(), found.end(), reached.begin(), reached.end()),
		          "a verified index finds all rows that edges lead to");
	}
}

//! Runs `action`; the errors that a damaged file may cause end it.
template <class FUNCTION>
bool Survives(FUNCTION action) {
	try {
		action();
		return true;
	} catch (const CorruptionError &) {
	} catch (const FileError &) {
	} catch (const MemoryError &) {
	} catch (const UsageError &) {
	}
	return false;
}

void OpenAndUse(const IndexImage &image) {
	const auto index = OpenImage(image);
	const auto never = [] { return false; };
	Survives([&] { index->WarmUp(never); });
	Survives([&] { SearchAndVerify(*index); });
	const uint32_t dims = image.configuration.dims;
	const RowId row_ids[] = {RowId(2), RowId(41), RowId(100000)};
	for (const RowId row_id : row_ids) {
		Survives([&] { AppendRow(*index, row_id, MakeVector(dims, image.configuration.element_type, 77)); });
	}
	index->AppendNull(Span<const RowId>(row_ids, 1));
	index->Delete(Span<const RowId>(row_ids, 2));
	index->Confirm(index->Publish().generation);
	Survives([&] { index->Merge(100, never); });
	Survives([&] { index->Compact(never); });
	Survives([&] { SearchAndVerify(*index); });
	index->Confirm(index->Publish().generation);
}

} // namespace

} // namespace lm_diskann::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	using namespace lm_diskann::fuzz;
	FuzzInput input(data, size);
	IndexImage image = Images()[input.Take<uint8_t>() % Images().size()];
	for (size_t i = 0; i < PATCH_COUNT_MAX && !input.IsEmpty(); i++) {
		ApplyPatch(input, image);
	}
	Survives([&] { OpenAndUse(image); });
	return 0;
}
