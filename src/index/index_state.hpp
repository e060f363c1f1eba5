// What an open index consists of; shared by the files that implement AnnIndex, IndexBuilder and SearchCursor.
#pragma once

#include "graph/graph.hpp"
#include "index/ann_index.hpp"
#include "index/delta.hpp"
#include "index/row_set.hpp"

namespace lm_diskann {

//! The index's part of a meta page. On disk: all numbers little-endian.
struct StoredRoots {
	uint32_t version;
	uint32_t reserved;
	uint64_t node_count;
	//! Rows of the graph have ids below this.
	uint64_t graph_row_end;
	uint64_t covered_rows;
	double build_seconds;
	RadixRoot row_map;
	BlobRef quantizer;
	BlobRef entries;
	BlobRef delta;
	BlobRef tombstones;
	BlobRef unindexed;
};
static_assert(sizeof(StoredRoots) == 144);
static_assert(sizeof(StoredRoots) <= ROOTS_SIZE_MAX);

static constexpr uint32_t ROOTS_VERSION = 1;

//! Throws CorruptionError.
StoredRoots ReadRoots(ConstByteSpan bytes);
//! The pages of the row map: addresses are page ids. `file` outlives it.
RadixPageSpace RowMapSpace(PageFile &file);

//! Lock order: state_mutex -> page file and cache.
struct AnnIndex::Impl {
	Impl(const IndexConfiguration &configuration_p, std::unique_ptr<PageFile> file_p, Quantizer quantizer,
	     std::shared_ptr<PageCache> cache_p);
	~Impl();

	//! Which of the rows the graph holds, hidden or not. Reads the row map: throws FileError, CorruptionError.
	std::vector<bool> FindInGraph(Span<const RowId> row_ids) const;
	//! Hides whatever is known of the row; state_mutex is held.
	void Hide(RowId row_id);
	void Cover(RowId row_id) {
		stored.covered_rows = std::max(stored.covered_rows, uint64_t(row_id.value) + 1);
	}
	void MarkUnhealthy(const char *reason) noexcept;

	IndexConfiguration configuration;
	std::unique_ptr<PageFile> file;
	std::shared_ptr<PageCache> cache;
	//! Constant once the index serves.
	Graph graph;

	//! Guards everything below; searches share it.
	mutable std::shared_mutex state_mutex;
	//! Roots of the last publish; counters and covered rows are of the present.
	StoredRoots stored = {};
	Delta delta;
	RowSet tombstones;
	//! Rows that were offered without a vector that can be indexed.
	RowSet unindexed;
	bool is_delta_changed = false;
	bool is_tombstones_changed = false;
	bool is_unindexed_changed = false;
	bool is_unpublished = false;

	std::atomic<bool> is_healthy {true};
	//! A literal, so that a failure can be noted without memory.
	std::atomic<const char *> why {""};
	mutable IndexCounters counters;
};

} // namespace lm_diskann
