// AnnIndex: the one class the adapter talks to. Graph on disk, delta in RAM, tombstones, publish and open.
//
// `Append` puts vectors into the delta, which every search scans exactly, and `Delete` sets a tombstone; both are O(1),
// in RAM, and become durable with the next Publish (between two of them the host's own log replays into us). `Merge`
// moves rows from the delta into the graph, `Compact` takes deleted rows out of it. A tombstone hides a row of the
// graph only, so a row id that comes back through Append after a Delete is found in the delta.
#pragma once

#include "graph/build.hpp"
#include "graph/search.hpp"
#include "index/calibration.hpp"
#include "index/options.hpp"
#include "index/row_set.hpp"
#include "storage/page_cache.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

namespace lm_diskann {

//! `count` vectors of one element type, row-major, and their row ids. Exactly one of the two pointers is set.
struct VectorBatch {
	const RowId *row_ids = nullptr;
	const float *floats = nullptr;
	const int8_t *bytes = nullptr;
	size_t count = 0;
};

//! True when the graph may hold the vector: all elements finite and, for COSINE, not all zero.
bool IsIndexable(Metric metric, const float *vector, size_t dims);
bool IsIndexable(Metric metric, const int8_t *vector, size_t dims);

//! One found row: exact distance as the metric defines it (squared for L2SQ).
struct Neighbor {
	float distance = 0;
	RowId row_id;
};

//! Counters since open, summed over finished searches and changes.
struct IndexCounters {
	std::atomic<uint64_t> queries {0}, blocks_read {0}, cache_hits {0}, hops {0}, distances_exact {0},
	    distances_estimated {0}, inserts {0}, deletes {0}, merges {0}, fallbacks {0}, blocks_written {0},
	    choice_distances {0};
};

//! How many rows there are, and how many of them are not as a build would have them.
struct IndexCounts {
	uint64_t row_count = 0; //!< indexed and not deleted: graph + delta - tombstones
	uint64_t delta_count = 0;
	uint64_t tombstone_count = 0;
	//! The delta takes more RAM than it should: SpillDelta is due.
	bool is_spill_due = false;
};

struct IndexSummary : IndexCounts {
	uint64_t unindexed_count = 0; //!< rows offered whose vector is NULL or not indexable
	uint64_t covered_rows = 0;    //!< highest row id ever offered + 1
	uint64_t file_size_bytes = 0;
	uint64_t cache_bytes = 0;
	uint64_t free_bytes = 0;   //!< of the file, between what is in use: Shrink gives them back
	uint64_t memory_bytes = 0; //!< delta, references, and sets of rows, those of a compact under way among them
	Generation generation;
	double build_seconds = 0;
};

//! How far a search came.
struct SearchProgress {
	//! Nodes visited, those of them whose rows are accepted, and those that are in the list.
	size_t visited = 0;
	size_t accepted = 0;
	size_t listed = 0;
};

//! A row of the index, and what its vector is known by.
struct StoredRow {
	RowId row_id;
	//! There the vector is as the column has it, in the graph perhaps rounded.
	uint64_t is_in_delta : 1;
	uint64_t checksum : 63;
};

//! A node as it is in the file, for a person to look at.
struct NodeSummary {
	NodeId node;
	PageId page;
	//! Unset: a node without a row, which searches only pass.
	std::optional<RowId> row_id;
	bool is_deleted = false;
	bool is_entry = false;
	std::vector<NodeId> neighbors;
	//! For each neighbour whether its edge only fills room.
	std::vector<bool> is_fill;
};

//! A node that a search visited.
struct TraceStep {
	NodeId node;
	//! The node visited before whose block named this one first; unset for an entry.
	std::optional<NodeId> from;
	std::optional<RowId> row_id;
	float distance = 0;
};

//! Rows of the graph that searches come to by luck, or not at all.
struct Reach {
	//! No way of edges leads to them from where searches begin.
	RowSet unreached;
	//! One does, but not of anchors: a change may take it.
	RowSet unanchored;
};

//! What the blocks of a file are used for.
struct FilePart {
	const char *name = "";
	uint64_t block_count = 0;
};

//! What is under way in the background or for a compact.
enum class Activity : uint8_t { NONE, MERGING, COMPACTING, SHRINKING };
struct ActivityProgress {
	Activity activity = Activity::NONE;
	//! 0..1.
	double share = 0;
};

class AnnIndex;

//! One query: a traversal that can be resumed. Holds the index alive. Belongs to one thread.
class SearchCursor {
public:
	~SearchCursor();
	SearchCursor(SearchCursor &&) noexcept;

	//! The next rows by ascending distance (graph and delta merged), at most `count`, none twice. A later call may
	//! return a row nearer than the last one returned: the list has grown since. Fewer than `count` rows: everything
	//! that can be reached was returned. Throws CorruptionError, FileError; then the cursor is of no further use.
	std::vector<Neighbor> Next(size_t count);
	//! From here on only rows that `accepts` is true for are returned, and the list holds `list_size` of them: the
	//! same traversal goes on, through all nodes. `accepts` must not change its mind.
	void SetFilter(std::function<bool(RowId)> accepts, uint32_t list_size);
	//! Goes on until the list is exhausted (true) or `visit_max` nodes were visited since the search began. Lets the
	//! caller give a traversal up that costs too much. Errors as Next.
	bool Advance(size_t visit_max);
	//! Makes the list at least so large; the next call goes on with it.
	void Widen(uint32_t list_size);
	//! Rows within `radius` (of the metric, squared for L2SQ) that this call found, in any order, none twice; for a
	//! cursor that is asked for nothing else. The list grows with what is found: all nodes that seem to be within the
	//! radius are visited, and L_search beyond them. Stops when `visit_max` nodes were visited since the search began;
	//! `is_complete`: there is nothing more to find. Errors as Next.
	std::vector<Neighbor> NextWithin(float radius, size_t visit_max, bool &is_complete);
	SearchProgress Progress() const;
	SearchCounters Counters() const;

private:
	friend class AnnIndex;
	struct Impl;
	explicit SearchCursor(std::unique_ptr<Impl> impl_p);
	std::unique_ptr<Impl> impl;
};

//! What a build may take.
struct BuildResources {
	//! Hard bound of the memory in bytes.
	uint64_t memory_max = UINT64_MAX;
	//! Told the bytes that the build holds, before they grow; throws when the host cannot spare them. Null: nobody
	//! asks.
	std::function<void(uint64_t bytes)> set_memory;
	//! A file for vectors that memory has no room for; the builder closes it, the host removes it. Null: there is none.
	std::function<std::unique_ptr<File>()> create_scratch;
};

//! Collects rows, then builds generation 1. Add may be called by several threads at once; Work as well, after Start.
class IndexBuilder {
public:
	explicit IndexBuilder(const IndexConfiguration &configuration, BuildResources resources = {});
	~IndexBuilder();

	//! The most that a build of `row_count` vectors has in memory while they lie in the scratch file.
	static uint64_t MemoryBytes(const IndexConfiguration &configuration, uint64_t row_count);

	//! Vectors that are not indexable are counted and left out. Rows may come in any order; none twice. Throws
	//! FileError, and MemoryError when even a build that keeps the vectors in the scratch file needs more memory.
	void Add(const VectorBatch &batch);
	//! Rows without a vector (NULL).
	void AddNull(Span<const RowId> row_ids);
	uint64_t RowCount() const;
	uint64_t UnindexableCount() const; //!< not NULL, but not finite (or zero under COSINE)

	//! Ends adding and takes over the empty `file`, into which Work writes.
	void Start(std::unique_ptr<File> file, const Uuid &uuid);
	//! Does a piece of the work, some milliseconds; call it from any number of threads until it says FINISHED. Same
	//! input and memory, same file, for any number of threads and any order of the rows; memory decides only how many
	//! bits of a dimension the distances are made of with which edges are chosen: 8, or 4 where these do not fit.
	WorkState Work();
	//! 0..1 over all phases, and the name of the current one.
	double Progress() const;
	const char *PhaseName() const;
	//! After FINISHED, once: the index, ready to serve; nothing is published yet.
	std::shared_ptr<AnnIndex> Finish(std::shared_ptr<PageCache> cache);

private:
	struct Impl;
	std::unique_ptr<Impl> impl;
};

//! Thread-safe unless said otherwise. Shared by the host's index object, bind data and cursors.
class AnnIndex : public std::enable_shared_from_this<AnnIndex> {
public:
	//! Opens exactly the state the marker names, in O(1): head, meta page, references, delta and tombstones.
	//! `expected` must equal the stored configuration. Throws CorruptionError with the reason.
	static std::shared_ptr<AnnIndex> Open(std::unique_ptr<File> file, const Marker &marker,
	                                      const IndexConfiguration &expected, std::shared_ptr<PageCache> cache);
	~AnnIndex();

	const IndexConfiguration &Configuration() const;
	IndexSummary Summary() const;
	//! Part of the summary, without any I/O.
	IndexCounts Counts() const;
	ActivityProgress CurrentActivity() const;
	IndexCounters &Counters() const;

	//! Upsert: a row id that is present is replaced (in the graph it is hidden). Not indexable vectors are counted and
	//! kept out, and hide any former vector of the row. Advances covered rows. Looks the rows up in the file first:
	//! FileError and CorruptionError come before any change. After std::bad_alloc the first rows may be in. Writes
	//! nothing, unless SpillDelta was not called for so long that 128 MiB of vectors wait in RAM.
	void Append(const VectorBatch &batch);
	//! Rows with NULL vectors: nothing but counting, hiding and covered rows. Errors as Append.
	void AppendNull(Span<const RowId> row_ids);
	//! Unknown ids are ignored. Never throws: on an internal failure the index becomes unhealthy.
	void Delete(Span<const RowId> row_ids) noexcept;
	uint64_t CoveredRows() const;
	//! Every row below `covered_rows` was offered (after build: rows appended meanwhile and NULLs included). Rows of
	//! the graph stay covered.
	void SetCoveredRows(uint64_t covered_rows);
	//! False after an internal failure or on a poisoned file; then Why() says so and no search may be trusted.
	bool IsHealthy() const;
	std::string Why() const;

	//! Starts a query. `query`: `dims` elements of the column's type widened to float, finite, and not zero for COSINE.
	//! `l_search` is raised to `k`; `beam_width` 1..64 blocks are read at once. The first `k` rows may be searched for
	//! with the adaptive limit of the calibration; with a `k` of 0, with a filter, and beyond `k`, the list decides.
	SearchCursor Search(const float *query, size_t k, uint32_t l_search, uint32_t beam_width);

	//! Moves up to `row_max` of the oldest rows of the delta into the graph, as one batch; true: more are left.
	//! `is_stopped` is asked often; once it says so the batch is given up, without an effect. Searches, changes and
	//! publishes go on meanwhile. Throws FileError, CorruptionError; then the index may be unhealthy.
	bool Merge(size_t row_max, const std::function<bool()> &is_stopped);
	//! Rows that a merge best takes at once: many, because a batch writes each block once, but within its memory.
	size_t MergeBatchRows() const;
	//! Writes the older rows of the delta to the file when their vectors take more than 64 MiB of RAM; searches read
	//! them from there. Merge begins with it. Throws FileError.
	void SpillDelta();
	//! Takes deleted rows out of the graph, whole: no edge and no code of them is left, and their pages become free.
	//! True: it was stopped, and the next call goes on where it was. Otherwise as Merge.
	bool Compact(const std::function<bool()> &is_stopped);
	//! Measures what searches find and cost, see GetCalibration. False: it was stopped, and nothing changed. Reads all
	//! blocks; searches, changes and publishes go on meanwhile. Throws FileError, CorruptionError.
	bool Calibrate(const std::function<bool()> &is_stopped);
	//! As it was measured last, here or before the file was closed; empty when it never was.
	Calibration GetCalibration() const;
	//! Moves what lies at the end of the file to free places before it: the file is cut when the generation that is
	//! published next is confirmed. True: it was stopped; the next call goes on. Otherwise as Merge.
	bool Shrink(const std::function<bool()> &is_stopped);
	//! Cuts the free end off the file, and overwrites what else it holds beyond the generations that may be opened.
	void Scrub();

	//! Reads blocks before searches want them and keeps them in the cache, as far as its share for that goes: the entry
	//! nodes', then those that the entries' blocks name most often. `is_stopped` is asked before every 16 of them.
	//! Counts as no query, and evicts nothing beyond that share. Throws FileError, CorruptionError.
	void WarmUp(const std::function<bool()> &is_stopped);

	//! Makes the present state durable as the next generation and returns its marker; the same marker again, without
	//! any I/O, when nothing changed. The caller excludes Append (not Delete: that has its own lock).
	Marker Publish();
	//! The host has durably named `generation`.
	void Confirm(Generation generation);
	bool HasUnpublishedChanges() const;

	//! Every violation found in file, graph, maps, delta, tombstones and the rows without a vector; empty when sound.
	//! Throws FileError.
	std::vector<std::string> Verify();
	//! Rows of a sound index that searches may miss. Reads every node block, a few times if there are any. Throws
	//! FileError, CorruptionError.
	Reach FindReach();
	//! The most that Verify, FindReach and CollectRows have in memory, one after the other.
	uint64_t VerifyMemoryBytes() const;
	//! To be looked at: at most `count` nodes with numbers from `first` on, ascending. Reads their blocks.
	std::vector<NodeSummary> ReadNodes(NodeId first, size_t count);
	//! The blocks a search visits, in its order, one at a time. Counts as no query.
	std::vector<TraceStep> Trace(const float *query, uint32_t list_size);
	std::vector<FilePart> FileParts();
	//! Rows in the index (graph without tombstones, and delta), ascending by id. Reads every node block.
	std::vector<StoredRow> CollectRows();
	//! Whether the index, when `row` was collected, had vector number `position` of `batch` for it, rounded as storing
	//! it does. Zero is zero, whatever its sign: a column may lose it.
	bool Holds(const StoredRow &row, const VectorBatch &batch, size_t position) const;

private:
	friend class Calibrator;
	friend class IndexBuilder;
	friend class IndexVerifier;
	friend class Maintenance;
	friend class SearchCursor;
	struct Impl;
	explicit AnnIndex(std::unique_ptr<Impl> impl_p);
	std::unique_ptr<Impl> impl;
};

} // namespace lm_diskann
