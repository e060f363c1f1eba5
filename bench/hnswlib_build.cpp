// The build of hnswlib, for build_bench: compiled for this machine, as its users do.
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#if __has_include(<hnswlib/hnswlib.h>)
#include <hnswlib/hnswlib.h>
#define HAS_HNSWLIB 1
#endif

namespace lm_diskann {

bool BuildHnswlib(size_t count, size_t dims, const std::function<void(size_t, float *)> &vector_of,
                  std::function<std::vector<size_t>(const float *, size_t, size_t)> &search) {
#ifdef HAS_HNSWLIB
	const auto space = std::make_shared<hnswlib::L2Space>(dims);
	const auto graph = std::make_shared<hnswlib::HierarchicalNSW<float>>(space.get(), count, 16, 200);
	std::vector<float> vector(dims);
	for (size_t row = 0; row < count; row++) {
		vector_of(row, vector.data());
		graph->addPoint(vector.data(), row);
	}
	search = [space, graph](const float *query, size_t k, size_t ef) {
		graph->setEf(ef);
		std::vector<size_t> rows;
		for (auto found = graph->searchKnn(query, k); !found.empty(); found.pop()) {
			rows.push_back(found.top().second);
		}
		return rows;
	};
	return true;
#else
	(void)count;
	(void)dims;
	(void)vector_of;
	(void)search;
	return false;
#endif
}

} // namespace lm_diskann
