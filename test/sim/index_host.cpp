#include "sim/index_host.hpp"

#include "base/error.hpp"
#include "unit/index_rows.hpp"

#include <algorithm>

namespace lm_diskann {

IndexHost::IndexHost(uint64_t seed, const IndexConfiguration &configuration_p)
    : configuration(configuration_p), random(seed), disk(SimDisk::Make(random())),
      cache(std::make_shared<PageCache>(uint64_t(1) << 20)), rows(configuration_p) {
}

bool IndexHost::Attempt(const std::function<void()> &call) {
	const uint64_t faults = disk->FaultCount();
	const bool was_healthy = !index || index->IsHealthy();
	std::string error_text;
	try {
		call();
		return true;
	} catch (const FileError &error) {
		error_text = error.what();
	} catch (const CorruptionError &error) {
		error_text = error.what();
	}
	Require(!was_healthy || disk->FaultCount() > faults, "an error without a fault: " + error_text);
	return false;
}

// --- calls -----------------------------------------------------------------------------------------------------------

bool IndexHost::Create(const std::vector<HostRow> &built, const HostChange &appended) {
	Marker marker;
	RowModel model(configuration);
	const bool is_created = Attempt([&] {
		IndexBuilder builder(configuration);
		AddTo(builder, configuration, built);
		builder.Start(disk->OpenFile(), Uuid {3});
		while (builder.Work() != WorkState::FINISHED) {
		}
		index = builder.Finish(cache);
		model.Apply({false, built});
		ApplyTo(*index, appended);
		model.Apply(appended);
		model.SetCoveredRows(model.CoveredRows() + random() % 3);
		index->SetCoveredRows(model.CoveredRows());
		marker = index->Publish();
	});
	if (!is_created) {
		index.reset();
		return false;
	}
	rows = model;
	named = {marker, rows};
	return true;
}

bool IndexHost::Change(const HostChange &change) {
	const uint64_t changes = disk->ChangeCount();
	// The adapter calls twice, and what the first call took over stays: one call each, so that a failure changes
	// nothing.
	HostChange vectors {change.is_delete, {}};
	HostChange nulls {change.is_delete, {}};
	for (const HostRow &row : change.rows) {
		(row.vector ? vectors : nulls).rows.push_back(row);
	}
	bool is_done = true;
	for (const HostChange &part : {vectors, nulls}) {
		if (is_done && !part.rows.empty()) {
			is_done = Attempt([&] { ApplyTo(*index, part); });
			if (is_done) {
				rows.Apply(part);
				log.push_back(part);
			}
		}
	}
	Require(is_done || !change.is_delete, "a delete never throws");
	Require(disk->ChangeCount() == changes, "appending and deleting write nothing");
	return is_done;
}

bool IndexHost::Publish(bool is_named) {
	const bool was_healthy = index->IsHealthy();
	const bool has_changes = index->HasUnpublishedChanges();
	Marker marker;
	if (!Attempt([&] { marker = index->Publish(); })) {
		Require(!index->IsHealthy() && !index->Why().empty(), "a failed publish makes the index unhealthy");
		Require(index->HasUnpublishedChanges(), "a failed publish leaves its changes unpublished");
		return false;
	}
	// A failed shrink has changed nothing that a generation names.
	Require(index->IsHealthy() || !has_changes, "a publish of changes that succeeds leaves the index healthy");
	Require(was_healthy || !has_changes, "an unhealthy index publishes nothing");
	const uint64_t operations = disk->OperationCount();
	Require(index->Publish() == marker && disk->OperationCount() == operations, "nothing new is published without I/O");
	if (is_named) {
		named = {marker, rows};
		log.clear();
	}
	return true;
}

bool IndexHost::Merge(size_t row_max, const std::function<bool()> &is_stopped) {
	return Attempt([&] {
		const uint64_t before = index->Summary().delta_count;
		const bool has_more = index->Merge(row_max, is_stopped);
		const uint64_t after = index->Summary().delta_count;
		Require(after + row_max >= before && after <= before, "a merge takes no more rows than it was told to");
		Require(has_more == (after > 0), "a merge says whether rows are left");
	});
}

bool IndexHost::Compact(const std::function<bool()> &is_stopped) {
	return Attempt([&] { index->Compact(is_stopped); });
}

bool IndexHost::Shrink(const std::function<bool()> &is_stopped) {
	return Attempt([&] { index->Shrink(is_stopped); });
}

void IndexHost::Confirm(Generation generation) {
	index->Confirm(std::min(generation, Named()));
}

bool IndexHost::Search(const std::vector<float> &query, size_t k, uint32_t list_size) {
	return Attempt([&] { rows.CheckSearch(*index, query, k, list_size); });
}

bool IndexHost::ReadAll(const std::vector<float> &query) {
	return Attempt([&] {
		rows.CheckRows(*index);
		const uint64_t faults = disk->FaultCount();
		const std::vector<std::string> problems = FindProblems(*index);
		// Half of a batch may be in an unhealthy index.
		Require(problems.empty() || disk->FaultCount() > faults || !index->IsHealthy(),
		        problems.empty() ? "" : "Verify: " + problems.front());
		rows.CheckSearch(*index, query, rows.Live().size() + 1, 100000);
	});
}

// --- lives -----------------------------------------------------------------------------------------------------------

void IndexHost::Open() {
	const auto open = [&] { index = AnnIndex::Open(disk->OpenFile(), named->first, configuration, cache); };
	if (!Attempt(open)) {
		disk->Heal();
		Require(Attempt(open), "what cannot be opened because of a fault can be opened without it");
	}
}

void IndexHost::Restart(End end, bool is_log_lost, uint64_t cache_bytes) {
	index.reset();
	if (end == End::CRASH) {
		totals.crashes++;
		totals.faults += disk->FaultCount();
		disk = disk->Crash();
	}
	cache = std::make_shared<PageCache>(cache_bytes);
	Open();
	disk->Heal();
	rows = named->second;
	Require(index->IsHealthy() && !index->HasUnpublishedChanges(), "an opened index is healthy and unchanged");
	CheckAll();
	if (is_log_lost) {
		log.clear();
		return;
	}
	for (const HostChange &change : log) {
		ApplyTo(*index, change);
		rows.Apply(change);
	}
	CheckAll();
}

void IndexHost::EraseDisk() {
	totals.faults += disk->FaultCount();
	disk = SimDisk::Make(random());
}

void IndexHost::CheckAll() {
	disk->Heal();
	rows.CheckAll(*index, MakeQuery());
}

IndexHost IndexHost::Fork(uint64_t seed) const {
	IndexHost host(seed, configuration);
	host.disk = SimDisk::Make(seed, disk->Image());
	host.rows = named->second;
	host.named = named;
	host.Open();
	return host;
}

std::vector<float> IndexHost::MakeQuery() {
	std::vector<float> query(configuration.dims);
	for (float &value : query) {
		value = float(random() % 2001) / 1000.0F - 0.9995F; // Never all zero.
	}
	return query;
}

SimTotals IndexHost::Totals() const {
	SimTotals sum = totals;
	sum.faults += disk->FaultCount();
	return sum;
}

} // namespace lm_diskann
