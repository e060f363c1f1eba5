// hnswlib, for the programs that measure builds and changes: compiled for this machine, as its users do.
#include "bench_rows.hpp"

#if __has_include(<hnswlib/hnswlib.h>)
#include <hnswlib/hnswlib.h>
#define HAS_HNSWLIB 1
#endif

#include <algorithm>
#include <cmath>
#include <numeric>

namespace lm_diskann {

#ifdef HAS_HNSWLIB
namespace {

//! Cosine is the distance of vectors of unit length.
class HierarchicalGraph final : public HnswlibGraph {
public:
	HierarchicalGraph(Metric metric, size_t row_max, size_t dims_p)
	    : dims(dims_p), is_cosine(metric == Metric::COSINE), space(dims), graph(&space, row_max, 16, 200) {
	}
	void Add(size_t row, const float *vector) override {
		graph.addPoint(Prepared(vector).data(), row);
	}
	std::vector<size_t> Search(const float *query, size_t k, size_t ef) override {
		graph.setEf(ef);
		std::vector<size_t> rows;
		for (auto found = graph.searchKnn(Prepared(query).data(), k); !found.empty(); found.pop()) {
			rows.push_back(found.top().second);
		}
		return rows;
	}

private:
	std::vector<float> Prepared(const float *vector) const {
		std::vector<float> copy(vector, vector + dims);
		if (is_cosine) {
			const float norm = std::sqrt(std::inner_product(copy.begin(), copy.end(), copy.begin(), 0.0F));
			std::transform(copy.begin(), copy.end(), copy.begin(), [norm](float value) { return value / norm; });
		}
		return copy;
	}

	size_t dims;
	bool is_cosine;
	hnswlib::L2Space space;
	hnswlib::HierarchicalNSW<float> graph;
};

} // namespace

std::unique_ptr<HnswlibGraph> HnswlibGraph::Create(Metric metric, size_t row_max, size_t dims) {
	return std::make_unique<HierarchicalGraph>(metric, row_max, dims);
}
#else
std::unique_ptr<HnswlibGraph> HnswlibGraph::Create(Metric, size_t, size_t) {
	return nullptr;
}
#endif

} // namespace lm_diskann
