// The rows an index answers with, and whether their vectors are those of the table.
#include "base/checksum.hpp"
#include "graph/verify.hpp"
#include "index/index_state.hpp"

#include <algorithm>

namespace lm_diskann {

namespace {

uint64_t ChecksumOf(const float *vector, size_t dims) {
	std::vector<float> unsigned_zeros(vector, vector + dims);
	for (float &value : unsigned_zeros) {
		value += 0.0F;
	}
	return Checksum(ConstByteSpan(reinterpret_cast<const uint8_t *>(unsigned_zeros.data()), 4 * dims), 0);
}

StoredRow MakeStoredRow(RowId row_id, bool is_in_delta, const float *vector, size_t dims) {
	StoredRow row = {};
	row.row_id = row_id;
	row.is_in_delta = is_in_delta ? 1 : 0;
	row.checksum = ChecksumOf(vector, dims) >> 1;
	return row;
}

} // namespace

void AnnIndex::Impl::ForEachRow(const std::function<void(RowId, const NodeView &)> &visit_node,
                                const std::function<void(RowId, const uint8_t *)> &visit_delta) {
	// Between two batches, so that no row is met twice or not at all, and with every page in the file.
	const std::lock_guard<std::mutex> write_guard(write_mutex);
	cache->Flush(graph.file_key);
	const std::shared_lock<std::shared_mutex> guard(state_mutex);
	ForEachNode(graph, node_pages, *file, [&](NodeId, const NodeView &node) {
		const RowId row_id = node.Row();
		if (row_id == NO_ROW) {
			return;
		}
		CheckNodeRow(row_id);
		if (!tombstones.Contains(row_id)) {
			visit_node(row_id, node);
		}
	});
	delta.ForEach(visit_delta);
}

uint64_t AnnIndex::Impl::StoredRowsMax() const {
	const uint64_t place_max = file->SizeBytes() / graph.layout.page_size * graph.layout.nodes_per_page;
	return std::min(stored.node_count, place_max) + delta.Count();
}

std::vector<StoredRow> AnnIndex::CollectRows() {
	const size_t dims = impl->configuration.dims;
	// Rows of the delta are as the column has them, and so is what is stored natively.
	NodeLayout as_in_column = impl->graph.layout;
	as_in_column.storage = VectorStorage::NATIVE;
	std::vector<float> decoded(dims);
	std::vector<StoredRow> rows;
	{
		const std::shared_lock<std::shared_mutex> guard(impl->state_mutex);
		rows.reserve(impl->StoredRowsMax());
	}
	impl->ForEachRow(
	    [&](RowId row_id, const NodeView &node) {
		    rows.push_back(MakeStoredRow(row_id, false, node.Vector(decoded.data()), dims));
	    },
	    [&](RowId row_id, const uint8_t *vector) {
		    const float *floats = LoadVector(as_in_column, vector, 1, decoded.data());
		    rows.push_back(MakeStoredRow(row_id, true, floats, dims));
	    });
	std::sort(rows.begin(), rows.end(), [](const StoredRow &a, const StoredRow &b) { return a.row_id < b.row_id; });
	return rows;
}

bool AnnIndex::Holds(const StoredRow &row, const VectorBatch &batch, size_t position) const {
	NodeLayout layout = impl->graph.layout;
	if (row.is_in_delta != 0) {
		layout.storage = VectorStorage::NATIVE;
	}
	const size_t dims = layout.dims;
	const float *floats = batch.floats != nullptr ? batch.floats + position * dims : nullptr;
	const int8_t *bytes = batch.bytes != nullptr ? batch.bytes + position * dims : nullptr;
	std::vector<uint8_t> stored(StoredVectorBytes(layout.element_type, layout.storage, layout.dims));
	std::vector<float> decoded(dims);
	const float scale = StoreVector(layout, stored.data(), floats, bytes);
	const float *vector = LoadVector(layout, stored.data(), scale, decoded.data());
	return MakeStoredRow(row.row_id, row.is_in_delta != 0, vector, dims).checksum == row.checksum;
}

} // namespace lm_diskann
