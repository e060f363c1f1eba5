// Property: whatever is merged into a small graph and taken out of it, anchors lead from the entries to each row. The
// data are those where few rows have nearly all edges: around hubs, copies of few vectors, clusters far apart; and with
// few edges a block. A compact is stopped at any page, and batches are merged before it goes on.
#include "base/random.hpp"
#include "unit/index_rows.hpp"

#include <cmath>
#include <gmock/gmock.h>

namespace lm_diskann {
namespace {

using testing::IsEmpty;

constexpr size_t DIMS = 16, ROW_COUNT = 900, ROUNDS = 16;

enum class Shape { HUBS, COPIES, CLUSTERS };

std::vector<float> MakeVectors(Shape shape, Random &random) {
	const auto uniform = [&] { return float(random.Next() % 20001) / 10000 - 1; };
	std::vector<float> vectors;
	for (size_t row = 0; row < ROW_COUNT; row++) {
		const bool is_hub = shape == Shape::HUBS && row % 150 == 0;
		const size_t group = shape == Shape::HUBS ? row / 150 : shape == Shape::COPIES ? random.Next() % 7 : row % 9;
		Random center(group);
		std::vector<float> offset(DIMS);
		float norm = 0;
		for (float &value : offset) {
			value = uniform();
			norm += value * value;
		}
		for (size_t i = 0; i < DIMS; i++) {
			const float middle = float(center.Next() % 100);
			const float scale = is_hub || shape == Shape::COPIES ? 0 : shape == Shape::HUBS ? 10 / std::sqrt(norm) : 1;
			vectors.push_back(middle + scale * offset[i]);
		}
	}
	return vectors;
}

class ChangedIndex {
public:
	ChangedIndex(Shape shape, uint32_t max_degree, uint64_t seed) : random(seed), vectors(MakeVectors(shape, random)) {
		IndexOptions options;
		options.max_degree = max_degree;
		options.l_build = 20;
		WithRows(vectors, DIMS, 0, 1 + random.Next() % 60, [&](const VectorBatch &rows) {
			index = BuildIndex(Configure(options, ElementType::FLOAT32, DIMS), rows);
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
		WithRows(vectors, DIMS, first, count, [&](const VectorBatch &rows) { index->Append(rows); });
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
	void CompactSome() {
		size_t questions = random.Next() % 6;
		index->Compact([&] { return questions-- == 0; });
	}

	Random random;
	std::vector<float> vectors;
	std::shared_ptr<AnnIndex> index;
	size_t appended = 0;
};

TEST(ReachOfAChangedIndex, IsAllRowsByAnchorsAlone) {
	for (const Shape shape : {Shape::HUBS, Shape::COPIES, Shape::CLUSTERS}) {
		for (const uint32_t max_degree : {4U, 6U, 16U}) {
			for (const uint64_t seed : {0, 1, 2, 3, 43, 90}) {
				SCOPED_TRACE("shape " + std::to_string(int(shape)) + ", R " + std::to_string(max_degree) + ", seed " +
				             std::to_string(seed));
				ChangedIndex changed(shape, max_degree, seed);
				for (size_t round = 0; round < ROUNDS; round++) {
					changed.Change();
					ASSERT_THAT(FindProblems(changed.Index()), IsEmpty()) << "round " << round;
				}
				changed.Settle();
				ASSERT_THAT(FindProblems(changed.Index()), IsEmpty());
			}
		}
	}
}

} // namespace
} // namespace lm_diskann
