#include "subject.hpp"

#include <hnswlib/hnswlib.h>

#include <cmath>

namespace lm_diskann {

namespace {

constexpr size_t DEGREE = 16, LIST_SIZE_BUILDING = 200;

//! Cosine is the inner product of vectors of unit length, as hnswlib's documentation says.
class HnswlibSubject final : public Subject {
public:
	void Build(const DataSet &set, const std::string &path, size_t thread_count) override {
		MakeSpace(set);
		index =
		    std::make_unique<hnswlib::HierarchicalNSW<float>>(space.get(), set.row_count, DEGREE, LIST_SIZE_BUILDING);
		ForEachItem(set.row_count, thread_count,
		            [&](size_t row, size_t) { index->addPoint(Prepared(set.Vector(row)).data(), row); });
		index->saveIndex(path);
	}

	void Open(const DataSet &set, const std::string &path) override {
		MakeSpace(set);
		index = std::make_unique<hnswlib::HierarchicalNSW<float>>(space.get(), path);
	}

	void SetListSize(size_t list_size) override {
		index->setEf(list_size);
	}

	void Search(const float *query, size_t k, size_t, uint32_t *found) override {
		auto nearest = is_cosine ? index->searchKnn(Prepared(query).data(), k) : index->searchKnn(query, k);
		std::fill(found, found + k, UINT32_MAX);
		for (size_t i = 0; !nearest.empty(); i++) {
			found[i] = uint32_t(nearest.top().second);
			nearest.pop();
		}
	}

private:
	void MakeSpace(const DataSet &set) {
		dims = set.dims;
		is_cosine = set.metric == Metric::COSINE;
		if (is_cosine) {
			space = std::make_unique<hnswlib::InnerProductSpace>(dims);
		} else {
			space = std::make_unique<hnswlib::L2Space>(dims);
		}
	}

	std::vector<float> Prepared(const float *vector) const {
		std::vector<float> copy(vector, vector + dims);
		if (is_cosine) {
			float squared = 0;
			for (const float value : copy) {
				squared += value * value;
			}
			for (float &value : copy) {
				value /= std::sqrt(squared);
			}
		}
		return copy;
	}

	size_t dims = 0;
	bool is_cosine = false;
	std::unique_ptr<hnswlib::SpaceInterface<float>> space;
	std::unique_ptr<hnswlib::HierarchicalNSW<float>> index;
};

} // namespace

std::unique_ptr<Subject> MakeHnswlib() {
	return std::make_unique<HnswlibSubject>();
}

} // namespace lm_diskann
