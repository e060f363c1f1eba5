// A host of one index, as DuckDB is one: it names generations, keeps a log of the changes since, dies and replays.
//
// The host knows what it asked for (RowModel). After each call it holds the contract of AnnIndex against what happened:
// an error needs a fault of the file, a failed change of the file makes the index unhealthy, a failed append changes
// nothing, and what succeeds is right. Only FileError and CorruptionError are caught: anything else is a violation.
#pragma once

#include "sim/row_model.hpp"
#include "sim/sim_file.hpp"

#include <functional>

namespace lm_diskann {

//! Throws SimViolation from every method. One thread.
class IndexHost {
public:
	IndexHost(uint64_t seed, const IndexConfiguration &configuration_p);

	// --- calls; false: it failed, as a fault of the file allows -----------------------------------------------------

	//! CREATE INDEX over `rows`; `appended` come in while it builds. Names generation 1.
	bool Create(const std::vector<HostRow> &rows, const HostChange &appended);
	//! Changes the table; logged when the index took it.
	bool Change(const HostChange &change);
	//! Publishes, and names the generation if `is_named`.
	bool Publish(bool is_named);
	//! Merges up to `row_max` rows of the delta; gives up when `is_stopped` says so.
	bool Merge(size_t row_max, const std::function<bool()> &is_stopped);
	//! Takes deleted rows out of the graph, in one go or until `is_stopped`.
	bool Compact(const std::function<bool()> &is_stopped);
	bool Shrink(const std::function<bool()> &is_stopped);
	//! Tells the index that `generation`, or the last named one, is durable.
	void Confirm(Generation generation);
	bool Search(const std::vector<float> &query, size_t k, uint32_t list_size);
	//! Row ids, counts and all pages are read; what comes back is right.
	bool ReadAll(const std::vector<float> &query);

	// --- lives ------------------------------------------------------------------------------------------------------

	enum class End { CLOSE, CRASH };
	//! Ends the process, opens the named generation with another cache, holds it against what was named, replays the
	//! log (or finds it lost) and holds it against what was asked for. A fault that is injected already may hit the
	//! opening.
	void Restart(End end, bool is_log_lost, uint64_t cache_bytes);
	//! An empty disk takes the place of one on which Create failed.
	void EraseDisk();
	//! Everything at rest: the index equals the model. Heals the disk.
	void CheckAll();
	//! Another host, on a copy of the disk, that opens what this one named.
	IndexHost Fork(uint64_t seed) const;

	SimDisk &Disk() {
		return *disk;
	}
	AnnIndex *Index() {
		return index.get();
	}
	PageCache &Cache() {
		return *cache;
	}
	const RowModel &Rows() const {
		return rows;
	}
	Generation Named() const {
		return named->first.generation;
	}
	//! Faults and crashes; including those of disks that are gone.
	SimTotals Totals() const;

private:
	//! Runs `call`; false when it threw what a fault may make it throw.
	bool Attempt(const std::function<void()> &call);
	void Open();
	std::vector<float> MakeQuery();

	IndexConfiguration configuration;
	std::mt19937_64 random;
	std::shared_ptr<SimDisk> disk;
	std::shared_ptr<PageCache> cache;
	std::shared_ptr<AnnIndex> index;
	RowModel rows;
	//! What the database's metadata name.
	std::optional<std::pair<Marker, RowModel>> named;
	//! Changes since the named generation.
	std::vector<HostChange> log;
	SimTotals totals;
};

} // namespace lm_diskann
