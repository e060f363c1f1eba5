#include "adapter/query_vector.hpp"

#include "duckdb/execution/expression_executor.hpp"

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

} // namespace

std::vector<float> EvaluateQueryVector(ClientContext &context, const Expression &expression,
                                       const lm_diskann::IndexConfiguration &configuration) {
	Value value;
	try {
		value = ExpressionExecutor::EvaluateScalar(context, expression, true);
	} catch (const Exception &) { // NOLINT: the plan above evaluates it again, if there is a row, and reports it
		return {};
	}
	if (value.IsNull()) {
		return {};
	}
	std::vector<float> query;
	const auto is_list = value.type().id() == LogicalTypeId::LIST;
	for (const auto &element : is_list ? ListValue::GetChildren(value) : ArrayValue::GetChildren(value)) {
		if (element.IsNull()) {
			return {};
		}
		// Widening a double beyond the range of float gives infinity, which is refused below.
		query.push_back(float(element.GetValue<double>()));
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
	const bool is_float = elements.GetType().id() == LogicalTypeId::FLOAT;
	const bool is_complete =
	    is_float ? CopyElements<float>(elements, row * dims, query) : CopyElements<double>(elements, row * dims, query);
	return is_complete && lm_diskann::IsIndexable(metric, query.data(), dims);
}

} // namespace duckdb
