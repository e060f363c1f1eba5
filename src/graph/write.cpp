#include "graph/write.hpp"

#include <algorithm>

namespace lm_diskann {

namespace {

//! Bytes of pages one item makes; at least one page of any size.
constexpr size_t WRITE_ITEM_BYTES = 256 * 1024;
//! Finished items that wait for their turn, at most.
constexpr size_t FINISHED_MAX = 8;

} // namespace

GraphWriter::GraphWriter(BuildRows &rows_p, const GraphBuilder &builder_p, const Quantizer &quantizer_p,
                         const NodeLayout &layout_p, const std::vector<RowId> &row_ids_p,
                         const std::vector<uint16_t> &references_p, PageFile &file_p)
    : rows(rows_p), builder(builder_p), quantizer(quantizer_p), layout(layout_p), row_ids(row_ids_p),
      references(references_p), file(file_p) {
}

uint64_t GraphWriter::MemoryBytes(const NodeLayout &layout, size_t count) {
	return count * (layout.code_bytes + sizeof(CodeScalars)) + FINISHED_MAX * WRITE_ITEM_BYTES;
}

bool GraphWriter::NextPhase(Phase &phase) {
	if (!is_encoded) {
		StartEncoding(phase);
		is_encoded = true;
		return true;
	}
	if (next_bucket < rows.BucketCount()) {
		StartBucket(phase);
		return true;
	}
	return false;
}

void GraphWriter::StartEncoding(Phase &phase) {
	scalars.resize(rows.Count());
	codes = AlignedBuffer<uint8_t>(rows.Count() * size_t(layout.code_bytes));
	blocks = rows.BucketBlocks();
	phase.name = "encoding";
	phase.item_count = blocks.size();
	phase.run = [this](size_t item) { EncodeBlock(blocks[item]); };
	phase.progress_end = 0.5;
	const auto page_count = uint32_t(layout.PageCount(rows.Count()));
	if (page_count > 0) {
		file.ReservePages(page_count);
	}
}

void GraphWriter::EncodeBlock(const std::pair<uint32_t, size_t> &block) {
	std::vector<float> scratch;
	rows.ForEachNode(block, [&](NodeId node, const float *vector) {
		uint8_t *code = codes.data() + node.value * size_t(layout.code_bytes);
		scalars[node.value] = quantizer.Encode(vector, references[node.value], code, scratch);
	});
}

void GraphWriter::StartBucket(Phase &phase) {
	rows.LoadBucket(next_bucket);
	page_begin = layout.PageCount(rows.BucketBegin(next_bucket).value);
	page_end = layout.PageCount(rows.BucketBegin(next_bucket + 1).value);
	phase.progress_begin = 0.5 + 0.5 * double(next_bucket) / double(rows.BucketCount());
	next_bucket++;
	phase.progress_end = 0.5 + 0.5 * double(next_bucket) / double(rows.BucketCount());
	next_item = 0;
	const size_t pages_per_item = WRITE_ITEM_BYTES / layout.page_size;
	phase.name = "writing";
	phase.item_count = (page_end - page_begin + pages_per_item - 1) / pages_per_item;
	phase.run = [this](size_t item) { WriteItem(item); };
}

void GraphWriter::WriteItem(size_t item) {
	try {
		const size_t pages_per_item = WRITE_ITEM_BYTES / layout.page_size;
		const size_t first_page = page_begin + item * pages_per_item;
		PassOn(item, MakePages(first_page, std::min(pages_per_item, page_end - first_page)));
	} catch (...) {
		const std::lock_guard<std::mutex> guard(mutex);
		has_failed = true;
		turn.notify_all();
		throw;
	}
}

AlignedBuffer<uint8_t> GraphWriter::MakePages(size_t first_page, size_t count) {
	AlignedBuffer<uint8_t> pages(count * layout.page_size);
	std::vector<NodeEdge> edges;
	for (size_t i = first_page * layout.nodes_per_page; i < (first_page + count) * layout.nodes_per_page; i++) {
		const NodeId node = NodeId(uint32_t(i));
		uint8_t *page = pages.data() + (layout.PageOf(node).value - first_page) * layout.page_size;
		if (i >= rows.Count()) {
			ClearRow(layout, page, node);
			continue;
		}
		edges.clear();
		for (const uint32_t neighbor : builder.Neighbors(node)) {
			edges.push_back({NodeId(neighbor), scalars[neighbor], codes.data() + neighbor * size_t(layout.code_bytes),
			                 builder.AnchorOf(NodeId(neighbor)) == node});
		}
		const uint8_t *vector = rows.LoadedVector(node);
		const bool is_float = layout.element_type == ElementType::FLOAT32;
		WriteNode(layout, page, node, row_ids[i], is_float ? reinterpret_cast<const float *>(vector) : nullptr,
		          is_float ? nullptr : reinterpret_cast<const int8_t *>(vector), edges, builder.FillCount(node));
	}
	return pages;
}

void GraphWriter::PassOn(size_t item, AlignedBuffer<uint8_t> pages) {
	std::unique_lock<std::mutex> guard(mutex);
	turn.wait(guard, [&] { return has_failed || item == next_item || finished.size() < FINISHED_MAX; });
	finished.emplace(item, std::move(pages));
	const size_t pages_per_item = WRITE_ITEM_BYTES / layout.page_size;
	for (auto next = finished.begin(); !has_failed && next != finished.end() && next->first == next_item;
	     next = finished.begin()) {
		file.WritePages(PageId(uint32_t(page_begin + next_item * pages_per_item)), PageKind::NODES,
		                next->second.span());
		finished.erase(next);
		next_item++;
	}
	turn.notify_all();
}

} // namespace lm_diskann
