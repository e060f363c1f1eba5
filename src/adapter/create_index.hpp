// CREATE INDEX ... USING LM_DISKANN: validation, plan, build, and making the index known to the table.
#pragma once

#include "adapter/compat.hpp"
#include "adapter/row_scan.hpp"

#include "index/options.hpp"

#include "duckdb/execution/index/index_type.hpp"
#include "duckdb/execution/physical_operator.hpp"

namespace duckdb {

class DuckTableEntry;
struct CreateIndexInfo;
struct CreateIndexSinkState;

//! IndexType::create_plan. Throws BinderException for what is not allowed, before any work.
PhysicalOperator &PlanCreateIndex(PlanIndexInput &input);

//! Sink of (vector, row id): collects all rows, then builds with all threads in an inserted event (create_index_build).
class PhysicalCreateLmDiskann : public CompatOperator<PhysicalOperator> {
public:
	PhysicalCreateLmDiskann(PhysicalPlan &plan, LogicalCreateIndex &op,
	                        const lm_diskann::IndexConfiguration &configuration_p);

	string GetName() const override {
		return "CREATE_LM_DISKANN_INDEX";
	}
	bool IsSource() const override {
		return true;
	}
	bool IsSink() const override {
		return true;
	}
	bool ParallelSink() const override {
		return true;
	}

	SourceResultType Produce(ExecutionContext &context, DataChunk &chunk, OperatorSourceInput &input) const override;
	unique_ptr<GlobalSinkState> GetGlobalSinkState(ClientContext &context) const override;
	unique_ptr<LocalSinkState> GetLocalSinkState(ExecutionContext &context) const override;
	SinkResultType Sink(ExecutionContext &context, DataChunk &chunk, OperatorSinkInput &input) const override;
	SinkCombineResultType Combine(ExecutionContext &context, OperatorSinkCombineInput &input) const override;
	SinkFinalizeType Finalize(Pipeline &pipeline, Event &event, ClientContext &context,
	                          OperatorSinkFinalizeInput &input) const override;
	ProgressData GetSinkProgress(ClientContext &context, GlobalSinkState &state,
	                             const ProgressData source_progress) const override;

	//! The end of the build, on one thread: publishes, catches up with the table, and adds the index to it.
	void Register(ClientContext &context, CreateIndexSinkState &state) const;

	//! The indexed column; DuckDB calls it by its logical id while planning, and by its place in storage afterwards.
	IndexedColumn Column() const;

	DuckTableEntry &table;
	unique_ptr<CreateIndexInfo> info;
	vector<unique_ptr<Expression>> unbound_expressions;
	vector<column_t> storage_ids;
	const lm_diskann::IndexConfiguration configuration;
};

} // namespace duckdb
