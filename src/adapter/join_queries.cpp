#include "adapter/join_queries.hpp"

#include "adapter/query_vector.hpp"

#include <algorithm>

namespace duckdb {

namespace {

//! Memory of a group. Two or three of them are alive at once.
constexpr idx_t GROUP_BYTES = idx_t(32) << 20;
constexpr idx_t BATCH_SIZE_MAX = 32;
//! As long as batches are not full, there shall be enough of them for every thread to be busy until the end.
constexpr idx_t BATCH_COUNT_MIN = 64;

} // namespace

JoinQueries::JoinQueries(ClientContext &context_p, ColumnDataCollection &rows_p, const Expression &expression,
                         lm_diskann::Metric metric_p, std::shared_ptr<lm_diskann::AnnIndex> core_p)
    : context(context_p), rows(rows_p), metric(metric_p), core(std::move(core_p)),
      batch_size(MinValue<idx_t>(BATCH_SIZE_MAX, rows_p.Count() / BATCH_COUNT_MIN + 1)),
      executor(context_p, expression) {
	rows.InitializeScan(scan, ColumnDataScanProperties::DISALLOW_ZERO_COPY);
}

bool JoinQueries::Next(JoinQueryBatch &batch) {
	const lock_guard<mutex> guard(lock);
	if (!group || next_row == group->rows.size()) {
		LoadGroup();
	}
	if (group->rows.empty()) {
		return false;
	}
	batch.group = group;
	batch.begin = next_row;
	batch.end = next_row = MinValue<idx_t>(next_row + batch_size, group->rows.size());
	return true;
}

void JoinQueries::LoadGroup() {
	group = std::make_shared<JoinQueryGroup>();
	next_row = 0;
	idx_t bytes = 0;
	while (bytes < GROUP_BYTES) {
		if (context.interrupted) {
			throw InterruptException();
		}
		auto chunk = make_uniq<DataChunk>();
		chunk->Initialize(BufferAllocator::Get(context), rows.Types());
		if (!rows.Scan(scan, *chunk)) {
			break;
		}
		bytes += chunk->GetAllocationSize();
		group->chunks.push_back(std::move(chunk));
		AddChunk(*group);
	}
	std::sort(group->rows.begin(), group->rows.end(), [](const JoinQueryGroup::Row &a, const JoinQueryGroup::Row &b) {
		return std::tie(a.place, a.chunk, a.row) < std::tie(b.place, b.chunk, b.row);
	});
}

void JoinQueries::AddChunk(JoinQueryGroup &target) {
	auto &chunk = *target.chunks.back();
	const auto count = chunk.size();
	auto vectors = make_uniq<Vector>(executor.expressions[0]->return_type, count);
	executor.ExecuteExpression(chunk, *vectors);
	vectors->Flatten(count);
	ArrayVector::GetEntry(*vectors).Flatten(count * ArrayType::GetSize(vectors->GetType()));
	for (idx_t row = 0; row < count; row++) {
		const bool can_search = core && ReadQueryVector(*vectors, row, metric, query);
		const auto place =
		    can_search ? MinValue<uint64_t>(core->SearchPlace(query.data(), prepared), JoinQueryGroup::NO_PLACE - 1)
		               : JoinQueryGroup::NO_PLACE;
		target.rows.push_back({place, uint32_t(target.chunks.size() - 1), uint32_t(row)});
	}
	target.query_vectors.push_back(std::move(vectors));
}

} // namespace duckdb
