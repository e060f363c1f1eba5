#include "graph/build_rows.hpp"

#include "base/error.hpp"
#include "vector/convert.hpp"

#include <algorithm>
#include <cstring>

namespace lm_diskann {

namespace {

constexpr uint64_t BUCKET_BYTES = uint64_t(2) << 20;
constexpr uint64_t BUCKETS_MAX = 64;
//! Blocks in RAM beside the one at each bucket's end.
constexpr uint64_t SPARE_BLOCKS = 8;

size_t ElementBytes(ElementType type) {
	return type == ElementType::FLOAT32 ? sizeof(float) : sizeof(int8_t);
}

size_t RecordBytes(ElementType type, uint32_t dims) {
	return sizeof(uint64_t) + (dims * ElementBytes(type) + 7) / 8 * 8;
}

uint64_t BucketsFor(uint64_t bytes) {
	return std::clamp<uint64_t>(bytes / BUCKET_BYTES, 1, BUCKETS_MAX);
}

} // namespace

BuildRows::BuildRows(ElementType element_type_p, uint32_t dims_p, Spill::CreateFile create_file)
    : element_type(element_type_p), dims(dims_p), record_bytes(RecordBytes(element_type_p, dims_p)),
      spill(record_bytes, std::move(create_file)) {
	spill.AddStream();
}

uint64_t BuildRows::MemoryMin(uint64_t row_count) const {
	return (BucketsFor(Bytes(row_count)) + SPARE_BLOCKS) * spill.BlockBytes();
}

uint64_t BuildRows::BucketBytes(uint64_t row_count) const {
	// Its last block may be nearly empty, and each vector has a pointer.
	const uint64_t buckets = BucketsFor(Bytes(row_count));
	return Bytes(row_count) / buckets + 2 * spill.BlockBytes() + row_count / buckets * sizeof(void *);
}

void BuildRows::Add(Span<const RowId> row_ids, Span<const void *const> vectors) {
	std::vector<uint8_t> records(row_ids.size() * record_bytes);
	for (size_t i = 0; i < row_ids.size(); i++) {
		const auto key = uint64_t(row_ids[i].value);
		std::memcpy(records.data() + i * record_bytes, &key, sizeof(key));
		std::memcpy(records.data() + i * record_bytes + sizeof(key), vectors[i], dims * ElementBytes(element_type));
	}
	spill.Append(0, records.data(), row_ids.size());
}

void BuildRows::EndAdding() {
	for (size_t block = 0; block < spill.BlockCount(0); block++) {
		block_starts.push_back(block_starts.back() + spill.RecordCount(0, block));
	}
}

uint64_t BuildRows::KeyOf(const uint8_t *record) const {
	uint64_t key;
	std::memcpy(&key, record, sizeof(key));
	return key;
}

const float *BuildRows::FloatsOf(const uint8_t *record, std::vector<float> &widened) const {
	const uint8_t *vector = record + sizeof(uint64_t);
	if (element_type == ElementType::FLOAT32) {
		// Records have a multiple of 8 bytes and blocks start at a page.
		return reinterpret_cast<const float *>(vector);
	}
	widened.resize(dims);
	WidenInt8(reinterpret_cast<const int8_t *>(vector), widened.data(), dims);
	return widened.data();
}

void BuildRows::StartArranging(uint32_t node_step) {
	bucket_count = size_t(BucketsFor(Bytes(Count())));
	const uint64_t nodes = Count() / bucket_count + 1;
	bucket_nodes = (nodes + node_step - 1) / node_step * node_step;
	for (size_t bucket = 0; bucket < bucket_count; bucket++) {
		const uint32_t stream = spill.AddStream();
		LMD_CHECK(stream == StreamOf(bucket), "the streams of the buckets follow that of the rows");
	}
}

void BuildRows::Arrange(size_t block, const std::vector<uint32_t> &node_of_position) {
	const Spill::Block rows = spill.Read(0, block);
	std::vector<std::pair<uint32_t, size_t>> moves; // node, row
	for (size_t i = 0; i < rows.Count(); i++) {
		moves.emplace_back(node_of_position[block_starts[block] + i], i);
	}
	std::sort(moves.begin(), moves.end());
	std::vector<uint8_t> records;
	for (size_t i = 0; i < moves.size(); i++) {
		const size_t bucket = moves[i].first / bucket_nodes;
		const uint64_t key = moves[i].first;
		const uint8_t *record = rows.Record(moves[i].second);
		records.insert(records.end(), record, record + record_bytes);
		std::memcpy(records.data() + records.size() - record_bytes, &key, sizeof(key));
		if (i + 1 == moves.size() || moves[i + 1].first / bucket_nodes != bucket) {
			spill.Append(StreamOf(bucket), records.data(), records.size() / record_bytes);
			records.clear();
		}
	}
	spill.Free(0, block);
}

std::vector<std::pair<uint32_t, size_t>> BuildRows::BucketBlocks() const {
	std::vector<std::pair<uint32_t, size_t>> blocks;
	for (size_t bucket = 0; bucket < bucket_count; bucket++) {
		for (size_t block = 0; block < spill.BlockCount(StreamOf(bucket)); block++) {
			blocks.emplace_back(StreamOf(bucket), block);
		}
	}
	return blocks;
}

void BuildRows::LoadBucket(size_t bucket) {
	for (size_t block = 0; block < loaded_blocks.size(); block++) {
		spill.Free(StreamOf(loaded_bucket), block);
	}
	loaded_blocks.clear();
	loaded_bucket = bucket;
	loaded_vectors.assign(BucketBegin(bucket + 1).value - BucketBegin(bucket).value, nullptr);
	for (size_t block = 0; block < spill.BlockCount(StreamOf(bucket)); block++) {
		loaded_blocks.push_back(spill.Read(StreamOf(bucket), block));
		const Spill::Block &rows = loaded_blocks.back();
		for (size_t i = 0; i < rows.Count(); i++) {
			const uint64_t place = KeyOf(rows.Record(i)) - BucketBegin(bucket).value;
			LMD_CHECK(place < loaded_vectors.size(), "a row lies in the bucket of its node");
			loaded_vectors[place] = rows.Record(i) + sizeof(uint64_t);
		}
	}
}

} // namespace lm_diskann
