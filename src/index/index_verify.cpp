// AnnIndex::Verify: what must be true between the parts of an index, beside what file and graph check of themselves.
//
// A row is in at most one place that answers: a node without tombstone, the delta, or the rows without a vector.
// Tombstones name rows in the graph's range only, and covered rows bound every row id.
#include "base/error.hpp"
#include "graph/reach.hpp"
#include "graph/verify.hpp"
#include "index/index_state.hpp"

#include <algorithm>

namespace lm_diskann {

namespace {

constexpr size_t VIOLATION_MAX = 1000;

} // namespace

class IndexVerifier {
public:
	explicit IndexVerifier(const AnnIndex::Impl &state_p)
	    : state(state_p), row_map(RowMapSpace(*state_p.file), state_p.stored.row_map) {
	}

	std::vector<std::string> Run() {
		for (const auto check : {&IndexVerifier::CheckFile, &IndexVerifier::CheckGraph, &IndexVerifier::CheckRowMap,
		                         &IndexVerifier::CheckDelta, &IndexVerifier::CheckRowSets}) {
			try {
				(this->*check)();
			} catch (const CorruptionError &error) {
				Report(error.what());
			}
		}
		return std::move(violations);
	}

private:
	void Report(const std::string &violation) {
		if (violations.size() < VIOLATION_MAX) {
			violations.push_back(violation);
		}
	}
	static std::string Name(RowId row_id) {
		return "row " + std::to_string(row_id.value);
	}
	bool IsCovered(RowId row_id) const {
		return uint64_t(row_id.value) < state.stored.covered_rows;
	}

	void CheckFile() {
		std::vector<BlobRef> blobs;
		if (state.file->Current() != Generation()) {
			blobs = BlobsOf(ReadRoots(state.file->Roots()), *state.file, state.configuration);
		}
		violations = state.file->Verify(blobs);
	}

	void CheckGraph() {
		const auto check = [&](NodeId node, const NodeView &view) { CheckNode(node, view.Row()); };
		for (const std::string &violation :
		     VerifyGraph(state.graph, state.node_pages, *state.file, VIOLATION_MAX, check)) {
			Report(violation);
		}
		const uint64_t node_count = state.stored.node_count;
		if (graph_rows.Count() != node_count) {
			Report("the graph holds " + std::to_string(graph_rows.Count()) + " rows of " + std::to_string(node_count));
		}
		const std::vector<NodeId> &entries = state.graph.entries;
		const bool has_entry = std::any_of(entries.begin(), entries.end(), [](NodeId id) { return id != NO_NODE; });
		if (!has_entry && node_count > 0) {
			Report("a graph of " + std::to_string(node_count) + " nodes has no entry");
		}
	}

	void CheckRowMap() {
		const uint64_t node_count = state.stored.node_count;
		uint64_t mapped_count = 0;
		// A run of a hostile map may have any length.
		row_map.ForEach([&](uint64_t, uint64_t) {
			if (++mapped_count > node_count) {
				throw CorruptionError("the row map holds more rows than the graph's " + std::to_string(node_count));
			}
		});
		if (mapped_count != node_count) {
			Report("the row map holds " + std::to_string(mapped_count) + " rows of " + std::to_string(node_count));
		}
	}

	void CheckNode(NodeId node, RowId row_id) {
		const bool is_cleared = state.cleared_nodes.Contains(RowId(int64_t(node.value)));
		if (is_cleared != (row_id == NO_ROW)) {
			Report("node " + std::to_string(node.value) +
			       (is_cleared ? " was cleared, but has " : " has no row, but ") +
			       (is_cleared ? Name(row_id) : "was not cleared"));
		}
		if (row_id == NO_ROW) {
			return;
		}
		const std::string name = "node " + std::to_string(node.value) + " of " + Name(row_id);
		if (row_id.value < 0 || uint64_t(row_id.value) >= state.stored.graph_row_end) {
			Report(name + " is beyond the rows of the graph");
			return;
		}
		if (!graph_rows.Insert(row_id)) {
			Report(name + " shares its row with another node");
		}
		if (row_map.Find(uint64_t(row_id.value)) != std::optional<uint64_t>(node.value)) {
			Report(name + " is not what the row map names");
		}
		if (state.tombstones.Contains(row_id)) {
			return;
		}
		if (state.delta.Contains(row_id)) {
			Report(name + " is in the delta too");
		}
		if (state.unindexed.Contains(row_id)) {
			Report(name + " is among the rows without a vector too");
		}
	}

	void CheckDelta() {
		const IndexConfiguration &configuration = state.configuration;
		state.delta.ForEach([&](RowId row_id, const uint8_t *vector) {
			const bool is_sound =
			    configuration.element_type == ElementType::INT8
			        ? IsIndexable(configuration.metric, reinterpret_cast<const int8_t *>(vector), configuration.dims)
			        : IsIndexable(configuration.metric, reinterpret_cast<const float *>(vector), configuration.dims);
			if (!is_sound || !IsCovered(row_id)) {
				Report(Name(row_id) + " of the delta is not indexable or not covered");
			}
			if (state.unindexed.Contains(row_id)) {
				Report(Name(row_id) + " of the delta is among the rows without a vector too");
			}
		});
	}

	void CheckRowSets() {
		state.unindexed.ForEach([&](RowId row_id) {
			if (!IsCovered(row_id)) {
				Report(Name(row_id) + " without a vector is not covered");
			}
		});
		state.tombstones.ForEach([&](RowId row_id) {
			if (uint64_t(row_id.value) >= state.stored.graph_row_end) {
				Report("the tombstone of " + Name(row_id) + " is beyond the rows of the graph");
			}
		});
	}

	const AnnIndex::Impl &state;
	RadixMap row_map;
	RowSet graph_rows;
	std::vector<std::string> violations;
};

std::vector<std::string> AnnIndex::Verify() {
	// Between two batches, and with every page in the file.
	const std::lock_guard<std::mutex> write_guard(impl->write_mutex);
	impl->cache->Flush(impl->graph.file_key);
	const std::shared_lock<std::shared_mutex> guard(impl->state_mutex);
	return IndexVerifier(*impl).Run();
}

Reach AnnIndex::FindReach() {
	const std::lock_guard<std::mutex> write_guard(impl->write_mutex);
	impl->cache->Flush(impl->graph.file_key);
	const std::shared_lock<std::shared_mutex> guard(impl->state_mutex);
	Reach reach;
	ForEachUnanchored(impl->graph, impl->node_pages, *impl->file, [&](RowId row_id, bool is_reached) {
		impl->CheckNodeRow(row_id);
		if (!impl->tombstones.Contains(row_id)) {
			(is_reached ? reach.unanchored : reach.unreached).Insert(row_id);
		}
	});
	return reach;
}

uint64_t AnnIndex::VerifyMemoryBytes() const {
	const std::shared_lock<std::shared_mutex> guard(impl->state_mutex);
	const uint64_t place_count = impl->node_pages.Count() * impl->graph.layout.nodes_per_page;
	// A set of all rows that were met beside it takes at most 16 bits a row.
	const uint64_t graph_bytes = VerifyGraphMemoryBytes(place_count) + place_count * sizeof(uint16_t);
	return std::max({graph_bytes, ReachMemoryBytes(place_count), impl->StoredRowsMax() * sizeof(StoredRow)});
}

} // namespace lm_diskann
