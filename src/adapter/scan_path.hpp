// The way from an operator that wants the nearest rows down to the scan of the indexed column, and what stands on it.
//
// In a bound plan, before DuckDB's passes, these operators may stand between ORDER BY and the scan:
//   projection        the key is rewritten into what it projects;
//   filter            its conditions move into the scan, for rows that fail must not take the place of rows that pass;
//   cross product     with something of one row, as DuckDB plans a scalar subquery: an input of the scan, which gives
//                     the query vector, and values to conditions;
//   mark, single join pass every row on once; they stay;
//   semi, anti join   and filters on a mark: with all below them they become an input that yields row ids.
// Anything else may multiply or lose rows: there is no path then, and DuckDB's exact plan runs.
#pragma once

#include "adapter/distance_match.hpp"
#include "adapter/index_scan.hpp"

#include "duckdb/planner/operator/logical_get.hpp"

namespace duckdb {

class Binder;
class BoundColumnRefExpression;

class ScanPath {
public:
	//! Follows `root` down to the column that `key` measures the distance of (`is_similarity`: the similarity). `key`
	//! and `extra_condition` (may be null) are over the columns of `root`; rows must satisfy the condition, too. False:
	//! there is no path. Nothing in the plan changes, but that filters are split at AND.
	bool Find(unique_ptr<LogicalOperator> &root, const Expression &key, bool is_similarity,
	          unique_ptr<Expression> extra_condition);

	//! Over the scan's columns; the query is over values of inputs.
	const DistanceMatch &Match() const {
		return *match;
	}
	const LogicalGet &Get() const {
		return *get;
	}
	bool HasFilter() const {
		return cut.IsValid() || !conditions.empty();
	}

	//! Puts an index scan with `bind_data` in the place of the scan, with the path's conditions and inputs.
	void Rewrite(ClientContext &context, Binder &binder, unique_ptr<IndexScanBindData> bind_data);

private:
	enum class Role : uint8_t { PROJECTION, FILTER, PRODUCT, PASSING, ROWS, SCAN };
	struct Place {
		Role role;
		unique_ptr<LogicalOperator> *slot;
		//! The child that leads to the scan.
		idx_t child = 0;
		//! Of a product: conditions on its other child alone.
		vector<unique_ptr<Expression>> other_conditions;
	};
	struct Condition {
		//! Of which filter, and its expression there; invalid: of none.
		optional_idx place;
		idx_t position = 0;
		//! Over the columns of the scan and of products, once the path was followed.
		unique_ptr<Expression> expression;
		bool has_scan_columns = false;
		//! Columns of joins on the path.
		bool has_foreign_columns = false;
		//! Places of the products whose columns it has.
		set<idx_t> products;
	};
	struct ProductValue {
		idx_t place;
		ColumnBinding binding;
		LogicalType type;
	};

	bool Descend(unique_ptr<LogicalOperator> &root);
	bool Enter(LogicalOperator &op, Place &place);
	bool ChooseProductSide(LogicalOperator &product, idx_t &child) const;
	bool Inspect(Condition &condition) const;
	bool FindCut();
	bool MatchKey(bool is_similarity);
	optional_idx ProductOf(const ColumnBinding &binding) const;
	idx_t ValueOf(const BoundColumnRefExpression &column);
	void ReplaceProductColumns(unique_ptr<Expression> &expression);
	void ReplaceScanColumns(unique_ptr<Expression> &expression, RowConditions &filter) const;
	void MoveConditions(RowConditions &filter);
	void InstallScan(Binder &binder, unique_ptr<IndexScanBindData> bind_data);
	void InstallProducts(const shared_ptr<ScanInputs> &inputs);

	vector<Place> places;
	LogicalGet *get = nullptr;
	//! The first place of what becomes a ROWS input.
	optional_idx cut;
	unique_ptr<Expression> key;
	vector<Condition> conditions;
	std::optional<DistanceMatch> match;
	//! Columns of products that the key and conditions need: value i of the inputs.
	vector<ProductValue> values;
};

} // namespace duckdb
