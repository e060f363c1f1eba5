// What an index must answer, kept the simple way: the rows that were offered, as maps, and brute force over them.
#pragma once

#include "index/ann_index.hpp"
#include "sim/sim_check.hpp"

#include <map>
#include <set>

namespace lm_diskann {

//! A row as the host offers it, the elements widened to float; no vector: NULL.
struct HostRow {
	RowId row_id;
	std::optional<std::vector<float>> vector;
};

//! One change of the table, as the host's log keeps it.
struct HostChange {
	//! Of a delete, only the row ids count.
	bool is_delete = false;
	std::vector<HostRow> rows;
};

//! Hands `change` to the index as the adapter does: vectors, then NULLs. Throws what the index throws.
void ApplyTo(AnnIndex &index, const HostChange &change);
void AddTo(IndexBuilder &builder, const IndexConfiguration &configuration, const std::vector<HostRow> &rows);

class RowModel {
public:
	explicit RowModel(const IndexConfiguration &configuration_p) : configuration(configuration_p) {
	}

	void Apply(const HostChange &change);
	//! Row ids that can be found, with their vectors.
	const std::map<int64_t, std::vector<float>> &Live() const {
		return live;
	}
	uint64_t CoveredRows() const {
		return covered_rows;
	}
	void SetCoveredRows(uint64_t covered_rows_p) {
		covered_rows = covered_rows_p;
	}

	//! The index holds exactly these rows. Throws SimViolation, or what the index throws.
	void CheckRows(AnnIndex &index) const;
	//! Verify finds nothing, and a list of any size gives the live rows in the order of brute force.
	void CheckAll(AnnIndex &index, const std::vector<float> &query) const;
	//! Asks for `k` rows in two parts: as many as there are live rows, none twice, with their distances; the nearest of
	//! all if the list is longer than there are nodes.
	void CheckSearch(AnnIndex &index, const std::vector<float> &query, size_t k, uint32_t list_size) const;

private:
	bool IsIndexableRow(const std::vector<float> &vector) const;
	//! How far the index's distance may be from the exact one: rounding, and what lossy own vectors lose.
	double Tolerance(const std::vector<float> &query, const std::vector<float> &vector, double distance) const;

	IndexConfiguration configuration;
	std::map<int64_t, std::vector<float>> live;
	std::set<int64_t> unindexed;
	uint64_t covered_rows = 0;
};

} // namespace lm_diskann
