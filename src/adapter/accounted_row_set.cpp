#include "adapter/accounted_row_set.hpp"

#include "adapter/instance_state.hpp"

#include "duckdb/main/database.hpp"

namespace duckdb {

AccountedRowSet::AccountedRowSet(ClientContext &context)
    : memory(std::make_unique<MemoryShare>(InstanceState::Get(DatabaseInstance::GetDatabase(context))->Account())) {
}
AccountedRowSet::AccountedRowSet(AccountedRowSet &&) noexcept = default;
AccountedRowSet &AccountedRowSet::operator=(AccountedRowSet &&) noexcept = default;
AccountedRowSet::~AccountedRowSet() = default;

void AccountedRowSet::Insert(lm_diskann::Span<const lm_diskann::RowId> row_ids) {
	rows.Insert(row_ids);
	memory->Resize(rows.MemoryBytes());
}

void AccountedRowSet::Merge(const AccountedRowSet &other) {
	rows.Merge(other.rows);
	memory->Resize(rows.MemoryBytes());
}

} // namespace duckdb
