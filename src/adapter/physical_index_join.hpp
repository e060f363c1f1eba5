// The operator that runs LM_DISKANN_INDEX_JOIN (index_join.hpp).
#pragma once

#include "adapter/compat.hpp"
#include "adapter/index_join.hpp"

#include "duckdb/execution/physical_operator.hpp"

namespace duckdb {

//! Collects the left rows, then is the source of joined rows for all threads.
class PhysicalIndexJoin : public CompatOperator<PhysicalOperator> {
public:
	static constexpr const PhysicalOperatorType TYPE = PhysicalOperatorType::EXTENSION;

	//! `expressions_p` as in LogicalIndexJoin, over one chunk of the child's columns and the table's.
	PhysicalIndexJoin(PhysicalPlan &plan, vector<LogicalType> types_p, idx_t estimated_cardinality_p,
	                  IndexJoinSpec spec_p, vector<unique_ptr<Expression>> expressions_p);

	string GetName() const override;
	InsertionOrderPreservingMap<string> ParamsToString() const override;

	bool IsSink() const override {
		return true;
	}
	bool ParallelSink() const override {
		return true;
	}
	unique_ptr<GlobalSinkState> GetGlobalSinkState(ClientContext &context) const override;
	unique_ptr<LocalSinkState> GetLocalSinkState(ExecutionContext &context) const override;
	SinkResultType Sink(ExecutionContext &context, DataChunk &chunk, OperatorSinkInput &input) const override;
	SinkCombineResultType Combine(ExecutionContext &context, OperatorSinkCombineInput &input) const override;
	SinkFinalizeType Finalize(Pipeline &pipeline, Event &event, ClientContext &context,
	                          OperatorSinkFinalizeInput &input) const override;

	bool IsSource() const override {
		return true;
	}
	bool ParallelSource() const override {
		return true;
	}
	OrderPreservationType SourceOrder() const override {
		return OrderPreservationType::NO_ORDER;
	}
	unique_ptr<GlobalSourceState> GetGlobalSourceState(ClientContext &context) const override;
	unique_ptr<LocalSourceState> GetLocalSourceState(ExecutionContext &context,
	                                                 GlobalSourceState &state) const override;
	SourceResultType Produce(ExecutionContext &context, DataChunk &chunk, OperatorSourceInput &input) const override;
	ProgressData GetProgress(ClientContext &context, GlobalSourceState &state) const override;
	InsertionOrderPreservingMap<string> ExtraSourceParams(GlobalSourceState &global_state,
	                                                      LocalSourceState &local_state) const override;

	const vector<LogicalType> &LeftTypes() const {
		return children[0].get().types;
	}

	IndexJoinSpec spec;
	vector<unique_ptr<Expression>> expressions;
};

} // namespace duckdb
