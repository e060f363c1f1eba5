// What an open index consists of; shared by the files that implement AnnIndex, IndexBuilder and SearchCursor.
#pragma once

#include "graph/consolidate.hpp"
#include "graph/graph.hpp"
#include "index/ann_index.hpp"
#include "index/delta.hpp"
#include "index/row_set.hpp"
#include "storage/extent_set.hpp"

#include <cstddef>

namespace lm_diskann {

//! The index's part of a meta page. On disk: all numbers little-endian.
struct StoredRoots {
	uint32_t version;
	//! IP only: no vector of the graph is longer.
	float norm_max;
	//! Rows of the graph, hidden ones included.
	uint64_t node_count;
	//! Rows of the graph when it was built as a whole: what references and places in the file fit.
	uint64_t built_count;
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
	//! Extents of the pages of nodes.
	BlobRef node_pages;
	//! Extents of pages that no edge leads to any more; they are free once the file is opened anew.
	BlobRef retired_pages;
	//! Nodes whose row has another node.
	BlobRef cleared_nodes;
	//! Roots of version 1 end before it.
	BlobRef calibration;
};
static_assert(sizeof(StoredRoots) == 216);
static_assert(sizeof(StoredRoots) <= ROOTS_SIZE_MAX);

static constexpr uint32_t ROOTS_VERSION = 2;
static constexpr size_t ROOTS_SIZE_V1 = offsetof(StoredRoots, calibration);

//! Throws CorruptionError.
StoredRoots ReadRoots(ConstByteSpan bytes);
//! Every blob that `roots` lead to in `file`. Throws CorruptionError, FileError.
std::vector<BlobRef> BlobsOf(const StoredRoots &roots, const PageFile &file, const IndexConfiguration &configuration);
//! A blob that may be absent.
std::vector<uint8_t> ReadOptionalBlob(const PageFile &file, const BlobRef &blob);
//! The pages of the row map: addresses are page ids. `file` outlives it.
RadixPageSpace RowMapSpace(PageFile &file);

//! What searches hold while they run: a page that no edge leads to any more may be given to others only when every
//! search that began before is over. Each epoch holds the next one, so the last to go is the newest.
struct Epoch {
	std::shared_ptr<Epoch> next;
	//! Rows that were taken out at its end: a search of this epoch or an earlier one may have met their nodes before.
	RowSet removed_rows;
};

//! Pages that wait for the searches of an epoch to end.
struct RetiredPages {
	std::weak_ptr<Epoch> epoch;
	ExtentSet pages;
};

//! A compact under way.
struct CompactState {
	//! Nodes to take out.
	RowSet dead_nodes;
	//! Rows that were tombstones when it began. Those that came back have another node since.
	RowSet dead_rows;
	//! Some node that stays.
	NodeId live_node = NO_NODE;
	//! Pages as they were when it began, ascending.
	std::vector<Extent> pages;
	uint64_t page_count = 0;
	uint64_t pages_done = 0;
	size_t extent = 0;
	uint32_t place = 0;
	//! Of the call under way.
	std::atomic<uint64_t> batch_bytes {0};

	//! Beside the thread that goes on with it too.
	uint64_t MemoryBytes() const {
		return batch_bytes + dead_nodes.MemoryBytes() + dead_rows.MemoryBytes() + pages.capacity() * sizeof(Extent);
	}
};

//! Lock order: maintenance_mutex -> write_mutex -> state_mutex -> page file and cache.
struct AnnIndex::Impl {
	//! RAM for vectors of the delta: beyond the first bound a spill is due, at the second an Append does it itself.
	static constexpr uint64_t DELTA_BYTES_MAX = uint64_t(64) << 20;
	static constexpr uint64_t DELTA_BYTES_HARD_MAX = 2 * DELTA_BYTES_MAX;

	//! What a publish writes beside dirty pages: roots as they are at one moment, and what changed of the parts that
	//! are stored as a whole, each with the root that names it.
	struct Unpublished {
		StoredRoots roots = {};
		std::optional<DeltaSnapshot> delta;
		std::vector<std::pair<BlobRef StoredRoots::*, std::vector<uint8_t>>> parts;
	};

	Impl(const IndexConfiguration &configuration_p, std::unique_ptr<PageFile> file_p, Quantizer quantizer,
	     std::shared_ptr<PageCache> cache_p);
	~Impl();

	//! Which of the rows the graph holds, hidden or not. Reads the row map: throws FileError, CorruptionError.
	std::vector<bool> FindInGraph(Span<const RowId> row_ids) const;
	//! CorruptionError when a node holds a row id that the graph cannot have: the host must never see it.
	void CheckNodeRow(RowId row_id) const;
	//! Calls one of the two for each row in the index and not deleted, those of the graph first. Reads every node
	//! block. Takes write_mutex and state_mutex. Throws FileError, CorruptionError.
	void ForEachRow(const std::function<void(RowId, const NodeView &)> &visit_node,
	                const std::function<void(RowId, const uint8_t *)> &visit_delta);
	//! Rows of graph and delta, hidden ones included: as many as were counted, but no more than the file has room for.
	//! state_mutex is held.
	uint64_t StoredRowsMax() const;
	//! Hides whatever is known of the row; state_mutex is held.
	void Hide(RowId row_id);
	void Cover(RowId row_id) {
		stored.covered_rows = std::max(stored.covered_rows, uint64_t(row_id.value) + 1);
	}
	//! When the vectors of the delta take more than `bytes_max` of RAM: writes chunks of it to the file, until half of
	//! DELTA_BYTES_MAX is left. Throws FileError.
	void SpillDelta(uint64_t bytes_max);
	//! Writes what the snapshot has in RAM only, and takes note of it. write_mutex is held.
	void StoreDelta(DeltaSnapshot &snapshot);
	//! Everything that belongs to the next generation; state_mutex is held.
	Unpublished TakeUnpublished();
	//! Writes it to places of its own, which its roots name from then on. write_mutex is held.
	void WriteUnpublished(Unpublished &taken);
	//! state_mutex is held.
	IndexCounts Counts() const;
	//! All that it holds beside the cache and grows with rows. state_mutex is held.
	uint64_t MemoryBytes() const;
	void MarkUnhealthy(const char *reason) noexcept;
	//! Throws FileError after MarkUnhealthy: half of a batch may be in the file.
	void RequireHealthy() const;

	IndexConfiguration configuration;
	std::unique_ptr<PageFile> file;
	std::shared_ptr<PageCache> cache;
	//! Its entries are guarded by state_mutex.
	Graph graph;

	//! Held by a merge or a compact for as long as it takes.
	std::mutex maintenance_mutex;
	//! Held by whoever changes the file: for the short end of a batch, or for a publish. It makes that one the file's
	//! changing thread, and keeps every published state between two batches.
	std::mutex write_mutex;
	//! Guards everything below; searches share it. The only I/O under it are chunks of the delta that left
	//! RAM, and row map pages for rows that come again.
	mutable std::shared_mutex state_mutex;
	//! The present numbers and row map; its blobs are those of the last publish and guarded by write_mutex.
	StoredRoots stored = {};
	Delta delta;
	//! Rows of the graph that are not answers: deleted, or newer in the delta.
	RowSet tombstones;
	//! Rows of a merge that is being applied: their new nodes may be met and are not answers yet, not even of rows that
	//! were deleted from the delta meanwhile.
	RowSet arriving;
	//! Rows that were offered without a vector that can be indexed.
	RowSet unindexed;
	//! Nodes without a row that edges may lead to.
	RowSet cleared_nodes;
	//! Pages with nodes.
	ExtentSet node_pages;
	std::vector<RetiredPages> retired;
	std::shared_ptr<Epoch> epoch = std::make_shared<Epoch>();
	//! Merges since open: a search that saw another number has rows of the delta that are in the graph by now.
	uint64_t merge_count = 0;
	//! What a compact has to go on with.
	std::unique_ptr<CompactState> compact;
	bool is_delta_changed = false;
	bool is_tombstones_changed = false;
	bool is_unindexed_changed = false;
	//! Entries, node pages, retired pages or cleared nodes.
	bool is_graph_changed = false;
	Calibration calibration;
	bool is_calibration_changed = false;
	bool is_unpublished = false;

	//! What maintenance does, for whoever looks.
	std::atomic<Activity> activity {Activity::NONE};
	std::atomic<float> activity_share {0};
	//! Rows that the merges under way began with.
	std::atomic<uint64_t> merge_goal {0};

	std::atomic<bool> is_healthy {true};
	//! A literal, so that a failure can be noted without memory.
	std::atomic<const char *> why {""};
	mutable IndexCounters counters;
};

} // namespace lm_diskann
