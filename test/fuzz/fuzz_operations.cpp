// Property: after any sequence of changes, merges, publishes and crashes an index holds exactly the rows of a map that
// went through the same, finds all of them, the nearest first, and verifies as sound.
//
// The host is played too: it names a published generation, sometimes without confirming it, and after a crash opens the
// one that it named last. A crash keeps, tears or loses what was written since the last sync.
#include "base/error.hpp"
#include "fuzz/fuzz_input.hpp"
#include "fuzz/index_image.hpp"
#include "sim/sim_file.hpp"
#include "unit/index_rows.hpp"
#include "vector/distance.hpp"

#include <cmath>
#include <functional>
#include <set>

namespace lm_diskann::fuzz {

namespace {

enum class Operation : uint8_t {
	APPEND,
	APPEND_NULL,
	REMOVE,
	PUBLISH,
	NAME,
	CONFIRM,
	CRASH,
	SEARCH,
	VERIFY,
	MERGE,
	COMPACT,
	COUNT
};

constexpr size_t OPERATION_COUNT_MAX = 200;
//! Rows behind those of the image that the operations may name.
constexpr int64_t ROW_COUNT_EXTRA = 30;

using Rows = std::map<int64_t, std::vector<float>>;

struct State {
	Marker marker;
	Rows rows;
};

class Machine {
public:
	Machine(const IndexImage &image_p, const ImageRecipe &recipe_p)
	    : image(image_p), recipe(recipe_p), disk(SimDisk::Make(1, image.bytes)),
	      rows(image.rows), named {image.marker, rows}, published(named), index(OpenFile(disk->OpenFile(), image)) {
	}

	void Run(FuzzInput &input) {
		for (size_t i = 0; i < OPERATION_COUNT_MAX && !input.IsEmpty(); i++) {
			const uint8_t byte = input.Take<uint8_t>();
			Do(Operation(byte % uint8_t(Operation::COUNT)), input);
		}
		CheckRows();
		Verify();
	}

private:
	void Do(Operation operation, FuzzInput &input) {
		switch (operation) {
		case Operation::APPEND: {
			const RowId row_id = TakeRow(input);
			const std::vector<float> vector = MakeVector(recipe.dims, recipe.element_type, input.Take<uint8_t>());
			AppendRow(*index, row_id, vector);
			rows[row_id.value] = vector;
			break;
		}
		case Operation::APPEND_NULL: {
			const RowId row_id = TakeRow(input);
			index->AppendNull(Span<const RowId>(&row_id, 1));
			rows.erase(row_id.value);
			break;
		}
		case Operation::REMOVE: {
			const RowId row_id = TakeRow(input);
			index->Delete(Span<const RowId>(&row_id, 1));
			rows.erase(row_id.value);
			break;
		}
		case Operation::PUBLISH:
			published = {index->Publish(), rows};
			break;
		case Operation::NAME:
			named = published;
			break;
		case Operation::CONFIRM:
			index->Confirm(named.marker.generation);
			break;
		case Operation::CRASH:
			Crash();
			break;
		case Operation::SEARCH:
			Search(MakeVector(recipe.dims, recipe.element_type, input.Take<uint8_t>()));
			break;
		case Operation::MERGE:
			index->Merge(1 + input.Take<uint8_t>() % 16, StopAfter(input.Take<uint8_t>()));
			break;
		case Operation::COMPACT:
			index->Compact(StopAfter(input.Take<uint8_t>()));
			break;
		default:
			Verify();
		}
	}

	RowId TakeRow(FuzzInput &input) const {
		return RowId(int64_t(input.Take<uint16_t>() % (recipe.row_count + ROW_COUNT_EXTRA)) * recipe.row_id_step);
	}

	//! Says stop at the question after `count`; 255: never.
	static std::function<bool()> StopAfter(uint8_t count) {
		return [count]() mutable { return count < 255 && count-- == 0; };
	}

	void Crash() {
		index.reset();
		disk = disk->Crash();
		IndexImage opened = image;
		opened.marker = named.marker;
		index = OpenFile(disk->OpenFile(), opened);
		rows = named.rows;
		published = named;
	}

	void Verify() {
		const std::vector<std::string> problems = FindProblems(*index);
		LMD_CHECK(problems.empty(), problems.front().c_str());
	}

	void CheckRows() {
		std::set<int64_t> present;
		for (const StoredRow &row : index->CollectRows()) {
			LMD_CHECK(present.insert(row.row_id.value).second, "a row is collected once");
			LMD_CHECK(rows.count(row.row_id.value) == 1, "a collected row was appended and not deleted");
		}
		LMD_CHECK(present.size() == rows.size(), "all rows are collected");
	}

	//! Takes all rows from a cursor: each is there once, and with exact distances the whole list is in order.
	void Search(const std::vector<float> &query) {
		SearchCursor cursor = index->Search(query.data(), rows.size() + 1, 10, 4);
		std::set<int64_t> found;
		const Metric metric = image.configuration.metric;
		const bool is_exact = image.configuration.vectors == VectorStorage::NATIVE;
		for (const Neighbor &neighbor : cursor.Next(rows.size() + 1)) {
			const auto row = rows.find(neighbor.row_id.value);
			LMD_CHECK(row != rows.end(), "a found row is present");
			LMD_CHECK(found.insert(neighbor.row_id.value).second, "a row is found once");
			const float distance = Distance(metric, query.data(), row->second.data(), recipe.dims);
			LMD_CHECK(!is_exact || distance == neighbor.distance, "a found row has its distance");
		}
		LMD_CHECK(found.size() == rows.size(), "a search that goes on finds all rows");
	}

	const IndexImage &image;
	const ImageRecipe &recipe;
	std::shared_ptr<SimDisk> disk;
	Rows rows;
	//! What the database names, and what was published last.
	State named;
	State published;
	std::shared_ptr<AnnIndex> index;
};

} // namespace

} // namespace lm_diskann::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	using namespace lm_diskann::fuzz;
	FuzzInput input(data, size);
	const size_t recipe = input.Take<uint8_t>() % Images().size();
	Machine(Images()[recipe], ImageRecipes()[recipe]).Run(input);
	return 0;
}
