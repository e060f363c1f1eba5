#include "adapter/recall.hpp"

#include "adapter/errors.hpp"
#include "adapter/nearest_rows.hpp"
#include "adapter/row_scan.hpp"
#include "adapter/search_effort.hpp"
#include "adapter/settings.hpp"

#include "base/error.hpp"
#include "base/random.hpp"
#include "vector/convert.hpp"
#include "vector/distance.hpp"

#include "duckdb/catalog/catalog_entry/duck_table_entry.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/storage/data_table.hpp"
#include "duckdb/transaction/duck_transaction.hpp"

#include <algorithm>
#include <chrono>
#include <unordered_set>

namespace duckdb {

namespace {

//! Row ids to try for each sample: some are deleted, or have no vector.
constexpr idx_t TRIES = 8;

struct Sample {
	row_t row_id;
	//! Widened to float.
	std::vector<float> vector;
	NearestRows nearest;
};

//! Calls `visit` with each row that an index may hold, its vector widened to float.
template <class VISIT>
void ForEachVector(const VectorRows &rows, const lm_diskann::IndexConfiguration &configuration,
                   std::vector<float> &widened, VISIT &&visit) {
	const auto &batch = rows.Batch();
	const auto dims = configuration.dims;
	for (idx_t row = 0; row < batch.count; row++) {
		auto vector = batch.floats ? batch.floats + row * dims : nullptr;
		if (!vector) {
			widened.resize(dims);
			lm_diskann::WidenInt8(batch.bytes + row * dims, widened.data(), dims);
			vector = widened.data();
		}
		if (lm_diskann::IsIndexable(configuration.metric, vector, dims)) {
			visit(batch.row_ids[row].value, vector);
		}
	}
}

//! Different row ids below `row_count` in random order.
std::vector<row_t> DrawRowIds(uint64_t seed, idx_t row_count, idx_t count) {
	lm_diskann::Random random(seed);
	if (row_count <= 2 * count) {
		return random.Permutation<row_t>(row_count);
	}
	std::vector<row_t> row_ids;
	std::unordered_set<row_t> drawn;
	while (row_ids.size() < count) {
		const auto row_id = row_t(random.Next() % row_count);
		if (drawn.insert(row_id).second) {
			row_ids.push_back(row_id);
		}
	}
	return row_ids;
}

class RecallMeasurement {
public:
	RecallMeasurement(ClientContext &context_p, DataTable &table_p, const TableIndex &index_p, idx_t k_p)
	    : context(context_p), table(table_p), index(index_p), configuration(*index.live->Configuration()),
	      core(index.live->Core()), k(k_p) {
	}

	RecallReport Run(idx_t sample_count);

private:
	void ChooseSamples(idx_t sample_count);
	void FindExactly();
	//! Row ids and distances of the k nearest that the transaction sees.
	std::vector<lm_diskann::Neighbor> FindByIndex(const Sample &sample, RecallReport &report);
	idx_t CountHits(Sample &sample, const std::vector<lm_diskann::Neighbor> &found, idx_t &exact_count) const;

	ClientContext &context;
	DataTable &table;
	const TableIndex &index;
	const lm_diskann::IndexConfiguration &configuration;
	const std::shared_ptr<lm_diskann::AnnIndex> core;
	const idx_t k;
	std::vector<Sample> samples;
	std::vector<float> widened;
};

void RecallMeasurement::ChooseSamples(idx_t sample_count) {
	const auto row_ids = DrawRowIds(configuration.seed, table.GetTotalRows(), sample_count * TRIES);
	FetchRows(context, table, index.Column(table), row_ids, [&](const VectorRows &rows) {
		ForEachVector(rows, configuration, widened, [&](row_t row_id, const float *vector) {
			if (samples.size() < sample_count) {
				samples.push_back({row_id, std::vector<float>(vector, vector + configuration.dims), NearestRows(k)});
			}
		});
	});
}

void RecallMeasurement::FindExactly() {
	ScanRows(context, table, index.Column(table), RowScanKind::VISIBLE, 0, table.GetTotalRows(),
	         [&](const VectorRows &rows) {
		         ForEachVector(rows, configuration, widened, [&](row_t row_id, const float *vector) {
			         RankedRow row;
			         row.row_id = row_id;
			         for (auto &sample : samples) {
				         if (row_id != sample.row_id) {
					         row.distance = lm_diskann::Distance(configuration.metric, sample.vector.data(), vector,
					                                             configuration.dims);
					         sample.nearest.Offer(row);
				         }
			         }
		         });
	         });
}

std::vector<lm_diskann::Neighbor> RecallMeasurement::FindByIndex(const Sample &sample, RecallReport &report) {
	auto &transaction = DuckTransaction::Get(context, table.db);
	auto cursor = core->Search(sample.vector.data(), k + 1, report.search_list_size, BeamWidth(context));
	std::vector<lm_diskann::Neighbor> found;
	// One more: the row itself.
	idx_t ask = k + 1;
	while (found.size() < k) {
		const auto neighbors = cursor.Next(ask);
		for (const auto &neighbor : neighbors) {
			if (found.size() < k && neighbor.row_id.value != sample.row_id &&
			    table.CanFetch(transaction, neighbor.row_id.value)) {
				found.push_back(neighbor);
			}
		}
		if (neighbors.size() < ask) {
			break;
		}
		ask = k - found.size();
	}
	const auto counters = cursor.Counters();
	report.blocks_read_mean += double(counters.blocks_read);
	report.cache_hits_mean += double(counters.cache_hits);
	report.hops_mean += double(counters.hops);
	return found;
}

idx_t RecallMeasurement::CountHits(Sample &sample, const std::vector<lm_diskann::Neighbor> &found,
                                   idx_t &exact_count) const {
	const auto exact = sample.nearest.TakeFrom(0);
	exact_count += exact.size();
	std::unordered_set<row_t> exact_ids;
	for (const auto &row : exact) {
		exact_ids.insert(row.row_id);
	}
	const bool is_native = configuration.vectors == lm_diskann::VectorStorage::NATIVE;
	idx_t hits = 0;
	for (const auto &neighbor : found) {
		// Of rows at the same distance as the last one any is right.
		const bool is_tie = is_native && !exact.empty() && double(neighbor.distance) <= exact.back().distance;
		hits += is_tie || exact_ids.count(neighbor.row_id.value) > 0 ? 1 : 0;
	}
	return MinValue<idx_t>(hits, exact.size());
}

RecallReport RecallMeasurement::Run(idx_t sample_count) {
	RecallReport report;
	report.k = k;
	report.search_list_size =
	    MaxValue<uint32_t>(ChooseSearchEffort(context, *index.live, k).list_size, uint32_t(k) + 1);
	ChooseSamples(sample_count);
	report.sample_count = samples.size();
	if (samples.empty()) {
		return report;
	}
	FindExactly();
	std::vector<double> latencies;
	idx_t hits = 0;
	idx_t exact_count = 0;
	for (auto &sample : samples) {
		if (context.interrupted) {
			throw InterruptException();
		}
		const auto start = std::chrono::steady_clock::now();
		const auto found = FindByIndex(sample, report);
		latencies.push_back(
		    std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
		hits += CountHits(sample, found, exact_count);
	}
	const auto count = double(samples.size());
	if (exact_count > 0) {
		report.recall = double(hits) / double(exact_count);
	}
	std::sort(latencies.begin(), latencies.end());
	for (const auto latency : latencies) {
		report.latency_mean_ms += latency / count;
	}
	report.latency_p99_ms = latencies[(latencies.size() * 99 + 99) / 100 - 1];
	report.blocks_read_mean /= count;
	report.cache_hits_mean /= count;
	report.hops_mean /= count;
	return report;
}

} // namespace

RecallReport MeasureRecall(ClientContext &context, DuckTableEntry &table, const TableIndex &index, idx_t k,
                           idx_t sample_count) {
	auto &live = *index.live;
	auto &storage = table.GetStorage();
	live.RequireCoverage(storage.GetTotalRows());
	if (!live.IsReady()) {
		throw InvalidInputException("%sit is in state %s and cannot be searched: %s", IndexMessagePrefix(live.Name()),
		                            IndexStateName(live.State()), live.Reason());
	}
	const auto core = live.Core();
	return WithDuckDBErrors(live.Name(), [&] {
		try {
			return RecallMeasurement(context, storage, index, k).Run(sample_count);
		} catch (const lm_diskann::CorruptionError &error) {
			live.DegradeForFile(core.get(), error.what());
			throw;
		}
	});
}

} // namespace duckdb
