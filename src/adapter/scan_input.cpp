#include "adapter/scan_input.hpp"

#include "duckdb/execution/column_binding_resolver.hpp"
#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/execution/operator/join/physical_cross_product.hpp"
#include "duckdb/execution/physical_plan_generator.hpp"
#include "duckdb/parallel/meta_pipeline.hpp"

#include <algorithm>

namespace duckdb {

namespace {

//! Evaluates the expressions of an input on a chunk.
void Evaluate(ClientContext &context, const vector<unique_ptr<Expression>> &expressions, DataChunk &chunk,
              DataChunk &result) {
	vector<LogicalType> types;
	for (const auto &expression : expressions) {
		types.push_back(expression->return_type);
	}
	result.Initialize(context, types, MaxValue<idx_t>(chunk.size(), 1));
	ExpressionExecutor executor(context, expressions);
	executor.Execute(chunk, result);
}

//! DuckDB's cross product, which also notes the values of the one row.
class PhysicalValuesInput : public PhysicalCrossProduct {
public:
	PhysicalValuesInput(PhysicalPlan &plan, vector<LogicalType> types, PhysicalOperator &scan, PhysicalOperator &other,
	                    idx_t cardinality, shared_ptr<ScanInputs> inputs_p, idx_t number_p,
	                    vector<unique_ptr<Expression>> expressions_p, vector<idx_t> positions_p)
	    : PhysicalCrossProduct(plan, std::move(types), scan, other, cardinality), inputs(std::move(inputs_p)),
	      number(number_p), expressions(std::move(expressions_p)), positions(std::move(positions_p)) {
	}

	string GetName() const override {
		return "LM_DISKANN_QUERY_INPUT";
	}
	unique_ptr<GlobalSinkState> GetGlobalSinkState(ClientContext &context) const override {
		inputs->row_counts[number] = 0;
		return PhysicalCrossProduct::GetGlobalSinkState(context);
	}
	SinkResultType Sink(ExecutionContext &context, DataChunk &chunk, OperatorSinkInput &input) const override {
		{
			const lock_guard<mutex> guard(inputs->lock);
			if (inputs->row_counts[number] == 0 && chunk.size() > 0 && !expressions.empty()) {
				DataChunk row;
				Evaluate(context.client, expressions, chunk, row);
				for (idx_t i = 0; i < expressions.size(); i++) {
					inputs->values[positions[i]] = row.GetValue(i, 0);
				}
			}
			inputs->row_counts[number] += chunk.size();
		}
		return PhysicalCrossProduct::Sink(context, chunk, input);
	}

private:
	shared_ptr<ScanInputs> inputs;
	const idx_t number;
	const vector<unique_ptr<Expression>> expressions;
	const vector<idx_t> positions;
};

//! Collects row ids, then lets the rows of the scan pass.
class PhysicalRowsInput : public PhysicalOperator {
public:
	PhysicalRowsInput(PhysicalPlan &plan, vector<LogicalType> types_p, PhysicalOperator &scan, PhysicalOperator &other,
	                  idx_t cardinality, shared_ptr<ScanInputs> inputs_p, vector<unique_ptr<Expression>> expressions_p)
	    : PhysicalOperator(plan, PhysicalOperatorType::EXTENSION, std::move(types_p), cardinality),
	      inputs(std::move(inputs_p)), expressions(std::move(expressions_p)) {
		children.push_back(scan);
		children.push_back(other);
	}

	string GetName() const override {
		return "LM_DISKANN_ROWS_INPUT";
	}
	OperatorResultType Execute(ExecutionContext &, DataChunk &input, DataChunk &chunk, GlobalOperatorState &,
	                           OperatorState &) const override {
		chunk.Reference(input);
		return OperatorResultType::NEED_MORE_INPUT;
	}
	bool ParallelOperator() const override {
		return true;
	}
	bool IsSink() const override {
		return true;
	}
	bool ParallelSink() const override {
		return true;
	}
	unique_ptr<GlobalSinkState> GetGlobalSinkState(ClientContext &context) const override {
		inputs->rows.emplace(context);
		return make_uniq<GlobalSinkState>();
	}
	SinkResultType Sink(ExecutionContext &context, DataChunk &chunk, OperatorSinkInput &) const override {
		DataChunk row_ids;
		Evaluate(context.client, expressions, chunk, row_ids);
		row_ids.Flatten();
		static_assert(sizeof(lm_diskann::RowId) == sizeof(row_t));
		const auto ids = reinterpret_cast<const lm_diskann::RowId *>(FlatVector::GetData<row_t>(row_ids.data[0]));
		const lock_guard<mutex> guard(inputs->lock);
		inputs->rows->Insert(lm_diskann::Span<const lm_diskann::RowId>(ids, chunk.size()));
		return SinkResultType::NEED_MORE_INPUT;
	}
	void BuildPipelines(Pipeline &current, MetaPipeline &meta_pipeline) override {
		op_state.reset();
		sink_state.reset();
		meta_pipeline.GetState().AddPipelineOperator(current, *this);
		meta_pipeline.CreateChildMetaPipeline(current, *this, MetaPipelineType::JOIN_BUILD).Build(children[1]);
		children[0].get().BuildPipelines(current, meta_pipeline);
	}
	vector<const_reference<PhysicalOperator>> GetSources() const override {
		return children[0].get().GetSources();
	}

private:
	shared_ptr<ScanInputs> inputs;
	const vector<unique_ptr<Expression>> expressions;
};

} // namespace

bool ScanInputs::IsSingleRow() const {
	return std::all_of(row_counts.begin(), row_counts.end(), [](idx_t count) { return count == 1; });
}

LogicalScanInput::LogicalScanInput(ScanInputKind kind_p, shared_ptr<ScanInputs> inputs_p,
                                   unique_ptr<LogicalOperator> scan, unique_ptr<LogicalOperator> other,
                                   vector<unique_ptr<Expression>> expressions_p, vector<idx_t> positions_p)
    : LogicalExtensionOperator(std::move(expressions_p)), kind(kind_p), inputs(std::move(inputs_p)),
      positions(std::move(positions_p)), number(inputs->row_counts.size()) {
	children.push_back(std::move(scan));
	children.push_back(std::move(other));
	if (kind == ScanInputKind::VALUES) {
		inputs->row_counts.push_back(0);
	} else {
		inputs->has_rows = true;
	}
}

PhysicalOperator &LogicalScanInput::CreatePlan(ClientContext &, PhysicalPlanGenerator &planner) {
	auto &scan = planner.CreatePlan(*children[0]);
	auto &other = planner.CreatePlan(*children[1]);
	if (kind == ScanInputKind::VALUES) {
		return planner.Make<PhysicalValuesInput>(types, scan, other, estimated_cardinality, inputs, number,
		                                         std::move(expressions), std::move(positions));
	}
	return planner.Make<PhysicalRowsInput>(types, scan, other, estimated_cardinality, inputs, std::move(expressions));
}

void LogicalScanInput::ResolveColumnBindings(ColumnBindingResolver &resolver, vector<ColumnBinding> &bindings) {
	resolver.VisitOperator(*children[1]);
	for (auto &expression : expressions) {
		resolver.VisitExpression(&expression);
	}
	resolver.VisitOperator(*children[0]);
	bindings = GetColumnBindings();
}

vector<ColumnBinding> LogicalScanInput::GetColumnBindings() {
	auto bindings = children[0]->GetColumnBindings();
	if (kind == ScanInputKind::VALUES) {
		const auto others = children[1]->GetColumnBindings();
		bindings.insert(bindings.end(), others.begin(), others.end());
	}
	return bindings;
}

void LogicalScanInput::ResolveTypes() {
	types = children[0]->types;
	if (kind == ScanInputKind::VALUES) {
		types.insert(types.end(), children[1]->types.begin(), children[1]->types.end());
	}
}

string LogicalScanInput::GetName() const {
	return kind == ScanInputKind::VALUES ? "LM_DISKANN_QUERY_INPUT" : "LM_DISKANN_ROWS_INPUT";
}

} // namespace duckdb
