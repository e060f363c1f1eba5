// Property: whatever is merged into a small graph and taken out of it, anchors lead from the entries to each row. The
// data are those where few rows have nearly all edges: around hubs, copies of few vectors, clusters far apart; and with
// few edges a block. A compact is stopped anywhere, and batches are merged before it goes on, or after the index was
// opened anew and nobody knows of it.
#include "base/random.hpp"
#include "sim/sim_file.hpp"
#include "unit/index_rows.hpp"

#include <cmath>
#include <gmock/gmock.h>

namespace lm_diskann {
namespace {

using testing::IsEmpty;

constexpr size_t ROW_COUNT = 900;
//! A block is one node with the second: a compact may be stopped each 64 blocks.
constexpr size_t DIMS = 16, DIMS_OF_A_BLOCK = 520;

enum class Shape { HUBS, COPIES, CLUSTERS };

std::vector<float> MakeVectors(Shape shape, size_t dims, Random &random) {
	const auto uniform = [&] { return float(random.Next() % 20001) / 10000 - 1; };
	std::vector<float> vectors;
	for (size_t row = 0; row < ROW_COUNT; row++) {
		const bool is_hub = shape == Shape::HUBS && row % 150 == 0;
		const size_t group = shape == Shape::HUBS ? row / 150 : shape == Shape::COPIES ? random.Next() % 7 : row % 9;
		Random center(group);
		std::vector<float> offset(dims);
		float norm = 0;
		for (float &value : offset) {
			value = uniform();
			norm += value * value;
		}
		for (size_t i = 0; i < dims; i++) {
			const float middle = float(center.Next() % 100);
			const float scale = is_hub || shape == Shape::COPIES ? 0 : shape == Shape::HUBS ? 10 / std::sqrt(norm) : 1;
			vectors.push_back(middle + scale * offset[i]);
		}
	}
	return vectors;
}

class ChangedIndex {
public:
	ChangedIndex(Shape shape, uint32_t max_degree, size_t dims_p, uint64_t seed)
	    : dims(dims_p), random(seed), vectors(MakeVectors(shape, dims, random)) {
		IndexOptions options;
		options.max_degree = max_degree;
		options.l_build = 20;
		WithRows(vectors, dims, 0, 1 + random.Next() % 60, [&](const VectorBatch &rows) {
			index = BuildIndex(Configure(options, ElementType::FLOAT32, uint32_t(dims)), rows, disk->OpenFile(), cache);
			appended = rows.count;
		});
	}

	//! One of the changes that a host makes.
	void Change() {
		switch (random.Next() % 4) {
		case 0:
		case 1:
			Append(random.Next() % 150);
			break;
		case 2:
			Delete();
			break;
		default:
			CompactSome();
		}
	}
	//! One of those, or one after which a graph hangs by little.
	void ChangeALot() {
		switch (random.Next() % 6) {
		case 0:
			DeleteAllButSome();
			break;
		case 1:
			OpenAnew();
			break;
		default:
			Change();
		}
	}
	void Settle() {
		while (index->Compact(Never)) {
		}
	}
	AnnIndex &Index() {
		return *index;
	}

private:
	void Append(size_t count) {
		// Ids come again: their former nodes are cleared.
		const size_t first = random.Next() % 3 == 0 ? random.Next() % appended : appended;
		count = std::min(count, ROW_COUNT - first);
		WithRows(vectors, dims, first, count, [&](const VectorBatch &rows) { index->Append(rows); });
		appended = std::max(appended, first + count);
		while (index->Merge(1 + random.Next() % 200, Never)) {
		}
	}
	//! A range of rows, or any of them.
	void Delete() {
		const size_t first = random.Next() % appended, share = 1 + random.Next() % 4;
		for (size_t row = first; row < std::min(appended, first + 200); row++) {
			const RowId row_id(int64_t(share == 4 ? random.Next() % appended : row));
			if (random.Next() % share == 0) {
				index->Delete(Span<const RowId>(&row_id, 1));
			}
		}
	}
	void DeleteAllButSome() {
		const size_t first = random.Next() % appended, count = random.Next() % 4;
		for (size_t row = 0; row < appended; row++) {
			const RowId row_id = RowId(int64_t(row));
			if (row < first || row >= first + count) {
				index->Delete(Span<const RowId>(&row_id, 1));
			}
		}
	}
	void OpenAnew() {
		const IndexConfiguration configuration = index->Configuration();
		const Marker marker = index->Publish();
		index.reset();
		index = AnnIndex::Open(disk->OpenFile(), marker, configuration, cache);
	}
	void CompactSome() {
		size_t questions = random.Next() % 6;
		index->Compact([&] { return questions-- == 0; });
	}

	size_t dims;
	Random random;
	std::vector<float> vectors;
	std::shared_ptr<SimDisk> disk = SimDisk::Make(1);
	std::shared_ptr<PageCache> cache = std::make_shared<PageCache>(uint64_t(64) << 20);
	std::shared_ptr<AnnIndex> index;
	size_t appended = 0;
};

template <class CHANGE>
void ExpectAllRowsAnchored(const std::vector<uint64_t> &seeds, size_t dims, const std::vector<uint32_t> &degrees,
                           size_t round_count, const CHANGE &change) {
	for (const Shape shape : {Shape::HUBS, Shape::COPIES, Shape::CLUSTERS}) {
		for (const uint32_t max_degree : degrees) {
			for (const uint64_t seed : seeds) {
				SCOPED_TRACE("shape " + std::to_string(int(shape)) + ", R " + std::to_string(max_degree) + ", seed " +
				             std::to_string(seed));
				ChangedIndex changed(shape, max_degree, dims, seed);
				for (size_t round = 0; round < round_count; round++) {
					change(changed);
					ASSERT_THAT(FindProblems(changed.Index()), IsEmpty()) << "round " << round;
				}
				changed.Settle();
				ASSERT_THAT(FindProblems(changed.Index()), IsEmpty());
			}
		}
	}
}

TEST(ReachOfAChangedIndex, IsAllRowsByAnchorsAlone) {
	ExpectAllRowsAnchored({0, 1, 2, 3, 43, 90}, DIMS, {4, 6, 16}, 16, [](ChangedIndex &index) { index.Change(); });
}

TEST(ReachOfAChangedIndex, IsAllRowsWhileACompactWaits) {
	ExpectAllRowsAnchored({4, 15, 22, 32, 33, 50}, DIMS_OF_A_BLOCK, {4, 6}, 30,
	                      [](ChangedIndex &index) { index.ChangeALot(); });
}

} // namespace
} // namespace lm_diskann
