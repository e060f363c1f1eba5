#include "adapter/indexed_rows.hpp"

#include "base/error.hpp"

#include "duckdb/catalog/catalog_entry/duck_table_entry.hpp"
#include "duckdb/storage/data_table.hpp"
#include "duckdb/storage/table/scan_state.hpp"

namespace duckdb {

IndexedRows::IndexedRows(ClientContext &context_p, LiveIndex &index_p, TableCatalogEntry &table_p,
                         const vector<ColumnIndex> &columns, RowFilter *filter_p,
                         const lm_diskann::RowSet *rows_within_p)
    : index(index_p), filter(filter_p), rows_within(rows_within_p), table(context_p, table_p, filter, columns) {
	rows.Initialize(context_p, table.Types());
	if (filter) {
		selector = make_uniq<RowSelector>(context_p, *filter);
	}
}

IndexedRows::~IndexedRows() = default;

const std::shared_ptr<lm_diskann::AnnIndex> &IndexedRows::OpenIndex() {
	index.RequireCoverage(Storage().GetTotalRows());
	core = index.Core();
	if (!index.IsReady()) {
		FallBack(index.Reason());
		core.reset();
	}
	return core;
}

void IndexedRows::FallBack(const string &reason) {
	fallback_reason = reason;
	if (core) {
		core->Counters().fallbacks++;
	}
	phase = Phase::TABLE;
}

bool IndexedRows::FetchQueued() {
	while (queue_position < queue.size()) {
		const auto count = MinValue<idx_t>(queue.size() - queue_position, STANDARD_VECTOR_SIZE);
		// Rows that are deleted, or not committed by others, drop out here.
		table.Fetch(queue.data() + queue_position, count, rows);
		queue_position += count;
		KeepWanted();
		if (rows.size() > 0) {
			const auto ids = FlatVector::GetData<row_t>(rows.data.back());
			emitted.insert(ids, ids + rows.size());
			return true;
		}
	}
	return false;
}

bool IndexedRows::NextNamed(const Search &search) {
	try {
		while (phase == Phase::NAMED) {
			if (FetchQueued()) {
				return true;
			}
			queue = search();
			queue_position = 0;
			if (queue.empty() && phase == Phase::NAMED) {
				phase = Phase::LOCAL;
			}
		}
	} catch (const lm_diskann::CorruptionError &error) {
		index.DegradeForFile(core.get(), error.what());
		FallBack(error.what());
	} catch (const lm_diskann::FileError &error) {
		// A read that fails once may succeed later: the index stays.
		FallBack(error.what());
	}
	return false;
}

bool IndexedRows::NextOfScan() {
	if (!scan) {
		scan = phase == Phase::LOCAL ? table.StartLocalScan() : table.StartScan(filter ? filter->Pushed() : nullptr);
	}
	while (table.NextOfScan(*scan, rows)) {
		if (selector) {
			selector->Keep(rows);
		}
		KeepWanted();
		if (rows.size() > 0) {
			return true;
		}
	}
	phase = Phase::DONE;
	return false;
}

//! Leaves in `rows` those that other operators let pass and that were not emitted before.
void IndexedRows::KeepWanted() {
	auto &row_ids = rows.data.back();
	row_ids.Flatten(rows.size());
	if (emitted.empty() && !rows_within) {
		return;
	}
	const auto ids = FlatVector::GetData<row_t>(row_ids);
	SelectionVector selection(rows.size());
	idx_t count = 0;
	for (idx_t i = 0; i < rows.size(); i++) {
		if (emitted.count(ids[i]) == 0 && (!rows_within || rows_within->Contains(lm_diskann::RowId(ids[i])))) {
			selection.set_index(count++, i);
		}
	}
	if (count < rows.size()) {
		rows.Slice(selection, count);
		row_ids.Flatten(count);
	}
}

void IndexedRows::Next(const Search &search, DataChunk &output) {
	bool has_rows = false;
	while (!has_rows && phase != Phase::DONE) {
		has_rows = phase == Phase::NAMED ? NextNamed(search) : NextOfScan();
	}
	if (!has_rows) {
		return;
	}
	const auto first_column = filter ? filter->Columns().size() : 0;
	for (idx_t i = 0; i < output.ColumnCount(); i++) {
		output.data[i].Reference(rows.data[first_column + i]);
	}
	output.SetCardinality(rows.size());
}

} // namespace duckdb
