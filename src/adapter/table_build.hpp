// Building an index over a table that others change meanwhile: what CREATE INDEX and a rebuild share.
//
// In order: note how many rows there are; scan them (COMMITTED) into the builder; build, with any number of threads;
// publish and move the file into place; then, under the table's append lock, offer what the scan may have missed
// (lifecycle trap 9) and hand the index over before the lock goes.
#pragma once

#include "adapter/instance_state.hpp"
#include "adapter/row_scan.hpp"

#include "duckdb/common/atomic.hpp"

#include "index/ann_index.hpp"

namespace duckdb {

//! Errors of the core arrive as DuckDB's.
class TableBuild {
public:
	//! `operation` is its name in lm_diskann_progress().
	TableBuild(ClientContext &context, DataTable &table_p, string index_name_p,
	           const lm_diskann::IndexConfiguration &configuration_p, IndexedColumn column_p, const char *operation);
	//! Removes the scratch file, and the file unless Keep was called.
	~TableBuild();

	//! Scanned rows. Thread-safe; `seen_rows` belongs to the thread and is merged at its end.
	void Add(const VectorRows &rows, RowBitmap &thread_rows);
	void Merge(const RowBitmap &thread_rows);

	//! Ends adding and creates the file, under its temporary name.
	void Start();
	//! See IndexBuilder.
	lm_diskann::WorkState Work();
	double Progress() const;
	//! After the work: the index, durable so far and under the file's final name. Logs how many vectors it leaves out.
	std::shared_ptr<lm_diskann::AnnIndex> Finish(ClientContext &context);
	//! The caller holds the table's append lock, and does so until the index receives changes.
	void CatchUp(ClientContext &context, lm_diskann::AnnIndex &core);
	//! The index was handed over, and its file with it.
	void Keep() {
		is_kept = true;
	}

	const string &IndexName() const {
		return index_name;
	}
	//! Null before Start and for an index in RAM.
	const std::shared_ptr<IndexFile> &File() const {
		return file;
	}
	//! Rows that the scan has to cover: none of them can be taken back, and its id given to another row.
	idx_t RowCountAtStart() const {
		return row_count_at_start;
	}

private:
	lm_diskann::BuildResources Resources(uint64_t memory_max);

	DataTable &table;
	const string index_name;
	const lm_diskann::IndexConfiguration configuration;
	const IndexedColumn column;
	//! What the build holds, reserved in DuckDB; declared before the builder, which goes first.
	MemoryShare memory;
	unique_ptr<lm_diskann::IndexBuilder> builder;
	std::shared_ptr<IndexFile> file;
	//! Vectors that memory has no room for, under a temporary name: a crash leaves it to the collection of garbage.
	std::shared_ptr<IndexFile> scratch;
	bool is_kept = false;
	idx_t row_count_at_start = 0;
	mutex lock;
	RowBitmap seen_rows;

	OperationProgress Poll();
	//! Held to look at the builder from outside, and to let go of it.
	mutex poll_lock;
	//! What goes on where the builder does not tell.
	atomic<const char *> stage {"scanning"};
	//! Goes first.
	unique_ptr<OperationList::Entry> entry;
};

//! Gives the index rows as the table has them. Errors of the core.
void OfferRows(const VectorRows &rows, lm_diskann::AnnIndex &core);

//! Offers what a scan of the rows [begin, settled) as COMMITTED, which saw `seen_rows`, may have missed, and all rows
//! from there on (lifecycle trap 9); then every row is covered. The caller holds the table's append lock.
void OfferLateRows(ClientContext &context, DataTable &table, const IndexedColumn &column, idx_t begin, idx_t settled,
                   const RowBitmap &seen_rows, lm_diskann::AnnIndex &core);

} // namespace duckdb
