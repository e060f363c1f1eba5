#include "adapter/vector_rows.hpp"

#include "index/options.hpp"

#include <algorithm>

namespace duckdb {

bool ReadVectorColumnType(const LogicalType &type, VectorColumnType &result) {
	if (type.id() != LogicalTypeId::ARRAY || ArrayType::IsAnySize(type)) {
		return false;
	}
	const auto dims = ArrayType::GetSize(type);
	if (dims < lm_diskann::DIMENSIONS_MIN || dims > lm_diskann::DIMENSIONS_MAX) {
		return false;
	}
	result.dims = uint32_t(dims);
	switch (ArrayType::GetChildType(type).id()) {
	case LogicalTypeId::FLOAT:
		result.element_type = lm_diskann::ElementType::FLOAT32;
		return true;
	case LogicalTypeId::TINYINT:
		result.element_type = lm_diskann::ElementType::INT8;
		return true;
	default:
		return false;
	}
}

VectorRows::VectorRows(VectorColumnType type_p) : type(type_p) {
}

template <class ELEMENT>
const ELEMENT *VectorRows::Compact(Vector &elements, idx_t count, std::vector<ELEMENT> &copies) {
	const auto source = FlatVector::GetData<ELEMENT>(elements);
	if (positions.size() == count) {
		return source;
	}
	copies.resize(positions.size() * type.dims);
	auto target = copies.data();
	for (const auto position : positions) {
		target = std::copy_n(source + position * type.dims, type.dims, target);
	}
	return copies.data();
}

void VectorRows::Read(Vector &vectors, Vector &row_id_vector, idx_t count) {
	vectors.Flatten(count);
	row_id_vector.Flatten(count);
	auto &elements = ArrayVector::GetEntry(vectors);
	elements.Flatten(count * type.dims);
	elements_buffer = elements.GetBuffer();
	const auto &row_validity = FlatVector::Validity(vectors);
	const auto &element_validity = FlatVector::Validity(elements);
	const auto ids = FlatVector::GetData<row_t>(row_id_vector);

	row_ids.clear();
	null_row_ids.clear();
	positions.clear();
	for (idx_t row = 0; row < count; row++) {
		bool has_vector = row_validity.RowIsValid(row);
		if (has_vector && !element_validity.AllValid()) {
			for (idx_t element = row * type.dims; element < (row + 1) * type.dims; element++) {
				has_vector = has_vector && element_validity.RowIsValid(element);
			}
		}
		auto &target = has_vector ? row_ids : null_row_ids;
		target.emplace_back(ids[row]);
		if (has_vector) {
			positions.push_back(row);
		}
	}

	batch = lm_diskann::VectorBatch();
	batch.row_ids = row_ids.data();
	batch.count = row_ids.size();
	if (type.element_type == lm_diskann::ElementType::FLOAT32) {
		batch.floats = Compact(elements, count, floats);
	} else {
		batch.bytes = Compact(elements, count, bytes);
	}
}

} // namespace duckdb
