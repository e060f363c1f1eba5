// What the tests of changes share: an index over some of a set of vectors, on a simulated disk, as its host changes it.
#pragma once

#include "index/ann_index.hpp"
#include "sim/sim_file.hpp"
#include "unit/index_rows.hpp"
#include "unit/test_vectors.hpp"

#include <gtest/gtest.h>

namespace lm_diskann::dynamic_index_test {

inline constexpr uint32_t DIMS = 24;
inline constexpr size_t K = 10;
inline constexpr uint32_t LIST_SIZE = 24;
inline constexpr size_t BATCH_ROWS = 256;

//! An index over rows first .. first + count - 1 of `vectors`, whose row ids are their positions.
struct Subject {
	Subject(Metric metric, std::vector<float> &&vectors_p, size_t first, size_t count) = delete;
	Subject(Metric metric, const std::vector<float> &vectors_p, size_t first, size_t count)
	    : Subject(metric, vectors_p, first, count, nullptr) {
	}
	//! In `file`, or on a simulated disk.
	Subject(Metric metric, const std::vector<float> &vectors_p, size_t first, size_t count, std::unique_ptr<File> file)
	    : vectors(vectors_p), disk(SimDisk::Make(7)), cache(std::make_shared<PageCache>(uint64_t(8) << 20)) {
		IndexOptions options;
		options.metric = metric;
		configuration = Configure(options, ElementType::FLOAT32, DIMS);
		WithBatch(first, count, [&](const VectorBatch &batch) {
			index = BuildIndex(configuration, batch, file ? std::move(file) : disk->OpenFile(), cache);
		});
		marker = index->Publish();
	}

	template <class FUNCTION>
	void WithBatch(size_t first, size_t count, const FUNCTION &function) const {
		WithRows(vectors, DIMS, first, count, function);
	}
	void Append(size_t first, size_t count) const {
		WithBatch(first, count, [&](const VectorBatch &batch) { index->Append(batch); });
	}
	void Delete(size_t first, size_t count) const {
		WithBatch(first, count,
		          [&](const VectorBatch &batch) { index->Delete(Span<const RowId>(batch.row_ids, batch.count)); });
	}
	void MergeAll() const {
		while (index->Merge(BATCH_ROWS, Never)) {
		}
	}
	//! As the adapter does it for PRAGMA lm_diskann_compact.
	void CompactAndShrink() const {
		while (index->Compact(Never)) {
		}
		index->Confirm(index->Publish().generation);
		for (int round = 0; round < 2; round++) {
			while (index->Shrink(Never)) {
			}
			index->Confirm(index->Publish().generation);
		}
		index->Scrub();
	}

	//! Mean recall@K of `queries` among rows first .. first + count - 1.
	double Recall(const std::vector<float> &queries, size_t first, size_t count) const {
		const std::vector<float> live(vectors.begin() + long(first * DIMS),
		                              vectors.begin() + long((first + count) * DIMS));
		size_t hits = 0;
		const size_t query_count = queries.size() / DIMS;
		for (size_t q = 0; q < query_count; q++) {
			const float *query = queries.data() + q * DIMS;
			std::set<int64_t> exact;
			for (const size_t position : ExactNearest(configuration.metric, live, DIMS, query, K)) {
				exact.insert(int64_t(first + position));
			}
			for (const Neighbor &neighbor : index->Search(query, K, LIST_SIZE, 4).Next(K)) {
				EXPECT_GE(neighbor.row_id.value, int64_t(first));
				EXPECT_LT(neighbor.row_id.value, int64_t(first + count));
				hits += exact.count(neighbor.row_id.value);
			}
		}
		return double(hits) / double(query_count * K);
	}

	IndexConfiguration configuration;
	const std::vector<float> &vectors;
	std::shared_ptr<SimDisk> disk;
	std::shared_ptr<PageCache> cache;
	std::shared_ptr<AnnIndex> index;
	Marker marker;
};

} // namespace lm_diskann::dynamic_index_test
