// A set of row ids that a query keeps, at most an eighth of a byte a row of the table. It counts in memory_limit.
#pragma once

#include "index/row_set.hpp"

#include "duckdb/common/common.hpp"

#include <memory>

namespace duckdb {

class ClientContext;
class MemoryShare;

//! Not thread-safe.
class AccountedRowSet {
public:
	explicit AccountedRowSet(ClientContext &context);
	AccountedRowSet(AccountedRowSet &&) noexcept;
	AccountedRowSet &operator=(AccountedRowSet &&) noexcept;
	~AccountedRowSet();

	//! Throws OutOfMemoryException when DuckDB cannot make room for what the set has grown by.
	void Insert(lm_diskann::Span<const lm_diskann::RowId> row_ids);
	//! Adds every row of `other`.
	void Merge(const AccountedRowSet &other);
	const lm_diskann::RowSet &Rows() const {
		return rows;
	}

private:
	lm_diskann::RowSet rows;
	std::unique_ptr<MemoryShare> memory;
};

} // namespace duckdb
