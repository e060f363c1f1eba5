// What the host's index object, bind data and running scans share of one index: the core, its file, and whether the
// index may be used.
//
// DuckDB destroys the index object under running queries (DROP, rollback of CREATE INDEX: lifecycle trap 12), so only
// this object is ever kept by others. A degraded index stays in place, answers no query, and lets every change pass.
#pragma once

#include "adapter/instance_state.hpp"
#include "adapter/marker.hpp"
#include "adapter/vector_rows.hpp"

#include "duckdb/common/atomic.hpp"

#include "index/ann_index.hpp"

#include <memory>
#include <optional>

namespace duckdb {

//! Names as in the column "state" of lm_diskann_index_info().
enum class IndexState : uint8_t { READY, CATCHING_UP, NEEDS_REBUILD, UNCONFIGURED, READ_ONLY_DEGRADED };
const char *IndexStateName(IndexState state);

//! Thread-safe. Holds no DuckDB object but the instance, which outlives every connection and so every holder.
class LiveIndex {
public:
	//! A built index. `file` is null for an index in RAM.
	LiveIndex(AttachedDatabase &db, string name_p, lm_diskann::IndexConfiguration configuration_p,
	          std::shared_ptr<lm_diskann::AnnIndex> core_p, std::shared_ptr<IndexFile> file_p);
	//! The index that DuckDB's metadata describe. Never throws: what cannot be opened is degraded, with the reason.
	//! `column` is unset for a type that no index of this kind can have.
	static std::shared_ptr<LiveIndex> Open(AttachedDatabase &db, const string &name, const IndexStorageInfo &info,
	                                       const std::optional<VectorColumnType> &column);

	const string &Name() const {
		return name;
	}
	//! Unset only in state UNCONFIGURED.
	const std::optional<lm_diskann::IndexConfiguration> &Configuration() const {
		return configuration;
	}
	//! Null when the file could not be opened. A rebuild puts another in its place: keep what a query works with.
	std::shared_ptr<lm_diskann::AnnIndex> Core() const;
	//! Null for an index in RAM.
	std::shared_ptr<IndexFile> File() const;
	//! That file and those it replaced, as long as DuckDB's durable metadata may name them.
	vector<std::shared_ptr<IndexFile>> Files() const;

	//! True: queries may use it. Notices a core that became unhealthy.
	bool IsReady();
	IndexState State() const {
		return state;
	}
	string Reason() const;
	//! From here on exact plans; the first call logs the warning.
	void Degrade(const string &reason_p) noexcept;
	//! The same for something found in the file of `found_in`, unless another core has taken its place.
	void DegradeForFile(const lm_diskann::AnnIndex *found_in, const string &problem);
	//! Notices rows of the table that were never offered (lifecycle trap 3): `row_count` is the table's total.
	void RequireCoverage(uint64_t row_count);

	//! The changes of the host. A degraded index only counts rows. Never throw; what goes wrong degrades the index.
	void Append(const lm_diskann::VectorBatch &batch, lm_diskann::Span<const lm_diskann::RowId> null_row_ids) noexcept;
	void Delete(lm_diskann::Span<const lm_diskann::RowId> row_ids) noexcept;

	//! Publishes and returns the marker to store; an invalid one, never an exception, when that fails.
	IndexStorageInfo Publish(uint64_t iteration) noexcept;
	//! The host lets go of the index: background work on it ends.
	void Close() noexcept;
	//! Asks for background work, due or not.
	void RequestMaintenance() noexcept;
	//! True: so much has changed that building anew is cheaper than merging, and nobody refused it.
	bool IsRebuildDue() const;
	//! Building anew failed or is not wanted: background work merges, whatever it costs.
	void RefuseRebuild() noexcept;
	//! 0..1 while the index is healed or rebuilt; none otherwise.
	std::optional<double> HealingProgress() const;
	//! RAM beside the page cache.
	uint64_t MemoryBytes() const;
	//! Tells DuckDB of it.
	void AccountForMemory();

	//! The right to heal the index, held by one thread at a time (heal.hpp).
	class Healing {
	public:
		explicit Healing(std::shared_ptr<LiveIndex> index_p) : index(std::move(index_p)) {
		}
		~Healing();
		Healing(const Healing &) = delete;
		Healing &operator=(const Healing &) = delete;

		//! 0..1, for whoever looks.
		void SetProgress(double share) {
			index->healing_share = share;
		}
		//! Ends CATCHING_UP: every row was offered. Under the table's append lock.
		void FinishCatchUp();
		//! Puts a rebuilt index into place. Rows from `row_count_at_start` on are as `core` has them; of those below
		//! it, the deletes since the healing began are applied. Under the table's append lock.
		void FinishRebuild(std::shared_ptr<lm_diskann::AnnIndex> core, std::shared_ptr<IndexFile> file,
		                   uint64_t row_count_at_start);

	private:
		std::shared_ptr<LiveIndex> index;
	};
	//! Null when there is nothing to heal, when the present reason was tried before, or while another thread is at it.
	//! `is_demanded`: a ready index, too, and a reason that was tried.
	static unique_ptr<Healing> BeginHealing(const std::shared_ptr<LiveIndex> &index, bool is_demanded);

private:
	LiveIndex(AttachedDatabase &db, string name_p);
	void OpenFrom(AttachedDatabase &db, const IndexStorageInfo &info, const std::optional<VectorColumnType> &column);
	void ConfirmUntil(uint64_t iteration);
	//! A core came, or came back: background work may be due. `lock` is held.
	void MaintainCore();
	void OfferMaintenance() noexcept;
	void Leave(IndexState next, const string &reason_p, const char *consequence) noexcept;
	void SetDegradedState() noexcept;
	void CountRows(uint64_t covered) noexcept;

	DatabaseInstance &instance;
	const string name;
	const bool is_read_only;
	std::optional<lm_diskann::IndexConfiguration> configuration;

	atomic<IndexState> state {IndexState::READY};
	//! Rows offered while the core is absent or degraded.
	atomic<uint64_t> covered_rows {0};

	//! Held while a publish writes and while a rebuilt core is put into place. Comes before `lock`.
	mutable mutex publish_lock;
	//! What DuckDB holds or is about to hold. Guarded by `publish_lock`, as the next two.
	IndexMarker marker;
	//! Generations published in a checkpoint and not confirmed yet, with the iteration they were published at.
	vector<std::pair<lm_diskann::Generation, uint64_t>> unconfirmed;
	//! Files that a rebuild replaced: DuckDB's durable metadata may name them until a checkpoint after `iteration`.
	struct RetiredFile {
		std::shared_ptr<IndexFile> file;
		std::optional<uint64_t> iteration;
	};
	vector<RetiredFile> retired;

	mutable mutex lock;
	//! Guarded by `lock`, like the rest.
	std::shared_ptr<lm_diskann::AnnIndex> core;
	std::shared_ptr<IndexFile> file;
	//! What the core takes of DuckDB's memory; set with it.
	std::shared_ptr<MemoryShare> memory;
	//! The core as background work sees it.
	std::shared_ptr<MaintainedIndex> maintained;
	string reason;
	string tried_reason;
	atomic<bool> is_healing {false};
	atomic<double> healing_share {0};
	//! Rows deleted while the index is healed.
	vector<lm_diskann::RowId> deleted_rows;
};

} // namespace duckdb
