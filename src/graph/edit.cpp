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

void ChangePage(Graph &graph, PageId id, const std::function<void(uint8_t *page)> &change) {
	AlignedBuffer<uint8_t> page(graph.layout.page_size);
	PageCacheCounters counters;
	{
		const PageRef present = graph.cache->Pin(graph.file_key, id, PageKind::NODES, counters);
		std::memcpy(page.data(), present.data(), page.size());
	}
	change(page.data());
	graph.cache->Put(graph.file_key, id, PageKind::NODES, page.span());
}

uint64_t ApplyEdits(Graph &graph, Span<const EdgeEdit> edits) {
	const NodeLayout &layout = graph.layout;
	uint64_t page_count = 0;
	for (size_t i = 0; i < edits.size(); page_count++) {
		const PageId id = layout.PageOf(edits[i].node);
		ChangePage(graph, id, [&](uint8_t *page) {
			for (; i < edits.size() && layout.PageOf(edits[i].node) == id; i++) {
				EditNode(layout, page, edits[i]);
			}
		});
	}
	return page_count;
}

} // namespace lm_diskann
