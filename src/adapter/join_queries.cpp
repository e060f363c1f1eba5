#include "adapter/join_queries.hpp"

#include "adapter/instance_state.hpp"
#include "adapter/query_vector.hpp"

#include "vector/nearness_order.hpp"

#include <cmath>

namespace duckdb {

namespace {

//! Memory of a group. Two or three of them are alive at once.
constexpr idx_t GROUP_BYTES = idx_t(32) << 20;
constexpr idx_t BATCH_SIZE_MAX = 32;
//! As long as batches are not full, there shall be enough of them for every thread to be busy until the end.
constexpr idx_t BATCH_COUNT_MIN = 64;

//! Under cosine only the direction of a vector counts.
void Normalize(std::vector<float> &vector) {
	double sum = 0;
	for (const auto element : vector) {
		sum += double(element) * element;
	}
	const auto factor = float(1 / std::sqrt(sum));
	for (auto &element : vector) {
		element *= factor;
	}
}

} // namespace

JoinQueryGroup::JoinQueryGroup(ClientContext &context)
    : memory(std::make_unique<MemoryShare>(InstanceState::Get(DatabaseInstance::GetDatabase(context))->Account())) {
}
JoinQueryGroup::~JoinQueryGroup() = default;

JoinQueries::JoinQueries(ClientContext &context_p, ColumnDataCollection &rows_p, const Expression &expression,
                         lm_diskann::Metric metric_p, std::shared_ptr<lm_diskann::AnnIndex> core_p)
    : context(context_p), rows(rows_p), metric(metric_p), core(std::move(core_p)),
      dims(ArrayType::GetSize(expression.return_type)),
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
	group = std::make_shared<JoinQueryGroup>(context);
	next_row = 0;
	idx_t bytes = 0;
	idx_t vector_count = 0;
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
		// The query vectors, and once more to be ordered.
		vector_count += group->chunks.back()->size();
		group->memory->Resize(2 * vector_count * dims * sizeof(float));
	}
	OrderGroup();
}

void JoinQueries::OrderGroup() {
	auto &ordered = group->rows;
	const auto order = lm_diskann::NearnessOrder(vectors.data(), searchable.size(), dims);
	for (const auto i : order) {
		ordered.push_back(searchable[i]);
	}
	ordered.insert(ordered.end(), others.begin(), others.end());
	searchable.clear();
	others.clear();
	std::vector<float>().swap(vectors);
	group->memory->Resize(ordered.size() * dims * sizeof(float));
}

void JoinQueries::AddChunk(JoinQueryGroup &target) {
	auto &chunk = *target.chunks.back();
	const auto count = chunk.size();
	auto query_vectors = make_uniq<Vector>(executor.expressions[0]->return_type, count);
	executor.ExecuteExpression(chunk, *query_vectors);
	query_vectors->Flatten(count);
	ArrayVector::GetEntry(*query_vectors).Flatten(count * dims);
	const auto chunk_index = uint32_t(target.chunks.size() - 1);
	for (idx_t row = 0; row < count; row++) {
		if (core && ReadQueryVector(*query_vectors, row, metric, query)) {
			searchable.push_back({chunk_index, uint32_t(row), true});
			if (metric == lm_diskann::Metric::COSINE) {
				Normalize(query);
			}
			vectors.insert(vectors.end(), query.begin(), query.end());
		} else {
			others.push_back({chunk_index, uint32_t(row), false});
		}
	}
	target.query_vectors.push_back(std::move(query_vectors));
}

} // namespace duckdb
