#include "graph/edit.hpp"

#include "base/error.hpp"

#include <cstring>

namespace lm_diskann {

uint8_t *CodeArena::Allocate() {
	if (used_in_last == CHUNK_CODES) {
		chunks.emplace_back(CHUNK_CODES * size_t(code_bytes));
		used_in_last = 0;
	}
	return chunks.back().data() + code_bytes * used_in_last++;
}

const uint8_t *CodeArena::Add(const uint8_t *code) {
	uint8_t *copy = Allocate();
	std::memcpy(copy, code, code_bytes);
	return copy;
}

uint64_t CodeArena::MemoryBytes() const {
	return chunks.size() * CHUNK_CODES * uint64_t(code_bytes);
}

uint64_t ApplyEdits(Graph &graph, Span<const EdgeEdit> edits) {
	const NodeLayout &layout = graph.layout;
	AlignedBuffer<uint8_t> page(layout.page_size);
	PageCacheCounters counters;
	uint64_t page_count = 0;
	for (size_t i = 0; i < edits.size();) {
		const PageId id = layout.PageOf(edits[i].node);
		{
			const PageRef present = graph.cache->Pin(graph.file_key, id, PageKind::NODES, counters);
			std::memcpy(page.data(), present.data(), layout.page_size);
		}
		for (; i < edits.size() && layout.PageOf(edits[i].node) == id; i++) {
			EditNode(layout, page.data(), edits[i].node, edits[i].kept, edits[i].added);
		}
		graph.cache->Put(graph.file_key, id, PageKind::NODES, page.span());
		page_count++;
	}
	return page_count;
}

} // namespace lm_diskann
