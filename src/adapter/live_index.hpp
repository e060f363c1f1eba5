// What the host's index object, bind data and running scans share of one index: the core, its file, and whether the
// index may be used.
//
// DuckDB destroys the index object under running queries (DROP, rollback of CREATE INDEX: lifecycle trap 12), so only
// this object is ever kept by others. A degraded index stays in place, answers no query, and lets every change pass.
#pragma once

#include "adapter/instance_state.hpp"
#include "adapter/marker.hpp"

#include "index/ann_index.hpp"

#include <memory>
#include <optional>

namespace duckdb {

//! Names as in the column "state" of lm_diskann_index_info().
enum class IndexState : uint8_t { READY, NEEDS_REBUILD, UNCONFIGURED, READ_ONLY_DEGRADED };
const char *IndexStateName(IndexState state);

//! Thread-safe. Holds no DuckDB object but the instance, which outlives every connection and so every holder.
class LiveIndex {
public:
	//! A built index. `file` is null for an index in RAM.
	LiveIndex(AttachedDatabase &db, string name_p, lm_diskann::IndexConfiguration configuration_p,
	          std::shared_ptr<lm_diskann::AnnIndex> core_p, std::shared_ptr<IndexFile> file_p);
	//! The index that DuckDB's metadata describe. Never throws: what cannot be opened is degraded, with the reason.
	static std::shared_ptr<LiveIndex> Open(AttachedDatabase &db, const string &name, const IndexStorageInfo &info);

	const string &Name() const {
		return name;
	}
	//! Unset only in state UNCONFIGURED.
	const std::optional<lm_diskann::IndexConfiguration> &Configuration() const {
		return configuration;
	}
	//! Null when the file could not be opened.
	const std::shared_ptr<lm_diskann::AnnIndex> &Core() const {
		return core;
	}
	const std::shared_ptr<IndexFile> &File() const {
		return file;
	}
	//! True: queries may use it. Notices a core that became unhealthy.
	bool IsReady();
	IndexState State() const {
		return state;
	}
	string Reason() const;
	//! From here on exact plans; the first call logs the warning.
	void Degrade(const string &reason_p) noexcept;
	//! The same for something found in its file, which the reason names.
	void DegradeForFile(const string &problem);
	//! Degrades when the table has rows that were never offered (lifecycle trap 3): `row_count` is the table's total.
	void RequireCoverage(uint64_t row_count);

	//! The changes of the host. A degraded index only counts rows. Never throw; what goes wrong degrades the index.
	void Append(const lm_diskann::VectorBatch &batch, lm_diskann::Span<const lm_diskann::RowId> null_row_ids) noexcept;
	void Delete(lm_diskann::Span<const lm_diskann::RowId> row_ids) noexcept;

	//! Publishes and returns the marker to store; an invalid one, never an exception, when that fails.
	IndexStorageInfo Publish(uint64_t iteration) noexcept;
	//! RAM beside the page cache.
	uint64_t MemoryBytes() const;

private:
	LiveIndex(AttachedDatabase &db, string name_p);
	void OpenFrom(AttachedDatabase &db, const IndexStorageInfo &info);
	void ConfirmUntil(uint64_t iteration);
	void AccountForMemory();
	void SetDegradedState() noexcept;

	DatabaseInstance &instance;
	const string name;
	const bool is_read_only;
	std::optional<lm_diskann::IndexConfiguration> configuration;
	std::shared_ptr<lm_diskann::AnnIndex> core;
	std::shared_ptr<IndexFile> file;
	MemoryShare memory;

	atomic<IndexState> state {IndexState::READY};
	//! Rows offered while the core is absent or degraded.
	atomic<uint64_t> covered_rows {0};
	mutable mutex lock;
	//! Guarded by `lock`.
	string reason;
	//! What DuckDB holds or is about to hold. Only the host's checkpoint and commit touch it, one at a time.
	IndexMarker marker;
	//! Generations published in a checkpoint and not confirmed yet, with the iteration they were published at.
	vector<std::pair<lm_diskann::Generation, uint64_t>> unconfirmed;
};

} // namespace duckdb
