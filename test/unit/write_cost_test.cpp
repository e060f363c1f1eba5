// Property: what changes cost in written pages follows from the change, not from the index, and does not get worse
// unnoticed: the counters are pinned in test/baseline/write_cost.json. After an intended change the test's output is
// the next baseline.
#include "base/random.hpp"
#include "index/ann_index.hpp"
#include "unit/counting_file.hpp"
#include "unit/index_rows.hpp"
#include "unit/test_vectors.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

namespace lm_diskann {
namespace {

constexpr uint32_t DIMS = 32;
//! Kernels of another machine may round another way and choose another edge.
constexpr double TOLERANCE = 0.05;

class Subject {
public:
	explicit Subject(size_t row_count_p)
	    : vectors(MakeClusteredVectors(row_count_p + 5000, DIMS, 3)), row_count(row_count_p), next_row(row_count_p) {
		WithBatch(0, row_count, [&](const VectorBatch &batch) {
			index = BuildIndex(Configure(IndexOptions(), ElementType::FLOAT32, DIMS), batch,
			                   std::make_unique<CountingFile>(written_bytes),
			                   std::make_shared<PageCache>(uint64_t(256) << 20));
		});
		PublishedBytes();
	}

	template <class FUNCTION>
	void WithBatch(size_t first, size_t count, const FUNCTION &function) const {
		WithRows(vectors, DIMS, first, count, function);
	}
	void Append(size_t count) {
		WithBatch(next_row, count, [&](const VectorBatch &batch) { index->Append(batch); });
		next_row += count;
	}
	//! Deletes rows all over the index.
	void Delete(size_t count) const {
		for (size_t i = 0; i < count; i++) {
			const RowId row_id(int64_t(i * (row_count / count)));
			index->Delete(Span<const RowId>(&row_id, 1));
		}
	}
	void MergeAll() const {
		while (index->Merge(index->MergeBatchRows(), Never)) {
		}
	}
	void CompactAll() const {
		while (index->Compact(Never)) {
		}
	}
	uint64_t PublishedBytes() {
		const uint64_t before = written_bytes;
		index->Confirm(index->Publish().generation);
		return written_bytes - before;
	}
	uint64_t BlocksWritten() const {
		return index->Counters().blocks_written;
	}

private:
	uint64_t written_bytes = 0;
	std::vector<float> vectors;
	size_t row_count;
	size_t next_row;
	std::shared_ptr<AnnIndex> index;
};

using Costs = std::map<std::string, double>;

std::string ToJson(const Costs &costs) {
	std::ostringstream text;
	text << "{\n";
	for (auto cost = costs.begin(); cost != costs.end(); ++cost) {
		text << "\t\"" << cost->first << "\": " << cost->second << (std::next(cost) == costs.end() ? "\n" : ",\n");
	}
	text << "}\n";
	return text.str();
}

//! One `"name": number` a line.
Costs ReadBaseline(const std::string &path) {
	std::ifstream stream(path);
	Costs costs;
	for (std::string line; std::getline(stream, line);) {
		const size_t begin = line.find('"');
		const size_t end = line.find("\": ");
		if (begin != std::string::npos && end != std::string::npos) {
			costs[line.substr(begin + 1, end - begin - 1)] = std::stod(line.substr(end + 3));
		}
	}
	return costs;
}

TEST(WriteCost, BlocksForARowAreThoseOfTheBaseline) {
	constexpr size_t ROWS = 4000;
	Costs costs;
	for (const size_t count : {size_t(1), size_t(100), size_t(5000)}) {
		Subject subject(ROWS);
		const std::string suffix = " of " + std::to_string(count);
		subject.Append(count);
		costs["bytes published an unmerged row" + suffix] = double(subject.PublishedBytes()) / double(count);
		const uint64_t before = subject.BlocksWritten();
		subject.MergeAll();
		costs["blocks an inserted row" + suffix] = double(subject.BlocksWritten() - before) / double(count);
		costs["bytes published a merged row" + suffix] = double(subject.PublishedBytes()) / double(count);
	}
	for (const size_t count : {size_t(1), size_t(100), size_t(2000)}) {
		Subject subject(ROWS);
		const std::string suffix = " of " + std::to_string(count);
		subject.Delete(count);
		costs["bytes published a deleted row" + suffix] = double(subject.PublishedBytes()) / double(count);
		const uint64_t before = subject.BlocksWritten();
		subject.CompactAll();
		costs["blocks a deleted row" + suffix] = double(subject.BlocksWritten() - before) / double(count);
	}
	const Costs baseline = ReadBaseline(std::string(LMD_TEST_DATA) + "/../baseline/write_cost.json");
	bool is_same = baseline.size() == costs.size();
	for (const auto &[name, cost] : costs) {
		const auto pinned = baseline.find(name);
		is_same = is_same && pinned != baseline.end() && std::abs(cost - pinned->second) <= TOLERANCE * pinned->second;
	}
	EXPECT_TRUE(is_same) << ToJson(costs);
}

TEST(WriteCost, APublishCostsWhatChangedWhateverTheIndexHolds) {
	const auto cost_of = [](size_t row_count, bool is_merged) {
		Subject subject(row_count);
		subject.Append(100);
		if (is_merged) {
			subject.MergeAll();
		}
		return subject.PublishedBytes();
	};
	constexpr size_t SMALL = 2000, LARGE = 6000;
	// Head, directory and free list are some pages; 100 rows of 128 bytes are four.
	EXPECT_LE(cost_of(LARGE, false), cost_of(SMALL, false) + 2 * 4096);
	EXPECT_LE(cost_of(LARGE, false), uint64_t(16) * 4096);
	// Merged, each row changes as many blocks; in a larger index they lie further apart, with more pages of the map.
	EXPECT_LE(cost_of(LARGE, true), cost_of(SMALL, true) * 3);
}

//! Rows of no structure, whose lists are full soon. Distances for choosing edges grow with R, not with its square.
TEST(WriteCost, ABackEdgeToAFullBlockTakesDistancesToItsNeighboursAlone) {
	constexpr uint32_t WIDE_DIMS = 64, MAX_DEGREE = 48;
	constexpr size_t BUILT = 400, FILLING = 1200, COUNTED = 60;
	std::vector<float> vectors((BUILT + FILLING + COUNTED) * WIDE_DIMS);
	Random random(17);
	for (float &number : vectors) {
		number = float(random.Next() % 1000) / 1000;
	}
	IndexOptions options;
	options.max_degree = MAX_DEGREE;
	std::shared_ptr<AnnIndex> index;
	WithRows(vectors, WIDE_DIMS, 0, BUILT, [&](const VectorBatch &rows) {
		index = BuildIndex(Configure(options, ElementType::FLOAT32, WIDE_DIMS), rows);
	});
	const auto merge = [&](size_t first, size_t count) {
		WithRows(vectors, WIDE_DIMS, first, count, [&](const VectorBatch &rows) { index->Append(rows); });
		while (index->Merge(count, Never)) {
		}
	};
	merge(BUILT, FILLING);
	const uint64_t distances_before = index->Counters().choice_distances;
	const uint64_t blocks_before = index->Counters().blocks_written;
	merge(BUILT + FILLING, COUNTED);
	const uint64_t distances = index->Counters().choice_distances - distances_before;
	const uint64_t blocks = index->Counters().blocks_written - blocks_before;
	EXPECT_GT(distances, blocks) << "no block was full";
	EXPECT_LE(distances, blocks * MAX_DEGREE * 5) << blocks << " blocks";
}

} // namespace
} // namespace lm_diskann
