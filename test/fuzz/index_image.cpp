#include "fuzz/index_image.hpp"

#include "base/error.hpp"

#include "base/checksum.hpp"
#include "base/random.hpp"
#include "sim/sim_file.hpp"
#include "storage/page_check.hpp"

#include <cstring>

namespace lm_diskann::fuzz {

namespace {

constexpr uint64_t CACHE_BYTES = uint64_t(4) << 20;

//! Merges and compacts: rows with other nodes than at first, places without a row, pages that moved or wait for the end
//! of a search, and a page map with a page.
void Rework(AnnIndex &index, const ImageRecipe &recipe, IndexImage &image) {
	const auto never = [] { return false; };
	const auto row_at = [&](uint32_t number) { return RowId(int64_t(number) * recipe.row_id_step); };
	const std::vector<float> query = MakeVector(recipe.dims, recipe.element_type, 0);
	SearchCursor cursor = index.Search(query.data(), 1, 10, 1);
	for (const uint32_t number : {1U, 5U, recipe.row_count - 1}) {
		image.rows[row_at(number).value] = MakeVector(recipe.dims, recipe.element_type, 900 + number);
		AppendRow(index, row_at(number), image.rows[row_at(number).value]);
	}
	index.Merge(1000, never);
	for (uint32_t number = recipe.row_count / 2; number < recipe.row_count - 2; number++) {
		const RowId row_id = row_at(number);
		image.rows.erase(row_id.value);
		index.Delete(Span<const RowId>(&row_id, 1));
	}
	index.Compact(never);
	for (const uint32_t number : {3U, 4U}) {
		image.rows[row_at(number).value] = MakeVector(recipe.dims, recipe.element_type, 900 + number);
		AppendRow(index, row_at(number), image.rows[row_at(number).value]);
	}
	index.Merge(1000, never);
	image.marker = index.Publish();
}

} // namespace

std::vector<float> MakeVector(uint32_t dims, ElementType element_type, uint64_t content) {
	Random random(content);
	std::vector<float> vector(dims);
	for (float &value : vector) {
		const auto number = int8_t(random.Next());
		value = element_type == ElementType::INT8 ? float(number) : float(number) / 16;
	}
	vector[0] = vector[0] == 0 ? 1 : vector[0];
	return vector;
}

void AppendRow(AnnIndex &index, RowId row_id, const std::vector<float> &vector) {
	const std::vector<int8_t> bytes(vector.begin(), vector.end());
	const bool is_float = index.Configuration().element_type == ElementType::FLOAT32;
	VectorBatch batch;
	batch.row_ids = &row_id;
	if (is_float) {
		batch.floats = vector.data();
	} else {
		batch.bytes = bytes.data();
	}
	batch.count = 1;
	index.Append(batch);
}

IndexImage MakeImage(const ImageRecipe &recipe, const Uuid &uuid) {
	IndexImage image;
	image.configuration = Configure(ParseOptions(recipe.options), recipe.element_type, recipe.dims);
	const auto disk = SimDisk::Make(1);
	IndexBuilder builder(image.configuration);
	for (uint32_t row = 0; row < recipe.row_count; row++) {
		const RowId row_id(int64_t(row) * recipe.row_id_step);
		const std::vector<float> vector = MakeVector(recipe.dims, recipe.element_type, row);
		const std::vector<int8_t> bytes(vector.begin(), vector.end());
		VectorBatch batch;
		batch.row_ids = &row_id;
		batch.floats = recipe.element_type == ElementType::FLOAT32 ? vector.data() : nullptr;
		batch.bytes = recipe.element_type == ElementType::FLOAT32 ? nullptr : bytes.data();
		batch.count = 1;
		builder.Add(batch);
		image.rows[row_id.value] = vector;
	}
	builder.Start(disk->OpenFile(), uuid);
	while (builder.Work() != WorkState::FINISHED) {
	}
	auto index = builder.Finish(std::make_shared<PageCache>(CACHE_BYTES));
	image.marker = index->Publish();
	if (recipe.is_reworked) {
		Rework(*index, recipe, image);
	}
	for (uint32_t i = 0; i < 3 && recipe.row_count > 0; i++) {
		const RowId appended(int64_t(recipe.row_count + i) * recipe.row_id_step);
		const RowId unindexed(appended.value + 3 * recipe.row_id_step);
		const RowId deleted(int64_t(3 * i + 2) * recipe.row_id_step);
		image.rows[appended.value] = MakeVector(recipe.dims, recipe.element_type, recipe.row_count + i);
		image.rows.erase(deleted.value);
		AppendRow(*index, appended, image.rows[appended.value]);
		index->AppendNull(Span<const RowId>(&unindexed, 1));
		index->Delete(Span<const RowId>(&deleted, 1));
	}
	image.marker = index->Publish();
	index.reset();
	image.bytes = disk->Image();
	return image;
}

const std::vector<ImageRecipe> &ImageRecipes() {
	static const std::vector<ImageRecipe> recipes = [] {
		std::vector<ImageRecipe> made(6);
		made[0] = {{{"R", "8"}, {"codes", "4bit"}}, ElementType::FLOAT32, 8, 40, 1, false};
		made[1] = {{{"metric", "cosine"}, {"R", "4"}, {"codes", "1bit"}, {"vectors", "f16"}},
		           ElementType::FLOAT32,
		           20,
		           30,
		           5000000001,
		           true};
		made[2] = {{{"metric", "ip"}, {"R", "6"}, {"codes", "ternary"}}, ElementType::INT8, 130, 40, 3, false};
		made[3] = {{{"R", "5"}, {"codes", "2bit"}, {"vectors", "int8"}}, ElementType::FLOAT32, 6, 300, 1, true};
		made[4] = {{{"block_size", "8192"}, {"metric", "cosine"}, {"R", "10"}}, ElementType::INT8, 33, 25, 700, true};
		made[5] = {{}, ElementType::FLOAT32, 3, 0, 1, false};
		return made;
	}();
	return recipes;
}

const std::vector<IndexImage> &Images() {
	static const std::vector<IndexImage> images = [] {
		std::vector<IndexImage> made;
		for (const ImageRecipe &recipe : ImageRecipes()) {
			made.push_back(MakeImage(recipe, Uuid {uint8_t(made.size() + 1)}));
		}
		return made;
	}();
	return images;
}

std::unique_ptr<File> MakeFile(const std::vector<uint8_t> &bytes) {
	return SimDisk::Make(1, bytes)->OpenFile();
}

std::shared_ptr<AnnIndex> OpenFile(std::unique_ptr<File> file, const IndexImage &image) {
	return AnnIndex::Open(std::move(file), image.marker, image.configuration, std::make_shared<PageCache>(CACHE_BYTES));
}

std::shared_ptr<AnnIndex> OpenImage(const IndexImage &image) {
	return OpenFile(MakeFile(image.bytes), image);
}

void ResealPage(IndexImage &image, uint64_t slot) {
	const uint32_t page_size = image.configuration.page_size;
	const ByteSpan page(image.bytes.data() + image.OffsetOf(slot), page_size);
	const PageHead head = ReadPageHead(ConstByteSpan(page.data(), page.size()));
	const uint64_t checksum = SealPage(page, PageIdentity {head.kind, head.id}, Generation(head.generation));
	if (slot == image.marker.meta_slot.value) {
		image.marker.meta_checksum = checksum;
		image.marker.generation = Generation(head.generation);
	}
}

void ResealHead(IndexImage &image) {
	const uint64_t checksum = Checksum(ConstByteSpan(image.bytes.data() + 8, SECTOR_SIZE - 8), 0);
	std::memcpy(image.bytes.data(), &checksum, sizeof(checksum));
}

std::string OpenMessage(const IndexImage &image) {
	try {
		OpenImage(image);
	} catch (const CorruptionError &error) {
		return error.what();
	}
	return "";
}

} // namespace lm_diskann::fuzz
