// Property: a batch is what the vectors held when they were read, whatever their representation and even when nobody
// else keeps their memory. A replay of the log hands over slices of a chunk, which become vectors of their own.
#include "adapter/vector_rows.hpp"

#include "duckdb/common/types/data_chunk.hpp"

#include <gtest/gtest.h>

namespace {

using namespace duckdb; // NOLINT

constexpr idx_t DIMS = 4;
constexpr idx_t COUNT = 100;

//! Rows 0, 1, 2, ... whose elements are all the row's number, except that row `null_row` has no vector.
void Fill(DataChunk &chunk, optional_idx null_row) {
	chunk.Initialize(Allocator::DefaultAllocator(),
	                 {LogicalType::ARRAY(LogicalType::FLOAT, DIMS), LogicalType::ROW_TYPE});
	for (idx_t row = 0; row < COUNT; row++) {
		const auto elements = Value::ARRAY(LogicalType::FLOAT, vector<Value>(DIMS, Value::FLOAT(float(row))));
		chunk.SetValue(0, row, null_row == optional_idx(row) ? Value() : elements);
		chunk.SetValue(1, row, Value::BIGINT(int64_t(row)));
	}
	chunk.SetCardinality(COUNT);
}

void ExpectRows(const VectorRows &rows, idx_t first) {
	const auto &batch = rows.Batch();
	for (idx_t i = 0; i < batch.count; i++) {
		const auto row = first + i;
		EXPECT_EQ(batch.row_ids[i].value, int64_t(row));
		for (idx_t element = 0; element < DIMS; element++) {
			EXPECT_EQ(batch.floats[i * DIMS + element], float(row));
		}
	}
}

TEST(VectorRows, ABatchOutlivesTheVectorsItWasReadFrom) {
	VectorRows rows({lm_diskann::ElementType::FLOAT32, DIMS});
	weak_ptr<VectorBuffer> memory;
	{
		DataChunk chunk;
		Fill(chunk, optional_idx());
		// As DuckDB slices a range of buffered rows.
		const SelectionVector slice(10, 20);
		chunk.data[0].Slice(slice, 20);
		Vector vectors(chunk.data[0]);
		Vector row_ids(chunk.data[1], slice, 20);
		rows.Read(vectors, row_ids, 20);
		memory = ArrayVector::GetEntry(vectors).GetBuffer();
	}
	ASSERT_FALSE(memory.expired()) << "the batch points into memory that was given back";
	EXPECT_EQ(rows.Batch().count, 20U);
	ExpectRows(rows, 10);
}

TEST(VectorRows, RowsWithoutAVectorAreApart) {
	VectorRows rows({lm_diskann::ElementType::FLOAT32, DIMS});
	DataChunk chunk;
	Fill(chunk, 0);
	rows.Read(chunk.data[0], chunk.data[1], COUNT);
	EXPECT_EQ(rows.Batch().count, COUNT - 1);
	ASSERT_EQ(rows.NullRowIds().size(), 1U);
	EXPECT_EQ(rows.NullRowIds()[0].value, 0);
	ExpectRows(rows, 1);
}

} // namespace
