#include "adapter/row_filter.hpp"

#include "adapter/compat.hpp"

#include "duckdb/main/client_context.hpp"
#include "duckdb/parallel/task_executor.hpp"
#include "duckdb/parallel/task_scheduler.hpp"
#include "duckdb/storage/data_table.hpp"
#include "duckdb/storage/table/row_group.hpp"
#include "duckdb/storage/table/scan_state.hpp"
#include "duckdb/transaction/duck_transaction.hpp"

#include <algorithm>

namespace duckdb {

namespace {

//! Blocks of a sample, of a vector of rows each, spread over the table.
constexpr idx_t SAMPLE_BLOCKS = 8;

//! What the threads of one run share.
struct ScanRun {
	ClientContext &context;
	DataTable &table;
	DuckTransaction &transaction;
	RowFilter &filter;
	vector<StorageIndex> columns;
	vector<LogicalType> types;
	ParallelTableScanState row_groups;
	const std::function<void(idx_t thread, DataChunk &chunk)> &visit;

	void Work(idx_t thread) {
		DataChunk chunk;
		chunk.Initialize(Allocator::Get(context), types);
		RowSelector selector(context, filter);
		TableScanState scan;
		scan.Initialize(columns, context, filter.Pushed());
		while (table.NextParallelScan(context, row_groups, scan)) {
			if (!scan.table_state.row_group) {
				continue; // the transaction's own appends
			}
			while (true) {
				if (context.interrupted) {
					throw InterruptException();
				}
				chunk.Reset();
				scan.table_state.Scan(transaction, chunk);
				if (chunk.size() == 0) {
					break;
				}
				selector.Keep(chunk);
				if (chunk.size() > 0) {
					visit(thread, chunk);
				}
			}
		}
	}
};

class ScanTask : public BaseExecutorTask {
public:
	ScanTask(TaskExecutor &executor, ScanRun &run_p, idx_t thread_p)
	    : BaseExecutorTask(executor), run(run_p), thread(thread_p) {
	}
	void ExecuteTask() override {
		run.Work(thread);
	}

private:
	ScanRun &run;
	idx_t thread;
};

} // namespace

idx_t FilteredScan::ThreadCount(ClientContext &context) const {
	const auto thread_max = idx_t(TaskScheduler::GetScheduler(context).NumberOfThreads());
	return MaxValue<idx_t>(1, MinValue(thread_max, table.MaxThreads(context)));
}

void FilteredScan::Run(ClientContext &context, const std::function<void(idx_t thread, DataChunk &chunk)> &visit) {
	ScanRun run {context, table, DuckTransaction::Get(context, table.db), filter, filter.Columns(), filter.Types(),
	             {},      visit};
	run.columns.insert(run.columns.end(), columns.begin(), columns.end());
	run.types.insert(run.types.end(), types.begin(), types.end());
	run.columns.emplace_back(COLUMN_IDENTIFIER_ROW_ID);
	run.types.emplace_back(LogicalType::ROW_TYPE);
	InitializeRowGroupScan<ColumnIndex>(context, table, run.row_groups, run.columns);
	const auto thread_count = ThreadCount(context);
	if (thread_count == 1) {
		run.Work(0);
		return;
	}
	TaskExecutor executor(context);
	for (idx_t thread = 0; thread < thread_count; thread++) {
		executor.ScheduleTask(make_uniq<ScanTask>(executor, run, thread));
	}
	executor.WorkOnTasks();
}

AccountedRowSet CollectRows(ClientContext &context, DataTable &table, RowFilter &filter,
                            const lm_diskann::RowSet *within) {
	FilteredScan scan {table, filter, {}, {}};
	std::vector<AccountedRowSet> found;
	for (idx_t thread = 0; thread < scan.ThreadCount(context); thread++) {
		found.emplace_back(context);
	}
	scan.Run(context, [&](idx_t thread, DataChunk &chunk) {
		auto &row_ids = chunk.data.back();
		row_ids.Flatten(chunk.size());
		static_assert(sizeof(lm_diskann::RowId) == sizeof(row_t));
		const auto ids = reinterpret_cast<lm_diskann::RowId *>(FlatVector::GetData<row_t>(row_ids));
		const auto end = within ? std::remove_if(ids, ids + chunk.size(),
		                                         [&](lm_diskann::RowId row_id) { return !within->Contains(row_id); })
		                        : ids + chunk.size();
		found[thread].Insert(lm_diskann::Span<const lm_diskann::RowId>(ids, size_t(end - ids)));
	});
	for (idx_t thread = 1; thread < found.size(); thread++) {
		found[0].Merge(found[thread]);
	}
	return std::move(found[0]);
}

double EstimateSelectivity(ClientContext &context, DataTable &table, RowFilter &filter) {
	auto &transaction = DuckTransaction::Get(context, table.db);
	// A chunk has a column, even for conditions that read none.
	auto columns = filter.Columns();
	auto types = filter.Types();
	columns.emplace_back(COLUMN_IDENTIFIER_ROW_ID);
	types.emplace_back(LogicalType::ROW_TYPE);
	DataChunk chunk;
	chunk.Initialize(Allocator::Get(context), types);
	RowSelector selector(context, filter);
	const auto stride = MaxValue<idx_t>(1, table.GetTotalRows() / STANDARD_VECTOR_SIZE / SAMPLE_BLOCKS);
	idx_t block = stride / 2;
	idx_t seen_count = 0;
	idx_t kept_count = 0;
	ParallelTableScanState row_groups;
	InitializeRowGroupScan<ColumnIndex>(context, table, row_groups, columns);
	TableScanState scan;
	scan.Initialize(columns, context);
	while (table.NextParallelScan(context, row_groups, scan)) {
		const auto row_group = scan.table_state.row_group;
		if (!row_group) {
			continue; // the transaction's own appends
		}
		const auto range = RowGroupRange(*row_group);
		const auto block_count = (range.second - range.first + STANDARD_VECTOR_SIZE - 1) / STANDARD_VECTOR_SIZE;
		for (; block < block_count; block += stride) {
			chunk.Reset();
			ScanVector<TransactionData>(transaction, scan, block, chunk);
			seen_count += chunk.size();
			selector.Keep(chunk);
			kept_count += chunk.size();
		}
		block -= block_count;
	}
	// One row more of each kind: no sample proves that there is none.
	return double(kept_count + 1) / double(seen_count + 2);
}

} // namespace duckdb
