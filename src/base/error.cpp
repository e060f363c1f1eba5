#include "base/error.hpp"

#include <cstring>

namespace lm_diskann {

void ThrowInternalError(const char *condition, const char *message, const char *file, int line) {
	const char *name = std::strrchr(file, '/');
	throw InternalError(std::string(message) + " (" + condition + " does not hold at " + (name ? name + 1 : file) +
	                    ":" + std::to_string(line) + ")");
}

} // namespace lm_diskann
