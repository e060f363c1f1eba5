// Operators that give an index scan what other parts of the statement compute: a query vector from a subquery or from
// another row, and the rows that a semi-join lets pass.
//
// An input stands above the scan and has two children: the plan that leads to the scan, and the other part. The other
// part runs first, to its end; then the scan begins. DuckDB's optimizer works inside both, but cannot move one through.
#pragma once

#include "adapter/accounted_row_set.hpp"

#include "duckdb/common/mutex.hpp"
#include "duckdb/planner/operator/logical_extension_operator.hpp"

#include <optional>

namespace duckdb {

//! What the inputs of one scan have computed in the present execution. Complete when the scan begins.
struct ScanInputs {
	vector<Value> values;
	//! True: there is a ROWS input.
	bool has_rows = false;
	std::optional<AccountedRowSet> rows;
	//! Of each VALUES input.
	vector<idx_t> row_counts;
	//! Guards all of it while inputs run.
	mutex lock;

	//! False: some VALUES input had no row, or several.
	bool IsSingleRow() const;
};

enum class ScanInputKind : uint8_t {
	//! A cross product with a part that is expected to have one row: the values of the expressions in that row.
	VALUES,
	//! Passes the rows of the scan on; the other part's row ids are those that the scan may return.
	ROWS
};

class LogicalScanInput : public LogicalExtensionOperator {
public:
	//! `expressions_p` are over the columns of `other`: the row id, or values, with their positions in
	//! `inputs_p->values`.
	LogicalScanInput(ScanInputKind kind_p, shared_ptr<ScanInputs> inputs_p, unique_ptr<LogicalOperator> scan,
	                 unique_ptr<LogicalOperator> other, vector<unique_ptr<Expression>> expressions_p,
	                 vector<idx_t> positions_p);

	PhysicalOperator &CreatePlan(ClientContext &context, PhysicalPlanGenerator &planner) override;
	void ResolveColumnBindings(ColumnBindingResolver &resolver, vector<ColumnBinding> &bindings) override;
	vector<ColumnBinding> GetColumnBindings() override;
	string GetName() const override;
	bool SupportSerialization() const override {
		return false;
	}

protected:
	void ResolveTypes() override;

private:
	const ScanInputKind kind;
	shared_ptr<ScanInputs> inputs;
	vector<idx_t> positions;
	//! Which of the VALUES inputs.
	idx_t number;
};

} // namespace duckdb
