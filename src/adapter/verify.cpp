#include "adapter/verify.hpp"

#include "adapter/compat.hpp"
#include "adapter/errors.hpp"

#include "duckdb/catalog/catalog_entry/duck_table_entry.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/storage/data_table.hpp"
#include "duckdb/storage/table/append_state.hpp"
#include "duckdb/transaction/duck_transaction.hpp"

#include <algorithm>

namespace duckdb {

namespace {

//! Violations listed per kind; the rest is counted.
constexpr idx_t LISTED_MAX = 100;

bool IsIndexable(lm_diskann::Metric metric, const lm_diskann::VectorBatch &batch, idx_t row, uint32_t dims) {
	return batch.floats ? lm_diskann::IsIndexable(metric, batch.floats + row * dims, dims)
	                    : lm_diskann::IsIndexable(metric, batch.bytes + row * dims, dims);
}

//! Committed rows this transaction sees whose vector belongs into the index, ascending.
std::vector<int64_t> CollectTableRows(ClientContext &context, DataTable &storage, const TableIndex &index) {
	const auto &configuration = *index.live->Configuration();
	std::vector<int64_t> row_ids;
	ScanRows(context, storage, index.Column(storage), RowScanKind::VISIBLE, 0, storage.GetTotalRows(),
	         [&](const VectorRows &rows) {
		         const auto &batch = rows.Batch();
		         for (idx_t row = 0; row < batch.count; row++) {
			         if (IsIndexable(configuration.metric, batch, row, configuration.dims)) {
				         row_ids.push_back(batch.row_ids[row].value);
			         }
		         }
	         });
	return row_ids;
}

void Report(const std::vector<int64_t> &row_ids, const string &problem, vector<string> &violations) {
	for (idx_t i = 0; i < MinValue<idx_t>(row_ids.size(), LISTED_MAX); i++) {
		violations.push_back("row " + std::to_string(row_ids[i]) + " " + problem);
	}
	if (row_ids.size() > LISTED_MAX) {
		violations.push_back(std::to_string(row_ids.size() - LISTED_MAX) + " further rows: each " + problem);
	}
}

} // namespace

vector<string> VerifyIndex(ClientContext &context, DuckTableEntry &table, const TableIndex &index) {
	auto &live = *index.live;
	if (!live.IsReady()) {
		return {string("the index is in state ") + IndexStateName(live.State()) + ": " + live.Reason()};
	}
	vector<string> violations;
	std::vector<int64_t> indexed;
	const auto core = live.Core();
	WithDuckDBErrors(live.Name(), [&] {
		for (auto &violation : core->Verify()) {
			violations.push_back(std::move(violation));
		}
		if (!violations.empty()) {
			// Found damaged: a search need not come across the same place.
			live.DegradeForFile(core.get(), violations[0]);
			return;
		}
		for (const auto row_id : core->CollectRowIds()) {
			indexed.push_back(row_id.value);
		}
	});
	if (!violations.empty()) {
		return violations;
	}
	auto &storage = table.GetStorage();
	const auto in_table = CollectTableRows(context, storage, index);
	std::vector<int64_t> missing;
	std::set_difference(in_table.begin(), in_table.end(), indexed.begin(), indexed.end(), std::back_inserter(missing));
	Report(missing, "of the table is not in the index", violations);
	// Ids the table never gave out; rows it deleted are only waiting for their turn.
	// A commit offers rows to the index before the table has them; under the append lock none is under way.
	int64_t row_count = 0;
	{
		TableAppendState append_lock;
		LockAppends<DuckTransaction>(context, storage, append_lock);
		row_count = int64_t(storage.GetTotalRows());
	}
	const auto beyond = std::lower_bound(indexed.begin(), indexed.end(), row_count);
	Report(std::vector<int64_t>(beyond, indexed.end()), "of the index does not exist in the table", violations);
	return violations;
}

} // namespace duckdb
