#include "sim/row_model.hpp"

#include "unit/index_rows.hpp"
#include "unit/test_vectors.hpp"

#include <algorithm>
#include <cmath>

namespace lm_diskann {

namespace {

//! The rows of one call, in the form that the index wants.
struct Rows {
	Rows(const IndexConfiguration &configuration, const std::vector<HostRow> &rows) {
		for (const HostRow &row : rows) {
			if (!row.vector) {
				null_ids.push_back(row.row_id);
				continue;
			}
			row_ids.push_back(row.row_id);
			for (const float value : *row.vector) {
				floats.push_back(value);
				bytes.push_back(std::isfinite(value) ? int8_t(value) : int8_t(0));
			}
		}
		batch.row_ids = row_ids.data();
		batch.floats = configuration.element_type == ElementType::FLOAT32 ? floats.data() : nullptr;
		batch.bytes = configuration.element_type == ElementType::INT8 ? bytes.data() : nullptr;
		batch.count = row_ids.size();
	}
	Rows(const Rows &) = delete;
	Rows &operator=(const Rows &) = delete;

	std::vector<RowId> null_ids;
	std::vector<RowId> row_ids;
	std::vector<float> floats;
	std::vector<int8_t> bytes;
	VectorBatch batch;
};

double Norm(const std::vector<float> &vector) {
	double squared = 0;
	for (const float value : vector) {
		squared += double(value) * value;
	}
	return std::sqrt(squared);
}

} // namespace

void ApplyTo(AnnIndex &index, const HostChange &change) {
	if (change.is_delete) {
		std::vector<RowId> row_ids;
		for (const HostRow &row : change.rows) {
			row_ids.push_back(row.row_id);
		}
		index.Delete(row_ids);
		return;
	}
	const Rows rows(index.Configuration(), change.rows);
	index.Append(rows.batch);
	index.AppendNull(rows.null_ids);
}

void AddTo(IndexBuilder &builder, const IndexConfiguration &configuration, const std::vector<HostRow> &added) {
	const Rows rows(configuration, added);
	builder.Add(rows.batch);
	builder.AddNull(rows.null_ids);
}

bool RowModel::IsIndexableRow(const std::vector<float> &vector) const {
	const bool is_finite = std::all_of(vector.begin(), vector.end(), [](float value) { return std::isfinite(value); });
	return is_finite && (configuration.metric != Metric::COSINE || Norm(vector) > 0);
}

void RowModel::Apply(const HostChange &change) {
	for (const HostRow &row : change.rows) {
		live.erase(row.row_id.value);
		unindexed.erase(row.row_id.value);
		if (change.is_delete) {
			continue;
		}
		if (row.vector && IsIndexableRow(*row.vector)) {
			live[row.row_id.value] = *row.vector;
		} else {
			unindexed.insert(row.row_id.value);
		}
		covered_rows = std::max(covered_rows, uint64_t(row.row_id.value) + 1);
	}
}

void RowModel::CheckRows(AnnIndex &index) const {
	std::vector<RowId> expected;
	for (const auto &row : live) {
		expected.emplace_back(row.first);
	}
	const std::vector<RowId> found = RowIdsOf(index);
	if (found != expected) {
		const auto differ = std::mismatch(found.begin(), found.end(), expected.begin(), expected.end());
		const RowId first = differ.first == found.end()       ? *differ.second
		                    : differ.second == expected.end() ? *differ.first
		                    : *differ.first < *differ.second  ? *differ.first
		                                                      : *differ.second;
		throw SimViolation("the index holds " + std::to_string(found.size()) + " rows, not " +
		                   std::to_string(expected.size()) + "; they differ at row " + std::to_string(first.value));
	}
	Require(index.CoveredRows() == covered_rows,
	        "covered rows are " + std::to_string(index.CoveredRows()) + ", not " + std::to_string(covered_rows));
	const IndexSummary summary = index.Summary();
	Require(summary.unindexed_count == unindexed.size(), "every row without a vector is counted");
	// A deleted id that the graph's range has, but not the graph, counts as a tombstone all the same.
	Require(summary.row_count <= live.size(), "no more rows are counted than there are");
}

void RowModel::CheckAll(AnnIndex &index, const std::vector<float> &query) const {
	CheckRows(index);
	const std::vector<std::string> problems = FindProblems(index);
	Require(problems.empty(), problems.empty() ? "" : "Verify: " + problems.front());
	CheckSearch(index, query, live.size() + 10, 100000);
	CheckSearch(index, query, 10, 100000);
	CheckSearch(index, query, 10, 20);
}

double RowModel::Tolerance(const std::vector<float> &query, const std::vector<float> &vector, double distance) const {
	const double norm = Norm(vector);
	double largest = 0;
	for (const float value : vector) {
		largest = std::max(largest, std::fabs(double(value)));
	}
	// Half a step of each element: 11 bits of a half float, 127 levels of an int8.
	const double step = configuration.vectors == VectorStorage::F16    ? largest / 2048 + 1e-7
	                    : configuration.vectors == VectorStorage::INT8 ? largest / 127 * 0.51
	                                                                   : 0;
	const double moved = step * std::sqrt(double(configuration.dims));
	const double scale = Norm(query) + norm;
	switch (configuration.metric) {
	case Metric::L2SQ:
		return 1e-5 * scale * scale + 2 * std::sqrt(distance) * moved + moved * moved;
	case Metric::COSINE:
		return 1e-5 + 2 * moved / norm;
	case Metric::IP:
		break;
	}
	return 1e-5 * scale * scale + Norm(query) * moved;
}

void RowModel::CheckSearch(AnnIndex &index, const std::vector<float> &query, size_t k, uint32_t list_size) const {
	SearchCursor cursor = index.Search(query.data(), k, list_size, 1 + k % 5);
	std::vector<Neighbor> found = cursor.Next(k / 2);
	for (const Neighbor &neighbor : cursor.Next(k - k / 2)) {
		found.push_back(neighbor);
	}
	const size_t expected = std::min(k, live.size());
	Require(found.size() == expected, "a search for " + std::to_string(k) + " of " + std::to_string(live.size()) +
	                                      " rows found " + std::to_string(found.size()));
	const bool is_whole = list_size > live.size() * 2 + 1000;
	std::vector<double> exact;
	double tolerance_max = 0;
	for (const auto &[row_id, vector] : live) {
		exact.push_back(ReferenceDistance(configuration.metric, query.data(), vector.data(), configuration.dims));
		tolerance_max = std::max(tolerance_max, Tolerance(query, vector, exact.back()));
	}
	std::sort(exact.begin(), exact.end());
	std::set<int64_t> met;
	for (size_t i = 0; i < found.size(); i++) {
		const std::string name = "found row " + std::to_string(found[i].row_id.value);
		const auto row = live.find(found[i].row_id.value);
		Require(row != live.end(), name + " is deleted or was never there");
		Require(met.insert(row->first).second, name + " comes twice");
		const double distance =
		    ReferenceDistance(configuration.metric, query.data(), row->second.data(), configuration.dims);
		Require(std::fabs(found[i].distance - distance) <= Tolerance(query, row->second, distance),
		        name + " has distance " + std::to_string(found[i].distance) + ", not " + std::to_string(distance));
		Require(!is_whole || std::fabs(distance - exact[i]) <= 2 * tolerance_max,
		        name + " is not the next in the order of brute force");
	}
}

} // namespace lm_diskann
