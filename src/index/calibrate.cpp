// Measuring a calibration. Some rows of the graph serve as queries that are not in it: a search for one never visits
// its own node. One pass over all nodes finds their exact neighbours; then a search for each is made, with a list that
// grows until all are found, and recorded: what it would find and cost with other lists and limits is told from that.
#include "base/error.hpp"
#include "base/random.hpp"
#include "graph/search.hpp"
#include "index/index_state.hpp"
#include "index/search_replay.hpp"
#include "vector/distance.hpp"
#include "vector/rounded_rows.hpp"

#include <algorithm>
#include <limits>

namespace lm_diskann {

namespace {

constexpr uint32_t LIST_SIZES[] = {10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512};
//! A search is recorded with a list so many times longer than the one that finds all.
constexpr uint32_t RECORDED_RATIO = 2;
//! What moderate lists cost is compared even where a short one finds all.
constexpr uint32_t RECORDED_LIST_SIZE_MIN = 256;
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

	bool MayBeNearest(float bound) const {
		return nearest.size() < CALIBRATION_K || bound <= nearest.front();
	}
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
			Record(sample);
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
		const size_t dims = state.configuration.dims;
		const RoundedRows rounded = RoundSamples();
		std::vector<float> bounds(samples.size());
		return ForEachLiveNode([&](NodeId id, const NodeView &node) {
			const float *vector = node.Vector(scratch.data());
			rounded.LowerBounds(RoundedQuery(graph.metric, vector, dims), bounds.data());
			for (size_t i = 0; i < samples.size(); i++) {
				if (samples[i].node != id && samples[i].MayBeNearest(bounds[i])) {
					samples[i].Offer(DistanceTo(samples[i], vector));
				}
			}
		});
	}
	RoundedRows RoundSamples() const {
		std::vector<float> vectors;
		for (const Sample &sample : samples) {
			vectors.insert(vectors.end(), sample.vector.begin(), sample.vector.end());
		}
		return RoundedRows(graph.metric, vectors.data(), samples.size(), state.configuration.dims);
	}
	float DistanceTo(const Sample &sample, const float *vector) const {
		const float distance = Distance(graph.metric, sample.vector.data(), vector, state.configuration.dims);
		return distance == distance ? distance : std::numeric_limits<float>::infinity();
	}

	void Record(const Sample &sample) {
		BeamSearch search(graph, sample.vector.data(), BEAM_WIDTH);
		search.Avoid(sample.node);
		RecordedSearch record;
		record.answer_count = sample.nearest.size();
		for (const uint32_t list_size : LIST_SIZES) {
			record.list_size = std::max(RECORDED_LIST_SIZE_MIN, RECORDED_RATIO * list_size);
			search.Expand(list_size);
			if (CountAnswers(sample, search.Visits()) >= record.answer_count) {
				break;
			}
		}
		search.Expand(record.list_size);
		for (const Visit &visit : search.Visits()) {
			record.steps.push_back({visit.estimate, visit.distance, IsAnswer(sample, visit)});
		}
		replay.Add(std::move(record));
	}
	//! As near as the nearest. Equal distances are as good.
	bool IsAnswer(const Sample &sample, const Visit &visit) const {
		return visit.row_id != NO_ROW && visit.distance <= sample.nearest.front() && !IsDeleted(visit.row_id);
	}
	size_t CountAnswers(const Sample &sample, const std::vector<Visit> &visits) const {
		return size_t(
		    std::count_if(visits.begin(), visits.end(), [&](const Visit &visit) { return IsAnswer(sample, visit); }));
	}

	void Sum(Calibration &calibration) const {
		if (samples.empty()) {
			return;
		}
		calibration.sample_count = uint32_t(samples.size());
		// Products may be negative: a multiple of one says nothing.
		calibration.dimension = graph.metric == Metric::IP ? 0 : replay.FitDimension();
		for (const uint32_t list_size : LIST_SIZES) {
			calibration.points.push_back(replay.Measure(list_size, calibration.dimension));
			if (calibration.points.back().recall >= 1) {
				break;
			}
		}
	}

	AnnIndex::Impl &state;
	const Graph &graph;
	const std::function<bool()> &is_stopped;
	std::vector<Extent> pages;
	std::vector<float> scratch;
	std::vector<Sample> samples;
	SearchReplay replay;
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
