// lm_diskann through its core: the file, and beside it the marker that DuckDB's metadata would hold.
#include "disk_file.hpp"
#include "subject.hpp"

#include "base/error.hpp"
#include "index/ann_index.hpp"

#include <fstream>
#include <numeric>
#include <thread>

namespace lm_diskann {

namespace {

constexpr uint64_t BEYOND_ALL = uint64_t(1) << 40;
constexpr uint64_t COLD_PARTS = 50;
constexpr uint32_t BEAM_WIDTH = 4;

IndexConfiguration ConfigurationOf(const DataSet &set) {
	IndexOptions options;
	options.metric = set.metric;
	return Configure(options, ElementType::FLOAT32, set.dims);
}

void BuildOnThreads(IndexBuilder &builder, size_t thread_count) {
	ForEachItem(thread_count, thread_count, [&](size_t, size_t) {
		WorkState state = WorkState::WORKED;
		while (state != WorkState::FINISHED) {
			if (state == WorkState::WAITING) {
				std::this_thread::yield();
			}
			state = builder.Work();
		}
	});
}

class LmDiskannSubject final : public Subject {
public:
	explicit LmDiskannSubject(bool is_cold_p) : is_cold(is_cold_p) {
	}

	void Build(const DataSet &set, const std::string &path, size_t thread_count) override {
		std::vector<RowId> row_ids;
		for (size_t row = 0; row < set.row_count; row++) {
			row_ids.emplace_back(int64_t(row));
		}
		IndexBuilder builder(ConfigurationOf(set));
		VectorBatch batch;
		batch.row_ids = row_ids.data();
		batch.floats = set.vectors.data();
		batch.count = set.row_count;
		builder.Add(batch);
		builder.Start(std::make_unique<DiskFile>(path, DiskFile::Mode::CREATE), Uuid());
		BuildOnThreads(builder, thread_count);
		const auto built = builder.Finish(std::make_shared<PageCache>(BEYOND_ALL));
		// CREATE INDEX does it, too, and searches end by what it finds.
		built->Calibrate([] { return false; });
		const Marker marker = built->Publish();
		std::ofstream(path + ".marker", std::ios::binary)
		    .write(reinterpret_cast<const char *>(&marker), sizeof(marker));
	}

	void Open(const DataSet &set, const std::string &path) override {
		Marker marker;
		std::ifstream(path + ".marker", std::ios::binary).read(reinterpret_cast<char *>(&marker), sizeof(marker));
		auto file = std::make_unique<DiskFile>(path, is_cold ? DiskFile::Mode::READ_DIRECT : DiskFile::Mode::READ);
		const uint64_t budget = is_cold ? file->Size() / COLD_PARTS : BEYOND_ALL;
		index = AnnIndex::Open(std::move(file), marker, ConfigurationOf(set), std::make_shared<PageCache>(budget));
	}

	void SetListSize(size_t list_size_p) override {
		list_size = uint32_t(list_size_p);
	}

	void Search(const float *query, size_t k, size_t, uint32_t *found) override {
		const std::vector<Neighbor> nearest = index->Search(query, k, list_size, BEAM_WIDTH).Next(k);
		for (size_t i = 0; i < k; i++) {
			found[i] = i < nearest.size() ? uint32_t(nearest[i].row_id.value) : UINT32_MAX;
		}
	}

	SubjectCounters Counters() const override {
		const IndexCounters &counters = index->Counters();
		return {{"queries", double(counters.queries)},
		        {"blocks_read", double(counters.blocks_read)},
		        {"cache_hits", double(counters.cache_hits)},
		        {"hops", double(counters.hops)},
		        {"distances_exact", double(counters.distances_exact)},
		        {"distances_estimated", double(counters.distances_estimated)}};
	}

private:
	bool is_cold;
	uint32_t list_size = 0;
	std::shared_ptr<AnnIndex> index;
};

} // namespace

std::unique_ptr<Subject> MakeLmDiskann(bool is_cold) {
	return std::make_unique<LmDiskannSubject>(is_cold);
}

} // namespace lm_diskann
