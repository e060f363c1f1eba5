// What the phases of one CREATE INDEX share.
#pragma once

#include "adapter/create_index.hpp"
#include "adapter/live_index.hpp"
#include "adapter/vector_rows.hpp"

#include "index/ann_index.hpp"

namespace duckdb {

class DataTable;

//! A set of row ids below some bound, one bit each.
class RowBitmap {
public:
	void Add(row_t row_id);
	bool Contains(row_t row_id) const;
	void Merge(const RowBitmap &other);

private:
	std::vector<uint64_t> words;
};

//! The hard budget of one build: what is granted is also reserved in DuckDB, and given back at the end. Thread-safe.
class BuildMemory {
public:
	BuildMemory(ClientContext &context, string index_name_p);

	//! Throws OutOfMemoryException beyond the budget, or when DuckDB cannot make room.
	void Reserve(uint64_t bytes);
	void ReleaseAll();

private:
	const string index_name;
	const uint64_t budget_bytes;
	mutex lock;
	uint64_t granted_bytes = 0;
	MemoryShare share;
};

struct CreateIndexSinkState : public GlobalSinkState {
	CreateIndexSinkState(ClientContext &context, const PhysicalCreateLmDiskann &op);
	//! Removes the file unless the index was handed to the table.
	~CreateIndexSinkState() override;

	//! Declared before the builder, which gives back what it reserved when it goes.
	BuildMemory memory;
	unique_ptr<lm_diskann::IndexBuilder> builder;
	//! Null for an index in RAM.
	std::shared_ptr<IndexFile> file;
	bool is_registered = false;
	//! Rows of the table when the scan began, with no append under way.
	idx_t row_count_at_start = 0;
	mutex lock;
	//! Rows the scan saw.
	RowBitmap seen_rows;
	atomic<bool> is_building {false};
};

//! Offers to `core` every row the scan may have missed (lifecycle trap 9). The caller holds the table's append lock;
//! returns the rows of the table under it.
idx_t CatchUpWithTable(ClientContext &context, DataTable &table, const PhysicalCreateLmDiskann &op,
                       const CreateIndexSinkState &state, lm_diskann::AnnIndex &core);

//! The event that runs the builder with all threads and then calls op.Register.
shared_ptr<Event> MakeBuildEvent(Pipeline &pipeline, const PhysicalCreateLmDiskann &op, CreateIndexSinkState &state);

} // namespace duckdb
