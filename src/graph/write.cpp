#include "graph/write.hpp"

#include <algorithm>

namespace lm_diskann {

namespace {

constexpr size_t ENCODE_ITEM_SIZE = 512;
//! Bytes of pages one item makes; at least one page of any size.
constexpr size_t WRITE_ITEM_BYTES = 256 * 1024;
//! Finished items that wait for their turn, at most.
constexpr size_t FINISHED_MAX = 8;

} // namespace

GraphWriter::GraphWriter(const BuildSpace &space_p, const GraphBuilder &builder_p, const Quantizer &quantizer_p,
                         const NodeLayout &layout_p, const std::vector<RowId> &row_ids_p, PageFile &file_p)
    : space(space_p), builder(builder_p), quantizer(quantizer_p), layout(layout_p), row_ids(row_ids_p), file(file_p) {
}

uint64_t GraphWriter::MemoryBytes(const NodeLayout &layout, size_t count) {
	return count * (layout.code_bytes + sizeof(CodeScalars)) + FINISHED_MAX * WRITE_ITEM_BYTES;
}

bool GraphWriter::NextPhase(Phase &phase) {
	phase_number++;
	if (phase_number == 1) {
		scalars.resize(space.Count());
		codes = AlignedBuffer<uint8_t>(space.Count() * size_t(layout.code_bytes));
		phase.name = "encoding";
		phase.item_count = (space.Count() + ENCODE_ITEM_SIZE - 1) / ENCODE_ITEM_SIZE;
		phase.run = [this](size_t item) { EncodeItem(item); };
		return true;
	}
	if (phase_number == 2) {
		page_count = uint32_t(layout.PageCount(space.Count()));
		if (page_count > 0) {
			file.ReservePages(page_count);
		}
		const size_t pages_per_item = WRITE_ITEM_BYTES / layout.page_size;
		phase.name = "writing";
		phase.item_count = (page_count + pages_per_item - 1) / pages_per_item;
		phase.run = [this](size_t item) { WriteItem(item); };
		return true;
	}
	return false;
}

double GraphWriter::Progress() const {
	const size_t total = 2 * space.Count();
	return total == 0 ? 1.0 : double(done_count.load(std::memory_order_relaxed)) / double(total);
}

void GraphWriter::EncodeItem(size_t item) {
	std::vector<float> scratch;
	std::vector<float> widened(layout.dims);
	const size_t end = std::min(space.Count(), (item + 1) * ENCODE_ITEM_SIZE);
	for (size_t i = item * ENCODE_ITEM_SIZE; i < end; i++) {
		const float *vector = space.AsFloats(NodeId(uint32_t(i)), widened.data());
		scalars[i] = quantizer.Encode(vector, codes.data() + i * layout.code_bytes, scratch);
		done_count.fetch_add(1, std::memory_order_relaxed);
	}
}

void GraphWriter::WriteItem(size_t item) {
	try {
		const size_t pages_per_item = WRITE_ITEM_BYTES / layout.page_size;
		const size_t first_page = item * pages_per_item;
		const size_t count = std::min<size_t>(pages_per_item, page_count - first_page);
		AlignedBuffer<uint8_t> pages(count * layout.page_size);
		std::vector<ScoredNode> neighbors;
		std::vector<NodeEdge> edges;
		const size_t end = std::min<size_t>(space.Count(), (first_page + count) * layout.nodes_per_page);
		for (size_t i = first_page * layout.nodes_per_page; i < end; i++) {
			const NodeId node = NodeId(uint32_t(i));
			builder.SaturatedNeighbors(node, neighbors);
			edges.clear();
			for (const ScoredNode &neighbor : neighbors) {
				const size_t other = neighbor.node.value;
				edges.push_back({neighbor.node, scalars[other], codes.data() + other * layout.code_bytes,
				                 builder.AnchorOf(neighbor.node) == node});
			}
			uint8_t *page = pages.data() + (layout.PageOf(node).value - first_page) * layout.page_size;
			WriteNode(layout, page, node, row_ids[i], space.Floats(node), space.Bytes(node), edges);
			done_count.fetch_add(1, std::memory_order_relaxed);
		}
		for (size_t i = end; i < (first_page + count) * layout.nodes_per_page; i++) {
			const NodeId unused = NodeId(uint32_t(i));
			ClearRow(layout, pages.data() + (layout.PageOf(unused).value - first_page) * layout.page_size, unused);
		}
		PassOn(item, std::move(pages));
	} catch (...) {
		const std::lock_guard<std::mutex> guard(mutex);
		has_failed = true;
		turn.notify_all();
		throw;
	}
}

void GraphWriter::PassOn(size_t item, AlignedBuffer<uint8_t> pages) {
	std::unique_lock<std::mutex> guard(mutex);
	turn.wait(guard, [&] { return has_failed || item == next_item || finished.size() < FINISHED_MAX; });
	finished.emplace(item, std::move(pages));
	const size_t pages_per_item = WRITE_ITEM_BYTES / layout.page_size;
	for (auto next = finished.begin(); !has_failed && next != finished.end() && next->first == next_item;
	     next = finished.begin()) {
		file.WritePages(PageId(uint32_t(next_item * pages_per_item)), PageKind::NODES, next->second.span());
		finished.erase(next);
		next_item++;
	}
	turn.notify_all();
}

} // namespace lm_diskann
