#include "adapter/verify.hpp"

#include "adapter/compat.hpp"
#include "adapter/errors.hpp"
#include "adapter/instance_state.hpp"

#include "duckdb/catalog/catalog_entry/duck_table_entry.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/storage/data_table.hpp"
#include "duckdb/storage/table/append_state.hpp"
#include "duckdb/transaction/duck_transaction.hpp"

#include <algorithm>
#include <optional>

namespace duckdb {

namespace {

//! Violations listed per kind; the rest is counted.
constexpr idx_t LISTED_MAX = 100;

bool IsIndexable(lm_diskann::Metric metric, const lm_diskann::VectorBatch &batch, idx_t row, uint32_t dims) {
	return batch.floats ? lm_diskann::IsIndexable(metric, batch.floats + row * dims, dims)
	                    : lm_diskann::IsIndexable(metric, batch.bytes + row * dims, dims);
}

//! Rows with one and the same problem.
struct ProblemRows {
	const char *problem;
	//! The first LISTED_MAX.
	std::vector<int64_t> row_ids;
	idx_t count = 0;

	void Add(int64_t row_id) {
		if (count++ < LISTED_MAX) {
			row_ids.push_back(row_id);
		}
	}
	void Report(vector<string> &violations) const {
		for (const auto row_id : row_ids) {
			violations.push_back("row " + std::to_string(row_id) + " " + problem);
		}
		if (count > row_ids.size()) {
			violations.push_back(std::to_string(count - row_ids.size()) + " further rows: each " + problem);
		}
	}
};

const lm_diskann::StoredRow *Find(const std::vector<lm_diskann::StoredRow> &rows, lm_diskann::RowId row_id) {
	const auto found = std::lower_bound(
	    rows.begin(), rows.end(), row_id,
	    [](const lm_diskann::StoredRow &row, lm_diskann::RowId searched) { return row.row_id < searched; });
	return found != rows.end() && found->row_id == row_id ? &*found : nullptr;
}

//! Compares committed rows this transaction sees with `indexed`, which is ascending.
void CompareWithTable(ClientContext &context, DataTable &storage, const TableIndex &index,
                      const lm_diskann::AnnIndex &core, const std::vector<lm_diskann::StoredRow> &indexed,
                      vector<string> &violations) {
	const auto &configuration = core.Configuration();
	ProblemRows missing = {"of the table is not in the index", {}, 0};
	ProblemRows different = {"of the index has another vector than in the table", {}, 0};
	ProblemRows superfluous = {"of the index has no vector in the table that can be indexed", {}, 0};
	ScanRows(context, storage, index.Column(storage), RowScanKind::VISIBLE, 0, storage.GetTotalRows(),
	         [&](const VectorRows &rows) {
		         const auto &batch = rows.Batch();
		         for (idx_t row = 0; row < batch.count; row++) {
			         const auto row_id = batch.row_ids[row];
			         const auto *found = Find(indexed, row_id);
			         if (!IsIndexable(configuration.metric, batch, row, configuration.dims)) {
				         if (found) {
					         superfluous.Add(row_id.value);
				         }
			         } else if (!found) {
				         missing.Add(row_id.value);
			         } else if (!core.Holds(*found, batch, row)) {
				         different.Add(row_id.value);
			         }
		         }
		         for (const auto row_id : rows.NullRowIds()) {
			         if (Find(indexed, row_id)) {
				         superfluous.Add(row_id.value);
			         }
		         }
	         });
	missing.Report(violations);
	different.Report(violations);
	superfluous.Report(violations);
}

//! No damage: results have as many rows as ever, but of the nearest some may be missed.
void ReportReach(const lm_diskann::Reach &reach, const string &index_name, vector<string> &violations) {
	const auto report = [&](const lm_diskann::RowSet &rows, const char *problem) {
		std::optional<int64_t> first;
		rows.ForEach([&](lm_diskann::RowId row_id) { first = first.value_or(row_id.value); });
		if (first) {
			violations.push_back(StringUtil::Format("rows of the index that %s: %llu, the first of them row %lld; "
			                                        "PRAGMA lm_diskann_rebuild('%s') mends that",
			                                        problem, rows.Count(), *first, index_name));
		}
	};
	report(reach.unreached, "searches cannot reach, returning farther ones in their place");
	report(reach.unanchored, "searches reach, but may no longer after a change");
}

} // namespace

vector<string> VerifyIndex(ClientContext &context, DuckTableEntry &table, const TableIndex &index) {
	auto &live = *index.live;
	if (!live.IsReady()) {
		return {string("the index is in state ") + IndexStateName(live.State()) + ": " + live.Reason()};
	}
	vector<string> violations;
	const auto core = live.Core();
	MemoryShare memory(InstanceState::Get(DatabaseInstance::GetDatabase(context))->Account());
	memory.Resize(core->VerifyMemoryBytes());
	bool is_damaged = false;
	std::vector<lm_diskann::StoredRow> indexed;
	WithDuckDBErrors(live.Name(), [&] {
		for (auto &violation : core->Verify()) {
			violations.push_back(std::move(violation));
		}
		if (!violations.empty()) {
			// Found damaged: a search need not come across the same place.
			live.DegradeForFile(core.get(), violations[0]);
			is_damaged = true;
			return;
		}
		ReportReach(core->FindReach(), live.Name(), violations);
		indexed = core->CollectRows();
	});

	if (is_damaged) {
		return violations;
	}
	auto &storage = table.GetStorage();
	CompareWithTable(context, storage, index, *core, indexed, violations);
	// Ids the table never gave out; rows it deleted are only waiting for their turn.
	// A commit offers rows to the index before the table has them; under the append lock none is under way.
	int64_t row_count = 0;
	{
		TableAppendState append_lock;
		LockAppends<DuckTransaction>(context, storage, append_lock);
		row_count = int64_t(storage.GetTotalRows());
	}
	ProblemRows beyond = {"of the index does not exist in the table", {}, 0};
	for (auto row = indexed.rbegin(); row != indexed.rend() && row->row_id.value >= row_count; ++row) {
		beyond.Add(row->row_id.value);
	}
	beyond.Report(violations);
	return violations;
}

} // namespace duckdb
