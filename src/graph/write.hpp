// The last phases of a bulk build: every vector is encoded once, then blocks are put together in node order and written
// as one sequential run of pages. All codes are in RAM meanwhile: each of them is copied into many blocks.
#pragma once

#include "graph/build.hpp"
#include "graph/build_rows.hpp"
#include "storage/page_file.hpp"

#include <condition_variable>
#include <map>
#include <mutex>

namespace lm_diskann {

//! Writes the graph of a finished GraphBuilder into an empty page file, nodes 0..n-1 into pages 0..
class GraphWriter {
public:
	//! `rows_p` are arranged; `row_ids[node]`: the row of each node, `references[node]`: its nearest reference. All
	//! arguments outlive the writer.
	GraphWriter(BuildRows &rows_p, const GraphBuilder &builder_p, const Quantizer &quantizer_p,
	            const NodeLayout &layout_p, const std::vector<RowId> &row_ids_p,
	            const std::vector<uint16_t> &references_p, PageFile &file_p);

	static uint64_t MemoryBytes(const NodeLayout &layout, size_t count);

	//! "encoding", then "writing" for each bucket of rows; false after that.
	bool NextPhase(Phase &phase);

private:
	void StartEncoding(Phase &phase);
	void StartBucket(Phase &phase);
	void EncodeBlock(const std::pair<uint32_t, size_t> &block);
	void WriteItem(size_t item);
	AlignedBuffer<uint8_t> MakePages(size_t first_page, size_t count);
	//! Hands over the pages of item `item`; they reach the file in item order, whoever finishes first.
	void PassOn(size_t item, AlignedBuffer<uint8_t> pages);

	BuildRows &rows;
	const GraphBuilder &builder;
	const Quantizer &quantizer;
	const NodeLayout &layout;
	const std::vector<RowId> &row_ids;
	const std::vector<uint16_t> &references;
	PageFile &file;
	std::vector<CodeScalars> scalars;
	AlignedBuffer<uint8_t> codes;
	std::vector<std::pair<uint32_t, size_t>> blocks;
	bool is_encoded = false;
	//! The bucket to write next, and pages [page_begin, page_end) of the present one.
	size_t next_bucket = 0;
	size_t page_begin = 0;
	size_t page_end = 0;

	std::mutex mutex;
	std::condition_variable turn;
	size_t next_item = 0;
	bool has_failed = false;
	std::map<size_t, AlignedBuffer<uint8_t>> finished;
};

} // namespace lm_diskann
