#include "adapter/query_vector.hpp"

#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_parameter_expression.hpp"

namespace duckdb {

namespace {

template <class ELEMENT>
bool CopyElements(Vector &elements, idx_t begin, std::vector<float> &query) {
	const auto source = FlatVector::GetData<ELEMENT>(elements);
	const auto &validity = FlatVector::Validity(elements);
	for (idx_t i = 0; i < query.size(); i++) {
		if (!validity.RowIsValid(begin + i)) {
			return false;
		}
		// Beyond the range of float this gives infinity, which nobody can search for.
		query[i] = float(source[begin + i]);
	}
	return true;
}

bool CopyElements(Vector &elements, idx_t begin, std::vector<float> &query) {
	return elements.GetType().id() == LogicalTypeId::FLOAT ? CopyElements<float>(elements, begin, query)
	                                                       : CopyElements<double>(elements, begin, query);
}

//! The value of an expression that is one without any work; null: it has to be evaluated.
optional_ptr<const Value> StoredValue(const Expression &expression) {
	if (expression.GetExpressionClass() == ExpressionClass::BOUND_CONSTANT) {
		return expression.Cast<BoundConstantExpression>().value;
	}
	if (expression.GetExpressionClass() == ExpressionClass::BOUND_PARAMETER) {
		const auto &parameter = expression.Cast<BoundParameterExpression>().parameter_data;
		// Of another type it is for DuckDB to cast.
		if (parameter && parameter->GetValue().type() == expression.return_type) {
			return parameter->GetValue();
		}
	}
	return nullptr;
}

template <class ELEMENT>
bool CopyValues(const vector<Value> &values, std::vector<float> &query) {
	query.reserve(values.size());
	for (const auto &value : values) {
		if (value.IsNull()) {
			return false;
		}
		query.push_back(float(value.GetValueUnsafe<ELEMENT>()));
	}
	return true;
}

//! False: NULL, or one of its elements is.
bool ReadValue(const Value &value, std::vector<float> &query) {
	if (value.IsNull()) {
		return false;
	}
	const auto is_list = value.type().id() == LogicalTypeId::LIST;
	const auto &elements = is_list ? ListValue::GetChildren(value) : ArrayValue::GetChildren(value);
	const auto &type = is_list ? ListType::GetChildType(value.type()) : ArrayType::GetChildType(value.type());
	return type.id() == LogicalTypeId::FLOAT ? CopyValues<float>(elements, query) : CopyValues<double>(elements, query);
}

//! The same of an expression that has to be evaluated. Throws what evaluating it throws.
bool ReadResult(ClientContext &context, const Expression &expression, std::vector<float> &query) {
	ExpressionExecutor executor(context, expression);
	Vector result(expression.return_type);
	executor.ExecuteExpression(result);
	result.Flatten(1);
	if (!FlatVector::Validity(result).RowIsValid(0)) {
		return false;
	}
	const auto is_list = result.GetType().id() == LogicalTypeId::LIST;
	const auto entry =
	    is_list ? FlatVector::GetData<list_entry_t>(result)[0] : list_entry_t(0, ArrayType::GetSize(result.GetType()));
	auto &elements = is_list ? ListVector::GetEntry(result) : ArrayVector::GetEntry(result);
	elements.Flatten(entry.offset + entry.length);
	query.resize(entry.length);
	return CopyElements(elements, entry.offset, query);
}

} // namespace

std::vector<float> EvaluateQueryVector(ClientContext &context, const Expression &expression,
                                       const lm_diskann::IndexConfiguration &configuration) {
	std::vector<float> query;
	const auto stored = StoredValue(expression);
	try {
		if (stored ? !ReadValue(*stored, query) : !ReadResult(context, expression, query)) {
			return {};
		}
	} catch (const Exception &) { // NOLINT: the plan above evaluates it again, if there is a row, and reports it
		return {};
	}
	if (query.size() != configuration.dims ||
	    !lm_diskann::IsIndexable(configuration.metric, query.data(), query.size())) {
		return {};
	}
	return query;
}

bool ReadQueryVector(Vector &vectors, idx_t row, lm_diskann::Metric metric, std::vector<float> &query) {
	if (!FlatVector::Validity(vectors).RowIsValid(row)) {
		return false;
	}
	const auto dims = ArrayType::GetSize(vectors.GetType());
	auto &elements = ArrayVector::GetEntry(vectors);
	query.resize(dims);
	return CopyElements(elements, row * dims, query) && lm_diskann::IsIndexable(metric, query.data(), dims);
}

} // namespace duckdb
