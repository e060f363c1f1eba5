// Merging the delta into the graph (merge_delta.cpp), taking deleted rows out of it (compact.cpp), and making the file
// smaller (shrink.cpp).
//
// Both plan a batch while everything goes on, and hold write_mutex only to apply it, so every published state lies
// between two batches. What moves from the delta to the graph does so for all searches at one moment: until then a row
// in both is an answer of the delta only, and a search that began before it drops what it meets again.
#pragma once

#include "graph/consolidate.hpp"
#include "graph/merge.hpp"
#include "index/index_state.hpp"

namespace lm_diskann {

//! The row map with changes applied, and the pages of it that the present one no longer needs. Lookups use the former
//! root until it is replaced, so its pages go only afterwards.
struct ChangedRowMap {
	explicit ChangedRowMap(PageFile &file_p, const RadixRoot &root) : file(file_p), map(Space(), root) {
	}
	RadixPageSpace Space() {
		RadixPageSpace space = RowMapSpace(file);
		space.release = [this](uint64_t address) { released.push_back(PageId(uint32_t(address))); };
		return space;
	}
	void FreeReleased() {
		for (const PageId id : released) {
			file.FreePage(id);
		}
	}

	PageFile &file;
	std::vector<PageId> released;
	RadixMap map;
};

inline uint64_t RowMapKey(RowId row_id) {
	return uint64_t(row_id.value);
}

inline RowId AsSetMember(NodeId node) {
	return RowId(int64_t(node.value));
}

//! One call of AnnIndex::Merge, Compact or Shrink.
class Maintenance {
public:
	//! Waits for others. Throws FileError for an unhealthy index.
	Maintenance(AnnIndex::Impl &state_p, Activity activity)
	    : state(state_p), graph(state_p.graph), file(*state_p.file), guard(state_p.maintenance_mutex) {
		state.RequireHealthy();
		state.activity_share = 0;
		state.activity = activity;
	}
	~Maintenance() {
		state.activity = Activity::NONE;
	}
	Maintenance(const Maintenance &) = delete;
	Maintenance &operator=(const Maintenance &) = delete;

	bool Merge(size_t row_max, const std::function<bool()> &is_stopped);
	bool Compact(const std::function<bool()> &is_stopped);
	bool Shrink(const std::function<bool()> &is_stopped);

private:
	//! Frees what was retired and no search can meet any more.
	void ReleaseRetired();
	bool IsDead(RowId row_id) const;
	//! Pages for `count` new nodes, the lowest that are free.
	ExtentSet ReserveNodePages(size_t count);
	void GiveBack(const ExtentSet &pages);
	//! Brings rows near each other together: searches of a batch then share blocks, and its nodes lie beside each
	//! other. Equal vectors come one after the other, which share a search.
	void SortByPlace(Delta::Rows &rows) const;
	void ApplyMerge(const Delta::Rows &rows, const std::vector<NewNode> &nodes, MergeBatch &batch,
	                const ExtentSet &pages);
	//! Takes the rows from their former nodes, which stay as ways through the graph.
	std::vector<NodeId> ClearFormerNodes(const std::vector<RowId> &row_ids, const RadixMap &row_map);

	void StartCompact();
	//! For this compact; they refer to it.
	ConsolidateParameters ParametersOf(const CompactState &compact) const;
	void Sweep(const std::function<bool()> &is_stopped);
	//! Leads searches around the dead nodes, then takes these out. All but the first step with write_mutex held.
	void FinishCompact();
	//! The entries, with live nodes in place of dead ones.
	std::vector<NodeId> FindEntries(const CompactState &compact) const;
	//! A live node near the reference; NO_NODE: there is none at all.
	NodeId FindEntry(size_t reference, const CompactState &compact) const;
	//! What dead entries anchored is anchored behind those in their place.
	void ReplaceEntries(const std::vector<NodeId> &entries, const ConsolidateParameters &parameters);
	//! All that `from` has found so far.
	void AnchorOrphans(ConsolidateBatch &from);
	//! Of the dead rows those that the row map had a dead node for, and those that it has another one for.
	struct ErasedRows {
		RowSet erased;
		RowSet returned;
	};
	static ErasedRows EraseRows(const CompactState &compact, RadixMap &row_map);
	//! Forgets what was taken out, and keeps its pages until no search can meet them; state_mutex is held.
	void RetireNodes(const CompactState &compact, const ErasedRows &rows, const ExtentSet &removed);
	//! No node of the page stays.
	bool IsPageDead(PageId page, const RowSet &dead_nodes) const;
	//! Removes the dead nodes' pages, or wipes their places in pages that others live in. Returns the pages.
	ExtentSet RemoveNodes(const RowSet &dead_nodes);
	//! Writes blobs anew that lie at the end of the file, now or with the next publish.
	void MoveBlobs();

	AnnIndex::Impl &state;
	Graph &graph;
	PageFile &file;
	const std::lock_guard<std::mutex> guard;
};

} // namespace lm_diskann
