// The phases of CREATE INDEX that are not DuckDB's sink: memory, the parallel build, and the catch-up with the table.

#include "adapter/create_index_state.hpp"
#include "adapter/errors.hpp"
#include "adapter/settings.hpp"

#include "duckdb/catalog/catalog_entry/duck_table_entry.hpp"
#include "duckdb/common/string_util.hpp"
#include "duckdb/execution/executor.hpp"
#include "duckdb/main/attached_database.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/parallel/base_pipeline_event.hpp"
#include "duckdb/parallel/executor_task.hpp"
#include "duckdb/parallel/task_scheduler.hpp"
#include "duckdb/parser/parsed_data/create_index_info.hpp"
#include "duckdb/storage/data_table.hpp"
#include "duckdb/storage/table/append_state.hpp"
#include "duckdb/storage/table/scan_state.hpp"
#include "duckdb/transaction/duck_transaction.hpp"

#include <thread>

namespace duckdb {

//===--------------------------------------------------------------------===//
// Shared state
//===--------------------------------------------------------------------===//
void RowBitmap::Add(row_t row_id) {
	const auto word = idx_t(row_id) / 64;
	if (word >= words.size()) {
		words.resize(MaxValue<idx_t>(word + 1, words.size() * 2));
	}
	words[word] |= uint64_t(1) << (idx_t(row_id) % 64);
}

bool RowBitmap::Contains(row_t row_id) const {
	const auto word = idx_t(row_id) / 64;
	return word < words.size() && (words[word] >> (idx_t(row_id) % 64) & 1) != 0;
}

void RowBitmap::Merge(const RowBitmap &other) {
	words.resize(MaxValue(words.size(), other.words.size()));
	for (idx_t i = 0; i < other.words.size(); i++) {
		words[i] |= other.words[i];
	}
}

BuildMemory::BuildMemory(ClientContext &context, string index_name_p)
    : index_name(std::move(index_name_p)), budget_bytes(BuildMemoryBudget(context)),
      share(InstanceState::Get(DatabaseInstance::GetDatabase(context))->Account()) {
}

void BuildMemory::Reserve(uint64_t bytes) {
	lock_guard<mutex> guard(lock);
	if (granted_bytes + bytes > budget_bytes) {
		throw OutOfMemoryException("%sbuilding it needs at least %s of memory, but lm_diskann_build_memory allows %s; "
		                           "raise it, or choose a smaller R or codes",
		                           IndexMessagePrefix(index_name),
		                           StringUtil::BytesToHumanReadableString(granted_bytes + bytes),
		                           StringUtil::BytesToHumanReadableString(budget_bytes));
	}
	share.Resize(granted_bytes + bytes);
	granted_bytes += bytes;
}

void BuildMemory::ReleaseAll() {
	lock_guard<mutex> guard(lock);
	share.Resize(0);
	granted_bytes = 0;
}

CreateIndexSinkState::CreateIndexSinkState(ClientContext &context, const PhysicalCreateLmDiskann &op)
    : memory(context, op.info->index_name) {
	builder = WithDuckDBErrors(op.info->index_name, [&] {
		return make_uniq<lm_diskann::IndexBuilder>(op.configuration, [this](uint64_t bytes) { memory.Reserve(bytes); });
	});
	// Under the lock no append is under way, so what lies below this row count can no longer be taken back and its ids
	// given to other rows.
	TableAppendState append_lock;
	op.table.GetStorage().AppendLock(append_lock);
	row_count_at_start = op.table.GetStorage().GetTotalRows();
}

CreateIndexSinkState::~CreateIndexSinkState() {
	builder.reset();
	if (file && !is_registered) {
		file->Remove();
	}
}

//===--------------------------------------------------------------------===//
// Build
//===--------------------------------------------------------------------===//
namespace {

class BuildEvent : public BasePipelineEvent {
public:
	BuildEvent(Pipeline &pipeline_p, const PhysicalCreateLmDiskann &op_p, CreateIndexSinkState &state_p)
	    : BasePipelineEvent(pipeline_p), op(op_p), state(state_p) {
	}

	void Schedule() override;
	void FinishEvent() override {
		op.Register(pipeline->GetClientContext(), state);
	}

	const PhysicalCreateLmDiskann &op;
	CreateIndexSinkState &state;
};

class BuildTask : public ExecutorTask {
public:
	BuildTask(BuildEvent &event_p, ClientContext &context_p)
	    : ExecutorTask(context_p, event_p.shared_from_this(), event_p.op), state(event_p.state),
	      index_name(event_p.op.info->index_name), client(context_p) {
	}

	//! One piece of work, so that an interrupt is seen soon and the thread that shows the progress bar gets to it.
	TaskExecutionResult ExecuteTask(TaskExecutionMode mode) override {
		while (true) {
			if (client.interrupted) {
				throw InterruptException();
			}
			if (executor.HasError()) {
				// Another worker failed; the event is never finished then.
				return TaskExecutionResult::TASK_FINISHED;
			}
			const auto work = WithDuckDBErrors(index_name, [&] { return state.builder->Work(); });
			if (work == lm_diskann::WorkState::FINISHED) {
				event->FinishTask();
				return TaskExecutionResult::TASK_FINISHED;
			}
			if (work == lm_diskann::WorkState::WAITING) {
				std::this_thread::yield();
			}
			if (mode == TaskExecutionMode::PROCESS_PARTIAL) {
				return TaskExecutionResult::TASK_NOT_FINISHED;
			}
		}
	}
	string TaskType() const override {
		return "LmDiskannBuildTask";
	}

private:
	CreateIndexSinkState &state;
	const string &index_name;
	ClientContext &client;
};

void BuildEvent::Schedule() {
	auto &context = pipeline->GetClientContext();
	const auto thread_count = NumericCast<size_t>(TaskScheduler::GetScheduler(context).NumberOfThreads());
	vector<shared_ptr<Task>> tasks;
	for (size_t worker = 0; worker < thread_count; worker++) {
		tasks.push_back(make_uniq<BuildTask>(*this, context));
	}
	SetTasks(std::move(tasks));
}

} // namespace

shared_ptr<Event> MakeBuildEvent(Pipeline &pipeline, const PhysicalCreateLmDiskann &op, CreateIndexSinkState &state) {
	return make_shared_ptr<BuildEvent>(pipeline, op, state);
}

//===--------------------------------------------------------------------===//
// Catching up
//===--------------------------------------------------------------------===//
namespace {

void Offer(VectorRows &rows, Vector &vectors, Vector &row_ids, idx_t count, lm_diskann::AnnIndex &core) {
	rows.Read(vectors, row_ids, count);
	core.Append(rows.Batch());
	core.AppendNull(rows.NullRowIds());
}

//! Row ids below `row_count` that this transaction sees and the scan did not: another transaction had deleted them, and
//! may yet roll back.
std::vector<row_t> FindMissedRows(ClientContext &context, DuckTransaction &transaction, DataTable &table,
                                  const RowBitmap &seen_rows, idx_t row_count) {
	std::vector<row_t> missed;
	TableScanState scan;
	table.InitializeScan(context, transaction, scan, {StorageIndex(COLUMN_IDENTIFIER_ROW_ID)});
	DataChunk chunk;
	chunk.Initialize(Allocator::Get(context), {LogicalType::ROW_TYPE});
	while (true) {
		chunk.Reset();
		table.Scan(transaction, chunk, scan);
		if (chunk.size() == 0) {
			return missed;
		}
		chunk.Flatten();
		const auto row_ids = FlatVector::GetData<row_t>(chunk.data[0]);
		for (idx_t i = 0; i < chunk.size(); i++) {
			if (row_ids[i] < row_t(row_count) && !seen_rows.Contains(row_ids[i])) {
				missed.push_back(row_ids[i]);
			}
		}
	}
}

} // namespace

idx_t CatchUpWithTable(ClientContext &context, DataTable &table, const PhysicalCreateLmDiskann &op,
                       const CreateIndexSinkState &state, lm_diskann::AnnIndex &core) {
	auto &transaction = DuckTransaction::Get(context, table.db);
	const VectorColumnType type {op.configuration.element_type, op.configuration.dims};
	VectorRows rows(type);
	const auto column = op.storage_ids[0];

	// Rows appended since the scan began, committed or not: visibility is decided by the table.
	const auto row_count = table.GetTotalRows();
	auto next_row = row_t(state.row_count_at_start);
	if (row_count > state.row_count_at_start) {
		const auto count = row_count - state.row_count_at_start;
		table.ScanTableSegment(transaction, state.row_count_at_start, count, [&](DataChunk &chunk) {
			Vector row_ids(LogicalType::ROW_TYPE);
			const auto ids = FlatVector::GetData<row_t>(row_ids);
			for (idx_t i = 0; i < chunk.size(); i++) {
				ids[i] = next_row++;
			}
			Offer(rows, chunk.data[column], row_ids, chunk.size(), core);
		});
	}

	const auto missed = FindMissedRows(context, transaction, table, state.seen_rows, state.row_count_at_start);
	const vector<StorageIndex> columns {StorageIndex(column), StorageIndex(COLUMN_IDENTIFIER_ROW_ID)};
	DataChunk chunk;
	chunk.Initialize(Allocator::Get(context), {op.unbound_expressions[0]->return_type, LogicalType::ROW_TYPE});
	for (idx_t begin = 0; begin < missed.size(); begin += STANDARD_VECTOR_SIZE) {
		const auto count = MinValue<idx_t>(STANDARD_VECTOR_SIZE, missed.size() - begin);
		Vector row_ids(LogicalType::ROW_TYPE, data_ptr_cast(const_cast<row_t *>(missed.data() + begin))); // NOLINT
		ColumnFetchState fetch;
		chunk.Reset();
		table.Fetch(transaction, chunk, columns, row_ids, count, fetch);
		Offer(rows, chunk.data[0], chunk.data[1], chunk.size(), core);
	}
	return row_count;
}

} // namespace duckdb
