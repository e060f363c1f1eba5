#include "subject.hpp"

#include <faiss/IndexHNSW.h>
#include <faiss/index_io.h>
#include <faiss/utils/distances.h>
#include <omp.h>

namespace lm_diskann {

namespace {

constexpr int DEGREE = 16, LIST_SIZE_BUILDING = 200;

class FaissSubject final : public Subject {
public:
	void Build(const DataSet &set, const std::string &path, size_t thread_count) override {
		omp_set_num_threads(int(thread_count));
		const bool is_cosine = set.metric == Metric::COSINE;
		index = std::make_unique<faiss::IndexHNSWFlat>(int(set.dims), DEGREE,
		                                               is_cosine ? faiss::METRIC_INNER_PRODUCT : faiss::METRIC_L2);
		index->hnsw.efConstruction = LIST_SIZE_BUILDING;
		std::vector<float> vectors = set.vectors;
		if (is_cosine) {
			faiss::fvec_renorm_L2(set.dims, set.row_count, vectors.data());
		}
		index->add(set.row_count, vectors.data());
		faiss::write_index(index.get(), path.c_str());
	}

	void Open(const DataSet &, const std::string &path) override {
		index.reset(dynamic_cast<faiss::IndexHNSWFlat *>(faiss::read_index(path.c_str())));
	}

	void SetListSize(size_t list_size) override {
		index->hnsw.efSearch = int(list_size);
	}

	void Search(const float *query, size_t k, size_t, uint32_t *found) override {
		// faiss would start its own threads; the caller has them.
		omp_set_num_threads(1);
		std::vector<float> distances(k);
		std::vector<faiss::Index::idx_t> labels(k);
		index->search(1, query, faiss::Index::idx_t(k), distances.data(), labels.data());
		for (size_t i = 0; i < k; i++) {
			found[i] = labels[i] < 0 ? UINT32_MAX : uint32_t(labels[i]);
		}
	}

private:
	std::unique_ptr<faiss::IndexHNSWFlat> index;
};

} // namespace

std::unique_ptr<Subject> MakeFaiss() {
	return std::make_unique<FaissSubject>();
}

} // namespace lm_diskann
