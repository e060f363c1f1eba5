// Property: a file and a database that do not belong together, one of them restored from a backup, give the answers of
// the generation that the database names, or a CorruptionError; never those of another time.
#include "base/error.hpp"
#include "base/random.hpp"
#include "fuzz/index_image.hpp"
#include "sim/sim_file.hpp"

#include <gmock/gmock.h>

namespace lm_diskann {
namespace {

using namespace fuzz;
using testing::HasSubstr;

//! File and marker after each publish, with the rows of that time. Each time some rows come, go or get another vector,
//! so the parts of the file change at different times and in size.
std::vector<IndexImage> MakeHistory(const IndexImage &image, const ImageRecipe &recipe, uint64_t seed) {
	Random random(seed);
	std::vector<IndexImage> history = {image};
	const auto disk = SimDisk::Make(1, image.bytes);
	const auto index = OpenFile(disk->OpenFile(), image);
	IndexImage now = image;
	for (uint64_t i = 0; i < 8; i++) {
		index->Confirm(now.marker.generation);
		const bool appends = random.Next() % 2 == 0;
		for (uint64_t count = 1 + random.Next() % 40; count > 0; count--) {
			const RowId row_id(int64_t(random.Next() % (recipe.row_count + 300)) * recipe.row_id_step);
			if (appends) {
				now.rows[row_id.value] = MakeVector(recipe.dims, recipe.element_type, random.Next());
				AppendRow(*index, row_id, now.rows[row_id.value]);
			} else {
				now.rows.erase(row_id.value);
				index->Delete(Span<const RowId>(&row_id, 1));
			}
		}
		now.marker = index->Publish();
		now.bytes = disk->Image();
		history.push_back(now);
	}
	return history;
}

//! Rows with the distances that a query finds for them.
std::map<int64_t, float> Ask(const IndexImage &image) {
	const auto index = OpenImage(image);
	const std::vector<float> query = MakeVector(image.configuration.dims, image.configuration.element_type, 5000);
	std::map<int64_t, float> found;
	for (const Neighbor &neighbor : index->Search(query.data(), 1000, 10, 4).Next(1000)) {
		found[neighbor.row_id.value] = neighbor.distance;
	}
	EXPECT_EQ(index->Verify(), std::vector<std::string>());
	return found;
}

TEST(AnnIndexCopies, AnotherTimesFileIsRefusedOrGivesTheNamedAnswers) {
	for (uint64_t seed = 0; seed < 20; seed++) {
		const size_t i = seed % 5;
		const std::vector<IndexImage> history = MakeHistory(Images()[i], ImageRecipes()[i], seed);
		size_t refused_count = 0;
		for (size_t named = 0; named < history.size(); named++) {
			const std::map<int64_t, float> expected = Ask(history[named]);
			EXPECT_EQ(expected.size(), history[named].rows.size());
			for (size_t present = 0; present < history.size(); present++) {
				SCOPED_TRACE("seed " + std::to_string(seed) + ": file " + std::to_string(present) + ", database " +
				             std::to_string(named));
				IndexImage mixed = history[named];
				mixed.bytes = history[present].bytes;
				try {
					EXPECT_EQ(Ask(mixed), expected);
				} catch (const CorruptionError &error) {
					refused_count++;
					EXPECT_NE(present, named);
					if (present < named) {
						EXPECT_THAT(error.what(), HasSubstr("the file is older than the database"));
					} else {
						EXPECT_THAT(error.what(), HasSubstr("newer than the database"));
					}
				}
			}
		}
		EXPECT_GT(refused_count, history.size());
	}
}

TEST(AnnIndexCopies, TheFileOfAnotherIndexIsRefused) {
	for (const IndexImage &image : Images()) {
		for (const IndexImage &other : Images()) {
			if (image.marker.uuid == other.marker.uuid) {
				continue;
			}
			IndexImage mixed = image;
			mixed.bytes = other.bytes;
			try {
				OpenImage(mixed);
				ADD_FAILURE();
			} catch (const CorruptionError &error) {
				EXPECT_THAT(error.what(), HasSubstr("identity of the file must be"));
			}
		}
	}
}

} // namespace
} // namespace lm_diskann
