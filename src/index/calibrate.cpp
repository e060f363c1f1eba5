// Measuring a calibration. Some rows of the graph serve as queries that are not in it: a search for one never visits
// its own node. One pass over all nodes finds their exact neighbours; then a search for each is made with lists of
// growing size. A search that goes on only adds what it visits, so recall never falls, and a search that has found all
// is over: each further place in the list would cost it one more block.
#include "base/error.hpp"
#include "base/random.hpp"
#include "graph/search.hpp"
#include "index/index_state.hpp"
#include "vector/distance.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lm_diskann {

namespace {

constexpr uint32_t LIST_SIZES[] = {10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512};
constexpr size_t LIST_SIZE_COUNT = std::size(LIST_SIZES);
constexpr uint32_t BEAM_WIDTH = 4;
//! Fewer rows than the first are searched whole; one sample for so many rows, but not more than the cost allows.
constexpr uint64_t ROW_COUNT_MIN = 200, ROWS_PER_SAMPLE = 50, SAMPLE_COUNT_MIN = 32, SAMPLE_COUNT_MAX = 200;
//! Elements of distances in the exact pass, and bytes of sampled vectors.
constexpr uint64_t ELEMENT_COUNT_MAX = uint64_t(200) * 1000 * 1000 * 1000, SAMPLE_BYTES_MAX = uint64_t(8) << 20;
//! Pages between two questions whether to stop.
constexpr size_t STOP_PAGES = 64;

struct Sample {
	NodeId node;
	std::vector<float> vector;
	//! The nearest distances, a max-heap of at most CALIBRATION_K.
	std::vector<float> nearest;

	void Offer(float distance) {
		if (nearest.size() < CALIBRATION_K) {
			nearest.push_back(distance);
			std::push_heap(nearest.begin(), nearest.end());
		} else if (distance < nearest.front()) {
			std::pop_heap(nearest.begin(), nearest.end());
			nearest.back() = distance;
			std::push_heap(nearest.begin(), nearest.end());
		}
	}
};

} // namespace

class Calibrator {
public:
	Calibrator(AnnIndex::Impl &state_p, const std::function<bool()> &is_stopped_p)
	    : state(state_p), graph(state_p.graph), is_stopped(is_stopped_p), scratch(state_p.configuration.dims) {
		for (const auto &[first, count] : state.node_pages.All()) {
			pages.push_back({first, count});
		}
	}

	//! False: it was stopped.
	bool Run(Calibration &calibration) {
		if (!TakeSamples() || !FindExact()) {
			return false;
		}
		for (const Sample &sample : samples) {
			if (is_stopped()) {
				return false;
			}
			Measure(sample);
		}
		Sum(calibration);
		return true;
	}

private:
	//! Calls `visit` with each node that is an answer, page by page.
	template <class VISITOR>
	bool ForEachLiveNode(VISITOR visit) {
		size_t page_count = 0;
		PageCacheCounters counters;
		for (const Extent &extent : pages) {
			for (uint32_t i = 0; i < extent.count; i++) {
				if (page_count++ % STOP_PAGES == 0 && is_stopped()) {
					return false;
				}
				VisitPage(PageId(extent.first + i), counters, visit);
			}
		}
		return true;
	}
	template <class VISITOR>
	void VisitPage(PageId page, PageCacheCounters &counters, VISITOR &visit) {
		const PageRef present = graph.cache->Pin(graph.file_key, page, PageKind::NODES, counters);
		for (uint32_t place = 0; place < graph.layout.nodes_per_page; place++) {
			const NodeId id(page.value * graph.layout.nodes_per_page + place);
			const NodeView node(graph.layout, present.data(), id, graph.node_end);
			if (node.Row() != NO_ROW && !IsDeleted(node.Row())) {
				visit(id, node);
			}
		}
	}
	bool IsDeleted(RowId row_id) const {
		const std::shared_lock<std::shared_mutex> guard(state.state_mutex);
		return state.tombstones.Contains(row_id);
	}

	//! Nodes of a seeded random choice among all places; entries would be visited all the same.
	bool TakeSamples() {
		uint64_t page_count = 0;
		for (const Extent &extent : pages) {
			page_count += extent.count;
		}
		const uint64_t row_count = state.stored.node_count, dims = state.configuration.dims;
		if (row_count < ROW_COUNT_MIN) {
			return true;
		}
		const uint64_t wanted = std::min({std::max(SAMPLE_COUNT_MIN, row_count / ROWS_PER_SAMPLE), SAMPLE_COUNT_MAX,
		                                  std::max(SAMPLE_COUNT_MIN, ELEMENT_COUNT_MAX / (row_count * dims)),
		                                  SAMPLE_BYTES_MAX / (dims * sizeof(float))});
		Random random(uint64_t(state.configuration.seed) ^ 0x63616C6962ULL);
		NodeSet tried;
		PageCacheCounters counters;
		// Where most places are empty, fewer samples will do.
		for (uint64_t tries = 0; samples.size() < wanted && tries < 8 * wanted; tries++) {
			const uint64_t place = random.Next() % (page_count * graph.layout.nodes_per_page);
			const NodeId chosen = NodeAt(place);
			if (!tried.Insert(chosen) ||
			    std::find(graph.entries.begin(), graph.entries.end(), chosen) != graph.entries.end()) {
				continue;
			}
			const auto take = [&](NodeId id, const NodeView &node) {
				if (id == chosen) {
					const float *vector = node.Vector(scratch.data());
					samples.push_back({id, std::vector<float>(vector, vector + dims), {}});
				}
			};
			VisitPage(graph.layout.PageOf(chosen), counters, take);
		}
		return !is_stopped();
	}
	NodeId NodeAt(uint64_t place) const {
		uint64_t page = place / graph.layout.nodes_per_page;
		for (const Extent &extent : pages) {
			if (page < extent.count) {
				const uint64_t node = (extent.first + page) * graph.layout.nodes_per_page;
				return NodeId(uint32_t(node + place % graph.layout.nodes_per_page));
			}
			page -= extent.count;
		}
		throw InternalError("a place beyond the pages of nodes was asked for");
	}

	bool FindExact() {
		if (samples.empty()) {
			return true;
		}
		return ForEachLiveNode([&](NodeId id, const NodeView &node) {
			const float *vector = node.Vector(scratch.data());
			for (Sample &sample : samples) {
				if (sample.node != id) {
					sample.Offer(DistanceTo(sample, vector));
				}
			}
		});
	}
	float DistanceTo(const Sample &sample, const float *vector) const {
		const float distance = Distance(graph.metric, sample.vector.data(), vector, state.configuration.dims);
		return distance == distance ? distance : std::numeric_limits<float>::infinity();
	}

	void Measure(const Sample &sample) {
		BeamSearch search(graph, sample.vector.data(), BEAM_WIDTH);
		search.Avoid(sample.node);
		double recall = 0, blocks = 0;
		uint32_t complete_at = 0;
		for (size_t i = 0; i < LIST_SIZE_COUNT; i++) {
			if (complete_at == 0) {
				search.Expand(LIST_SIZES[i]);
				recall = RecallOf(sample, search.Visits());
				blocks = double(search.Visits().size());
				complete_at = recall >= 1 ? LIST_SIZES[i] : 0;
				measured_count = std::max(measured_count, i + 1);
			} else {
				blocks += LIST_SIZES[i] - LIST_SIZES[i - 1];
			}
			recalls[i] += recall;
			squares[i] += recall * recall;
			block_counts[i] += blocks;
		}
	}
	//! Of the nearest distances. Equal ones are as good.
	double RecallOf(const Sample &sample, const std::vector<Visit> &visits) const {
		const float farthest = sample.nearest.front();
		size_t found = 0;
		for (const Visit &visit : visits) {
			found += visit.row_id != NO_ROW && visit.distance <= farthest && !IsDeleted(visit.row_id) ? 1 : 0;
		}
		return double(std::min(found, sample.nearest.size())) / double(sample.nearest.size());
	}

	void Sum(Calibration &calibration) const {
		const auto count = double(samples.size());
		calibration.sample_count = uint32_t(samples.size());
		for (size_t i = 0; i < measured_count; i++) {
			const double mean = recalls[i] / count;
			const double variance = std::max(0.0, squares[i] / count - mean * mean);
			calibration.points.push_back(
			    {LIST_SIZES[i], float(mean), float(std::sqrt(variance / count)), float(block_counts[i] / count)});
		}
	}

	AnnIndex::Impl &state;
	const Graph &graph;
	const std::function<bool()> &is_stopped;
	std::vector<Extent> pages;
	std::vector<float> scratch;
	std::vector<Sample> samples;
	//! Sums over samples, by list size; the first `measured_count` have one that was not over before.
	size_t measured_count = 0;
	double recalls[LIST_SIZE_COUNT] = {}, squares[LIST_SIZE_COUNT] = {}, block_counts[LIST_SIZE_COUNT] = {};
};

bool AnnIndex::Calibrate(const std::function<bool()> &is_stopped) {
	const std::lock_guard<std::mutex> guard(impl->maintenance_mutex);
	impl->RequireHealthy();
	Calibration calibration;
	if (!Calibrator(*impl, is_stopped).Run(calibration)) {
		return false;
	}
	const std::unique_lock<std::shared_mutex> state_guard(impl->state_mutex);
	impl->calibration = std::move(calibration);
	impl->is_calibration_changed = true;
	impl->is_unpublished = true;
	return true;
}

Calibration AnnIndex::GetCalibration() const {
	const std::shared_lock<std::shared_mutex> guard(impl->state_mutex);
	return impl->calibration;
}

} // namespace lm_diskann
