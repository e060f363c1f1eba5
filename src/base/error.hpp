// The errors of the core. The adapter maps each to one DuckDB exception, in one place.
#pragma once

#include <stdexcept>
#include <string>

namespace lm_diskann {

//! Bytes in a file are not what the format says: bad checksum, bound, id or version.
class CorruptionError : public std::runtime_error {
	using std::runtime_error::runtime_error;
};

//! A caller asked for something that is not allowed: an option out of range, an unknown name.
class UsageError : public std::runtime_error {
	using std::runtime_error::runtime_error;
};

//! An invariant of this code does not hold.
class InternalError : public std::runtime_error {
	using std::runtime_error::runtime_error;
};

//! The file system refused or failed; after a failed write, resize or sync the file is poisoned.
class FileError : public std::runtime_error {
	using std::runtime_error::runtime_error;
};

//! A budget does not allow the allocation.
class MemoryError : public std::runtime_error {
	using std::runtime_error::runtime_error;
};

//! Throws InternalError with the place; out of line so that checks stay small.
[[noreturn]] void ThrowInternalError(const char *condition, const char *message, const char *file, int line);

} // namespace lm_diskann

//! Checks an invariant outside hot loops, in every build.
#define LMD_CHECK(condition, message)                                                                                  \
	do {                                                                                                               \
		if (!(condition)) {                                                                                            \
			::lm_diskann::ThrowInternalError(#condition, message, __FILE__, __LINE__);                                 \
		}                                                                                                              \
	} while (false)

//! The same in hot loops: only in builds with LMD_DEBUG_CHECKS (the sanitizer builds).
#ifdef LMD_DEBUG_CHECKS
#define LMD_DCHECK(condition, message) LMD_CHECK(condition, message)
#else
#define LMD_DCHECK(condition, message)                                                                                 \
	do {                                                                                                               \
	} while (false)
#endif
