// Changes of edge lists, planned while the graph is read and applied at once: each page is written a single time.
#pragma once

#include "graph/graph.hpp"

#include <deque>
#include <functional>
#include <vector>

namespace lm_diskann {

//! Codes with stable addresses, all of one size. Belongs to one thread.
class CodeArena {
public:
	explicit CodeArena(uint32_t code_bytes_p) : code_bytes(code_bytes_p) {
	}

	//! Room for one code.
	uint8_t *Allocate();
	//! A copy.
	const uint8_t *Add(const uint8_t *code);
	uint64_t MemoryBytes() const;

private:
	static constexpr size_t CHUNK_CODES = 256;

	uint32_t code_bytes;
	size_t used_in_last = CHUNK_CODES;
	std::deque<std::vector<uint8_t>> chunks;
};

//! Replaces a page of nodes by a copy that `change` was made to. Called by the file's one changing thread. Throws
//! CorruptionError, FileError.
void ChangePage(Graph &graph, PageId id, const std::function<void(uint8_t *page)> &change);

//! Applies edits, ascending by node and one a node, through the cache. Returns the number of pages written. Called by
//! the file's one changing thread. Throws CorruptionError, FileError; then the file is poisoned or nothing changed in
//! the page at hand, but pages before it may have.
uint64_t ApplyEdits(Graph &graph, Span<const EdgeEdit> edits);

} // namespace lm_diskann
