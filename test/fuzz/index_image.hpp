// Small valid index files in RAM, for the fuzz targets and the tests of damage: every form of a file in a few pages.
#pragma once

#include "index/ann_index.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace lm_diskann::fuzz {

//! A file, what the database would name of it, and what it holds.
struct IndexImage {
	std::vector<uint8_t> bytes;
	Marker marker;
	IndexConfiguration configuration;
	//! Indexed and not deleted: row -> vector, widened to float.
	std::map<int64_t, std::vector<float>> rows;

	uint64_t SlotCount() const {
		return (bytes.size() - FILE_HEAD_SIZE) / configuration.page_size;
	}
	uint64_t OffsetOf(uint64_t slot) const {
		return FILE_HEAD_SIZE + slot * configuration.page_size;
	}
};

//! Options, column and rows of an image.
struct ImageRecipe {
	std::vector<std::pair<std::string, std::string>> options;
	ElementType element_type = ElementType::FLOAT32;
	uint32_t dims = 0;
	//! Rows of the graph; each three delta rows, tombstones and unindexed rows come on top if there are any.
	uint32_t row_count = 0;
	//! Row ids are 0, step, 2 * step, ...: a row map with pages when it is not 1.
	int64_t row_id_step = 1;
	//! Some rows were merged and others compacted away since.
	bool is_reworked = false;
};

//! Deterministic but for the build seconds in the roots. Row r has vector MakeVector(recipe, r).
IndexImage MakeImage(const ImageRecipe &recipe, const Uuid &uuid);
//! Between them: every metric, element type, own vector form and code, both maps with and without pages, an empty
//! index.
const std::vector<ImageRecipe> &ImageRecipes();
//! MakeImage of each recipe, made at the first call.
const std::vector<IndexImage> &Images();

//! A vector that follows from `content`: multiples of 1/16 within a signed byte, never all zero.
std::vector<float> MakeVector(uint32_t dims, ElementType element_type, uint64_t content);
//! Append of one row; `vector` as MakeVector gives it.
void AppendRow(AnnIndex &index, RowId row_id, const std::vector<float> &vector);

//! Opens a copy of the image's bytes.
std::shared_ptr<AnnIndex> OpenImage(const IndexImage &image);
//! What is wrong with the image according to OpenImage; empty: nothing.
std::string OpenMessage(const IndexImage &image);
std::shared_ptr<AnnIndex> OpenFile(std::unique_ptr<File> file, const IndexImage &image);
//! A file in RAM that holds `bytes`.
std::unique_ptr<File> MakeFile(const std::vector<uint8_t> &bytes);

//! Computes the checksum of the page in `slot` again, with the kind, id and generation that its head has. The marker
//! follows when it is the meta page that the marker names.
void ResealPage(IndexImage &image, uint64_t slot);
//! The same for the head of the file.
void ResealHead(IndexImage &image);

} // namespace lm_diskann::fuzz
