#include "adapter/errors.hpp"

#include "base/error.hpp"

#include "duckdb/common/error_data.hpp"
#include "duckdb/common/exception.hpp"
#include "duckdb/common/exception/binder_exception.hpp"

#include <new>

namespace duckdb {

string IndexMessagePrefix(const string &index_name) {
	return "LM_DISKANN index \"" + index_name + "\": ";
}

void RethrowAsDuckDBError(const string &index_name) {
	const auto prefix = IndexMessagePrefix(index_name);
	try {
		throw;
	} catch (const lm_diskann::UsageError &error) {
		throw BinderException(prefix + error.what());
	} catch (const lm_diskann::CorruptionError &error) {
		throw IOException(prefix + error.what());
	} catch (const lm_diskann::FileError &error) {
		throw IOException(prefix + error.what());
	} catch (const lm_diskann::MemoryError &error) {
		throw OutOfMemoryException(prefix + error.what());
	} catch (const lm_diskann::InternalError &error) {
		throw InternalException(prefix + error.what());
	} catch (const std::bad_alloc &) {
		throw OutOfMemoryException(prefix + "the system refused an allocation");
	}
}

string HandledErrorText() {
	try {
		throw;
	} catch (const std::exception &error) {
		// DuckDB keeps type and extra fields inside what(); ErrorData takes them apart.
		return ErrorData(error).RawMessage();
	} catch (...) {
		return "an exception of unknown type";
	}
}

} // namespace duckdb
