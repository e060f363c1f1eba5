#include "adapter/live_index.hpp"

#include "adapter/errors.hpp"

#include "base/error.hpp"

#include "duckdb/logging/log_manager.hpp"
#include "duckdb/main/attached_database.hpp"
#include "duckdb/main/database.hpp"

namespace duckdb {

const char *IndexStateName(IndexState state) {
	switch (state) {
	case IndexState::READY:
		return "ready";
	case IndexState::NEEDS_REBUILD:
		return "needs_rebuild";
	case IndexState::UNCONFIGURED:
		return "unconfigured";
	case IndexState::READ_ONLY_DEGRADED:
		return "read_only_degraded";
	}
	throw InternalException("LM_DISKANN: unknown index state");
}

LiveIndex::LiveIndex(AttachedDatabase &db, string name_p)
    : instance(db.GetDatabase()), name(std::move(name_p)), is_read_only(db.IsReadOnly()),
      memory(InstanceState::Get(instance)->Account()) {
}

LiveIndex::LiveIndex(AttachedDatabase &db, string name_p, lm_diskann::IndexConfiguration configuration_p,
                     std::shared_ptr<lm_diskann::AnnIndex> core_p, std::shared_ptr<IndexFile> file_p)
    : LiveIndex(db, std::move(name_p)) {
	configuration = configuration_p;
	core = std::move(core_p);
	file = std::move(file_p);
	marker.configuration = configuration_p;
	marker.file_name = file ? file->FileName() : string();
}

std::shared_ptr<LiveIndex> LiveIndex::Open(AttachedDatabase &db, const string &name, const IndexStorageInfo &info) {
	std::shared_ptr<LiveIndex> index(new LiveIndex(db, name));
	try {
		index->OpenFrom(db, info);
	} catch (...) {
		index->core.reset();
		index->Degrade(HandledErrorText());
	}
	return index;
}

void LiveIndex::OpenFrom(AttachedDatabase &db, const IndexStorageInfo &info) {
	string problem;
	auto stored = ReadMarker(info, problem);
	if (!stored) {
		state = IndexState::UNCONFIGURED;
		Degrade(problem);
		return;
	}
	marker = *stored;
	configuration = marker.configuration;
	covered_rows = marker.covered_rows;
	if (!HasIndexFiles(db)) {
		Degrade("it was copied from a database on disk without its file; drop it and create it again");
		return;
	}
	file = std::make_shared<IndexFile>(db, marker.file_name);
	if (!marker.is_valid) {
		Degrade(marker.reason);
		return;
	}
	const auto &cache = InstanceState::Get(instance)->Cache();
	auto bytes = file->Open(is_read_only);
	std::shared_ptr<lm_diskann::AnnIndex> opened;
	try {
		opened = lm_diskann::AnnIndex::Open(std::move(bytes), marker.state, marker.configuration, cache);
	} catch (const lm_diskann::CorruptionError &error) {
		throw lm_diskann::CorruptionError("file \"" + file->Path() + "\": " + error.what());
	}
	if (opened->CoveredRows() != marker.covered_rows) {
		throw lm_diskann::CorruptionError("file \"" + file->Path() + "\" covers " +
		                                  std::to_string(opened->CoveredRows()) + " rows, but the database names " +
		                                  std::to_string(marker.covered_rows));
	}
	core = std::move(opened);
	AccountForMemory();
}

bool LiveIndex::IsReady() {
	if (state != IndexState::READY) {
		return false;
	}
	if (!core->IsHealthy()) {
		DegradeForFile(core->Why());
		return false;
	}
	return true;
}

string LiveIndex::Reason() const {
	lock_guard<mutex> guard(lock);
	return reason;
}

void LiveIndex::Degrade(const string &reason_p) noexcept {
	// Reached from callbacks in which an exception would end the process (lifecycle trap 1): without memory for the
	// reason the index is degraded all the same.
	try {
		{
			lock_guard<mutex> guard(lock);
			if (!reason.empty()) {
				return;
			}
			if (core) {
				covered_rows = MaxValue<uint64_t>(covered_rows, core->CoveredRows());
			}
			SetDegradedState();
			reason = reason_p.empty() ? "unknown" : reason_p;
		}
		DUCKDB_LOG_WARN(instance, IndexMessagePrefix(name) + reason_p + "; queries run exact plans");
	} catch (...) {
		SetDegradedState();
	}
}

void LiveIndex::SetDegradedState() noexcept {
	if (state != IndexState::UNCONFIGURED) {
		state = is_read_only ? IndexState::READ_ONLY_DEGRADED : IndexState::NEEDS_REBUILD;
	}
}

void LiveIndex::DegradeForFile(const string &problem) {
	Degrade(file ? "file \"" + file->Path() + "\": " + problem : problem);
}

void LiveIndex::RequireCoverage(uint64_t row_count) {
	if (state != IndexState::READY) {
		return;
	}
	const auto covered = core->CoveredRows();
	if (covered < row_count) {
		Degrade("the table has " + std::to_string(row_count) + " rows, but only the first " + std::to_string(covered) +
		        " were offered to the index (changed without the extension?)");
	}
}

void LiveIndex::Append(const lm_diskann::VectorBatch &batch,
                       lm_diskann::Span<const lm_diskann::RowId> null_row_ids) noexcept {
	try {
		int64_t first = NumericLimits<int64_t>::Maximum();
		int64_t last = -1;
		for (const auto id : lm_diskann::Span<const lm_diskann::RowId>(batch.row_ids, batch.count)) {
			first = MinValue(first, id.value);
			last = MaxValue(last, id.value);
		}
		for (const auto id : null_row_ids) {
			first = MinValue(first, id.value);
			last = MaxValue(last, id.value);
		}
		if (last < 0) {
			return;
		}
		if (state == IndexState::READY) {
			// Row ids are dense: a jump means that rows were changed while nobody offered them (lifecycle trap 3).
			RequireCoverage(uint64_t(first));
		}
		if (state == IndexState::READY) {
			core->Append(batch);
			core->AppendNull(null_row_ids);
			AccountForMemory();
			return;
		}
		const auto covered = uint64_t(last) + 1;
		auto known = covered_rows.load();
		while (known < covered && !covered_rows.compare_exchange_weak(known, covered)) {
		}
	} catch (...) {
		Degrade("a change could not be taken over: " + HandledErrorText());
	}
}

void LiveIndex::Delete(lm_diskann::Span<const lm_diskann::RowId> row_ids) noexcept {
	if (state == IndexState::READY) {
		core->Delete(row_ids);
	}
}

void LiveIndex::ConfirmUntil(uint64_t iteration) {
	// The header of a checkpoint is written under the iteration that follows the one seen while publishing. DuckDB
	// counts when it begins to write, so a generation is known to be durable, itself or a later one, when a second
	// header was begun after it (lifecycle trap 6).
	lm_diskann::Generation confirmed;
	while (!unconfirmed.empty() && unconfirmed.front().second + 2 <= iteration) {
		confirmed = unconfirmed.front().first;
		unconfirmed.erase(unconfirmed.begin());
	}
	if (confirmed != lm_diskann::Generation()) {
		core->Confirm(confirmed);
	}
}

IndexStorageInfo LiveIndex::Publish(uint64_t iteration) noexcept {
	if (state == IndexState::UNCONFIGURED) {
		// Nothing is known that could be written: the next open finds the same state.
		IndexMarker unknown;
		auto info = WriteMarker(name, unknown);
		info.options.clear();
		return info;
	}
	try {
		if (IsReady()) {
			ConfirmUntil(iteration);
			const auto published = core->Publish();
			if (!(published == marker.state)) {
				unconfirmed.emplace_back(published.generation, iteration);
			}
			marker.state = published;
			marker.covered_rows = core->CoveredRows();
			marker.iteration = iteration;
			marker.is_valid = true;
			marker.reason.clear();
			return WriteMarker(name, marker);
		}
	} catch (...) {
		Degrade("a checkpoint could not be written: " + HandledErrorText());
	}
	marker.is_valid = false;
	marker.reason = Reason();
	marker.covered_rows = covered_rows;
	return WriteMarker(name, marker);
}

uint64_t LiveIndex::MemoryBytes() const {
	return core ? core->Summary().delta_bytes : 0;
}

void LiveIndex::AccountForMemory() {
	try {
		memory.Resize(MemoryBytes());
	} catch (const OutOfMemoryException &) { // NOLINT
		// The rows are taken over already, and an index must not make a commit fail.
	}
}

} // namespace duckdb
