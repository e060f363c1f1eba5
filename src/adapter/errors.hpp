// The one place where errors of the core become DuckDB's exceptions.
#pragma once

#include "duckdb/common/string.hpp"

namespace duckdb {

//! "LM_DISKANN index "name": ", the beginning of every message about one index.
string IndexMessagePrefix(const string &index_name);

//! For use inside a catch block: throws DuckDB's exception for the one being handled. Core errors become
//! UsageError -> BinderException, CorruptionError and FileError -> IOException, MemoryError and std::bad_alloc ->
//! OutOfMemoryException, InternalError -> InternalException, each with the prefix; DuckDB's own pass unchanged.
[[noreturn]] void RethrowAsDuckDBError(const string &index_name);

//! For use inside a catch block: the text of the exception being handled, without DuckDB's decoration.
string HandledErrorText();

//! Runs `action`; see RethrowAsDuckDBError.
template <class ACTION>
auto WithDuckDBErrors(const string &index_name, ACTION &&action) -> decltype(action()) {
	try {
		return action();
	} catch (...) {
		RethrowAsDuckDBError(index_name);
	}
}

} // namespace duckdb
