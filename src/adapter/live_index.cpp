#include "adapter/live_index.hpp"

#include "adapter/compat.hpp"
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
	case IndexState::CATCHING_UP:
		return "catching_up";
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
    : instance(db.GetDatabase()), name(std::move(name_p)), is_read_only(db.IsReadOnly()) {
}

LiveIndex::LiveIndex(AttachedDatabase &db, string name_p, lm_diskann::IndexConfiguration configuration_p,
                     std::shared_ptr<lm_diskann::AnnIndex> core_p, std::shared_ptr<IndexFile> file_p)
    : LiveIndex(db, std::move(name_p)) {
	configuration = configuration_p;
	core = std::move(core_p);
	file = std::move(file_p);
	MaintainCore();
	AccountForMemory();
	marker.configuration = configuration_p;
	marker.file_name = file ? file->FileName() : string();
}

std::shared_ptr<LiveIndex> LiveIndex::Open(AttachedDatabase &db, const string &name, const IndexStorageInfo &info,
                                           const std::optional<VectorColumnType> &column) {
	std::shared_ptr<LiveIndex> index(new LiveIndex(db, name));
	try {
		index->OpenFrom(db, info, column);
	} catch (...) {
		index->Degrade(HandledErrorText());
	}
	return index;
}

void LiveIndex::OpenFrom(AttachedDatabase &db, const IndexStorageInfo &info,
                         const std::optional<VectorColumnType> &column) {
	string problem;
	auto stored = ReadMarker(info, problem);
	if (stored && (!column || stored->configuration.dims != column->dims ||
	               stored->configuration.element_type != column->element_type)) {
		problem = "the indexed column is of another type than the index was made for; drop the index and create it "
		          "again";
		stored.reset();
	}
	if (!stored) {
		Leave(IndexState::UNCONFIGURED, problem, "queries run exact plans");
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
	MaintainCore();
	AccountForMemory();
	try {
		// To be warmed up. Nothing else is due: what is merged would be lost if no checkpoint followed.
		InstanceState::Get(instance)->Maintenance().Offer(maintained);
	} catch (...) { // NOLINT: without a thread the first searches read more
	}
}

std::shared_ptr<lm_diskann::AnnIndex> LiveIndex::Core() const {
	lock_guard<mutex> guard(lock);
	return core;
}

std::shared_ptr<IndexFile> LiveIndex::File() const {
	lock_guard<mutex> guard(lock);
	return file;
}

vector<std::shared_ptr<IndexFile>> LiveIndex::Files() const {
	lock_guard<mutex> publish_guard(publish_lock);
	vector<std::shared_ptr<IndexFile>> files;
	for (const auto &entry : retired) {
		files.push_back(entry.file);
	}
	if (auto current = File()) {
		files.push_back(std::move(current));
	}
	return files;
}

//===--------------------------------------------------------------------===//
// State
//===--------------------------------------------------------------------===//
bool LiveIndex::IsReady() {
	if (state != IndexState::READY) {
		return false;
	}
	const auto current = Core();
	if (!current->IsHealthy()) {
		DegradeForFile(current.get(), current->Why());
		return false;
	}
	return true;
}

string LiveIndex::Reason() const {
	lock_guard<mutex> guard(lock);
	return reason;
}

void LiveIndex::Leave(IndexState next, const string &reason_p, const char *consequence) noexcept {
	// Reached from callbacks in which an exception would end the process (lifecycle trap 1): without memory for the
	// reason the state changes all the same.
	try {
		{
			lock_guard<mutex> guard(lock);
			if (state != IndexState::READY && state != IndexState::CATCHING_UP) {
				return;
			}
			if (core) {
				covered_rows = MaxValue<uint64_t>(covered_rows, core->CoveredRows());
			}
			state = next;
			reason = reason_p.empty() ? "unknown" : reason_p;
		}
		LMD_LOG_WARN(instance, IndexMessagePrefix(name) + reason_p + "; " + consequence);
	} catch (...) {
		state = next;
	}
}

void LiveIndex::Degrade(const string &reason_p) noexcept {
	Leave(is_read_only ? IndexState::READ_ONLY_DEGRADED : IndexState::NEEDS_REBUILD, reason_p,
	      "queries run exact plans");
}

void LiveIndex::DegradeForFile(const lm_diskann::AnnIndex *found_in, const string &problem) {
	const auto current_file = File();
	if (found_in == Core().get()) {
		Degrade(current_file ? "file \"" + current_file->Path() + "\": " + problem : problem);
	}
}

void LiveIndex::RequireCoverage(uint64_t row_count) {
	if (state != IndexState::READY) {
		return;
	}
	const auto covered = Core()->CoveredRows();
	if (covered < row_count) {
		Leave(is_read_only ? IndexState::READ_ONLY_DEGRADED : IndexState::CATCHING_UP,
		      "the table has " + std::to_string(row_count) + " rows, but only the first " + std::to_string(covered) +
		          " were offered to the index (changed without the extension?)",
		      "queries run exact plans until it has caught up");
	}
}

//===--------------------------------------------------------------------===//
// Changes
//===--------------------------------------------------------------------===//
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
			const auto current = Core();
			current->Append(batch);
			current->AppendNull(null_row_ids);
			AccountForMemory();
			OfferMaintenance();
			return;
		}
		CountRows(uint64_t(last) + 1);
	} catch (...) {
		Degrade("a change could not be taken over: " + HandledErrorText());
	}
}

void LiveIndex::CountRows(uint64_t covered) noexcept {
	auto known = covered_rows.load();
	while (known < covered && !covered_rows.compare_exchange_weak(known, covered)) {
	}
}

void LiveIndex::Delete(lm_diskann::Span<const lm_diskann::RowId> row_ids) noexcept {
	std::shared_ptr<lm_diskann::AnnIndex> current;
	{
		lock_guard<mutex> guard(lock);
		current = core;
		if (is_healing) {
			try {
				deleted_rows.insert(deleted_rows.end(), row_ids.begin(), row_ids.end());
			} catch (...) { // NOLINT: a deleted row that stays is dropped by the table's visibility check
			}
		}
	}
	if (current) {
		current->Delete(row_ids);
	}
}

void LiveIndex::MaintainCore() {
	if (maintained) {
		maintained->is_closed = true;
	}
	memory = std::make_shared<MemoryShare>(InstanceState::Get(instance)->Account());
	maintained = core ? std::make_shared<MaintainedIndex>(core, memory) : nullptr;
}

void LiveIndex::OfferMaintenance() noexcept {
	std::shared_ptr<MaintainedIndex> index;
	std::shared_ptr<lm_diskann::AnnIndex> current;
	{
		lock_guard<mutex> guard(lock);
		index = maintained;
		current = core;
	}
	if (!index) {
		return;
	}
	try {
		const bool is_due = index->is_requested || MaintenanceThread::IsDue(current->Counts());
		if (is_due && !is_read_only) {
			index->is_due = true;
		}
		if (index->is_due || index->is_cold) {
			InstanceState::Get(instance)->Maintenance().Offer(index);
		}
	} catch (...) { // NOLINT: without a thread rows stay in the delta, and the first searches read more
	}
}

void LiveIndex::RequestMaintenance() noexcept {
	{
		lock_guard<mutex> guard(lock);
		if (maintained) {
			maintained->is_requested = true;
		}
	}
	OfferMaintenance();
}

bool LiveIndex::IsRebuildDue() const {
	std::shared_ptr<lm_diskann::AnnIndex> current;
	{
		lock_guard<mutex> guard(lock);
		if (is_read_only || !maintained || !maintained->may_be_rebuilt) {
			return false;
		}
		current = core;
	}
	return current && IsRebuildCheaper(current->Counts());
}

void LiveIndex::RefuseRebuild() noexcept {
	{
		lock_guard<mutex> guard(lock);
		if (maintained) {
			maintained->may_be_rebuilt = false;
		}
	}
	OfferMaintenance();
}

std::optional<double> LiveIndex::HealingProgress() const {
	return is_healing ? std::optional<double>(healing_share.load()) : std::nullopt;
}

void LiveIndex::Close() noexcept {
	lock_guard<mutex> guard(lock);
	if (maintained) {
		maintained->is_closed = true;
	}
}

uint64_t LiveIndex::MemoryBytes() const {
	const auto current = Core();
	return current ? current->Summary().memory_bytes : 0;
}

void LiveIndex::AccountForMemory() {
	std::shared_ptr<lm_diskann::AnnIndex> current;
	std::shared_ptr<MemoryShare> share;
	{
		lock_guard<mutex> guard(lock);
		current = core;
		share = memory;
	}
	if (current) {
		share->Follow(current->Summary().memory_bytes);
	}
}

//===--------------------------------------------------------------------===//
// Publishing
//===--------------------------------------------------------------------===//
void LiveIndex::ConfirmUntil(uint64_t iteration) {
	// The header of a checkpoint is written under the iteration that follows the one seen while publishing. DuckDB
	// counts when it begins to write, so a generation is known to be durable, itself or a later one, when a second
	// header was begun after it (lifecycle trap 6).
	const auto is_durable = [&](uint64_t published_at) { return published_at + 2 <= iteration; };
	lm_diskann::Generation confirmed;
	while (!unconfirmed.empty() && is_durable(unconfirmed.front().second)) {
		confirmed = unconfirmed.front().first;
		unconfirmed.erase(unconfirmed.begin());
	}
	if (confirmed != lm_diskann::Generation()) {
		Core()->Confirm(confirmed);
	}
	while (!retired.empty() && retired.front().iteration && is_durable(*retired.front().iteration)) {
		retired.front().file->Remove();
		retired.erase(retired.begin());
	}
}

IndexStorageInfo LiveIndex::Publish(uint64_t iteration) noexcept {
	lock_guard<mutex> publish_guard(publish_lock);
	if (state == IndexState::UNCONFIGURED) {
		// Nothing is known that could be written: the next open finds the same state.
		IndexMarker unknown;
		auto info = WriteMarker(name, unknown);
		info.options.clear();
		return info;
	}
	try {
		if (IsReady() || state == IndexState::CATCHING_UP) {
			ConfirmUntil(iteration);
			const auto current = Core();
			const auto published = current->Publish();
			if (!(published == marker.state)) {
				unconfirmed.emplace_back(published.generation, iteration);
			}
			for (auto &entry : retired) {
				entry.iteration = entry.iteration.value_or(iteration);
			}
			marker.state = published;
			marker.covered_rows = current->CoveredRows();
			marker.iteration = iteration;
			marker.is_valid = true;
			marker.reason.clear();
			auto info = WriteMarker(name, marker);
			// Deletes come where nothing may fail, so that what they make due is noticed here.
			OfferMaintenance();
			return info;
		}
	} catch (...) {
		Degrade("a checkpoint could not be written: " + HandledErrorText());
	}
	marker.is_valid = false;
	marker.reason = Reason();
	marker.covered_rows = covered_rows;
	return WriteMarker(name, marker);
}

//===--------------------------------------------------------------------===//
// Healing
//===--------------------------------------------------------------------===//
unique_ptr<LiveIndex::Healing> LiveIndex::BeginHealing(const std::shared_ptr<LiveIndex> &index, bool is_demanded) {
	auto &self = *index;
	if (self.is_read_only || self.state == IndexState::UNCONFIGURED) {
		return nullptr;
	}
	lock_guard<mutex> guard(self.lock);
	if (self.is_healing || (!is_demanded && (self.reason.empty() || self.reason == self.tried_reason))) {
		return nullptr;
	}
	auto healing = make_uniq<Healing>(index);
	self.tried_reason = self.reason;
	self.deleted_rows.clear();
	self.healing_share = 0;
	self.is_healing = true;
	return healing;
}

LiveIndex::Healing::~Healing() {
	lock_guard<mutex> guard(index->lock);
	index->is_healing = false;
	index->deleted_rows = {};
}

void LiveIndex::Healing::FinishCatchUp() {
	{
		lock_guard<mutex> guard(index->lock);
		if (index->state != IndexState::CATCHING_UP) {
			// It was found damaged meanwhile.
			return;
		}
		index->reason.clear();
		index->tried_reason.clear();
		index->state = IndexState::READY;
	}
	index->AccountForMemory();
}

void LiveIndex::Healing::FinishRebuild(std::shared_ptr<lm_diskann::AnnIndex> core, std::shared_ptr<IndexFile> file,
                                       uint64_t row_count_at_start) {
	{
		lock_guard<mutex> publish_guard(index->publish_lock);
		if (index->file) {
			index->retired.push_back({index->file, std::nullopt});
		}
		index->unconfirmed.clear();
		index->marker = IndexMarker();
		index->marker.configuration = *index->configuration;
		index->marker.file_name = file ? file->FileName() : string();

		lock_guard<mutex> guard(index->lock);
		for (const auto &row_id : index->deleted_rows) {
			if (uint64_t(row_id.value) < row_count_at_start) {
				core->Delete(lm_diskann::Span<const lm_diskann::RowId>(&row_id, 1));
			}
		}
		// The former core goes at the end of this function, outside the locks.
		index->core.swap(core);
		index->file.swap(file);
		index->MaintainCore();
		index->reason.clear();
		index->tried_reason.clear();
		index->state = IndexState::READY;
	}
	index->AccountForMemory();
}

} // namespace duckdb
