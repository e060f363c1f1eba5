#include "storage/file.hpp"

namespace lm_diskann {

void File::ReadBatch(Span<const ReadRequest> requests) const {
	for (const ReadRequest &request : requests) {
		Read(request.offset, request.target);
	}
}

} // namespace lm_diskann
