// The last phases of a bulk build: every vector is encoded once, then blocks are put together in node order and written
// as one sequential run of pages.
#pragma once

#include "graph/build.hpp"
#include "storage/page_file.hpp"

#include <condition_variable>
#include <map>
#include <mutex>

namespace lm_diskann {

//! Writes the graph of a finished GraphBuilder into an empty page file, nodes 0..n-1 into pages 0..
class GraphWriter {
public:
	//! `row_ids[node]`: the row of each node. All arguments outlive the writer.
	GraphWriter(const BuildSpace &space_p, const GraphBuilder &builder_p, const Quantizer &quantizer_p,
	            const NodeLayout &layout_p, const std::vector<RowId> &row_ids_p, PageFile &file_p);

	static uint64_t MemoryBytes(const NodeLayout &layout, size_t count);

	//! "encoding", then "writing"; false after that.
	bool NextPhase(Phase &phase);
	//! 0..1 over both phases. Any thread.
	double Progress() const;

private:
	void EncodeItem(size_t item);
	void WriteItem(size_t item);
	//! Hands over the pages of item `item`; they reach the file in item order, whoever finishes first.
	void PassOn(size_t item, AlignedBuffer<uint8_t> pages);

	const BuildSpace &space;
	const GraphBuilder &builder;
	const Quantizer &quantizer;
	const NodeLayout &layout;
	const std::vector<RowId> &row_ids;
	PageFile &file;
	std::vector<CodeScalars> scalars;
	AlignedBuffer<uint8_t> codes;
	uint32_t page_count = 0;
	uint32_t phase_number = 0;
	std::atomic<size_t> done_count {0};

	std::mutex mutex;
	std::condition_variable turn;
	size_t next_item = 0;
	bool has_failed = false;
	std::map<size_t, AlignedBuffer<uint8_t>> finished;
};

} // namespace lm_diskann
