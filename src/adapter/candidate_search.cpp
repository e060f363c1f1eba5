#include "adapter/candidate_search.hpp"

#include "duckdb/catalog/catalog_entry/duck_table_entry.hpp"
#include "duckdb/common/string_util.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/storage/data_table.hpp"
#include "duckdb/storage/table/scan_state.hpp"
#include "duckdb/transaction/duck_transaction.hpp"

#include <algorithm>
#include <cmath>

namespace duckdb {

namespace {

//! Nodes visited between two looks at what qualifies, and the fewest that say something about it.
constexpr idx_t STEP_VISITS = 32;
constexpr idx_t WINDOW_VISITS = 64;
//! What may be spent on seeing more before a choice is doubted, of what the exact way costs.
constexpr double PATIENCE = 0.1;
//! When so many of the tested candidates should have passed and none did, rows that qualify keep away from the query.
constexpr double EXPECTED_PASSES = 2.5;
//! A search that is under way is given up when what is left of it costs so much more than the exact way.
constexpr double REGRET = 1.5;
//! What is known of all rows weighs as much as so many that passed, and at most as much as all tests.
constexpr double PRIOR_PASSES = 4;
//! Rows looked at for being as near as the last one.
constexpr idx_t TIE_BATCH = 64;

} // namespace

CandidateSearch::CandidateSearch(ClientContext &context_p, const IndexScanBindData &bind_data_p,
                                 std::shared_ptr<lm_diskann::AnnIndex> core_p, SearchRequest request_p)
    : context(context_p), bind_data(bind_data_p), storage(bind_data.table.GetStorage()), core(std::move(core_p)),
      request(std::move(request_p)), costs({storage.GetTotalRows(), bind_data.column.type.dims}) {
}

void CandidateSearch::StartTraversal(uint32_t list_size_p, idx_t k) {
	list_size = list_size_p;
	cursor.emplace(core->Search(request.query.data(), k, list_size, bind_data.beam_width));
}

std::vector<row_t> CandidateSearch::Take(const std::vector<lm_diskann::Neighbor> &found) {
	std::vector<row_t> row_ids;
	for (const auto &neighbor : found) {
		row_ids.push_back(neighbor.row_id.value);
		farthest = MaxValue(farthest, neighbor.distance);
	}
	return row_ids;
}

std::vector<row_t> CandidateSearch::Next(idx_t missing) {
	if (!is_started) {
		is_started = true;
		if (request.filter) {
			ChooseStrategy();
		}
	}
	std::vector<row_t> row_ids;
	if (is_exhausted) {
		return row_ids;
	}
	switch (is_trial ? FilterStrategy::POST : strategy) {
	case FilterStrategy::EXACT:
		row_ids = FindExactly();
		break;
	case FilterStrategy::GRAPH:
		row_ids = NextGuided(missing);
		break;
	case FilterStrategy::POST:
		row_ids = NextTested(missing);
		break;
	default:
		row_ids = NextUnfiltered(missing);
	}
	returned_count += row_ids.size();
	is_complete = is_complete || (accepted && returned_count == accepted->Rows().Count());
	return row_ids;
}

std::vector<row_t> CandidateSearch::NextUnfiltered(idx_t missing) {
	if (!cursor) {
		StartTraversal(uint32_t(MaxValue<idx_t>(bind_data.search_list_size, request.row_count)), missing);
	}
	return Take(cursor->Next(missing));
}

std::vector<row_t> CandidateSearch::NextTies() {
	std::vector<row_t> row_ids;
	// The exact way has returned them.
	while (cursor && row_ids.empty() && !has_all_ties) {
		auto found = cursor->Next(TIE_BATCH);
		const auto bound = WidenDistance(farthest);
		const auto end =
		    std::remove_if(found.begin(), found.end(), [&](const auto &neighbor) { return neighbor.distance > bound; });
		has_all_ties = end != found.end() || found.size() < TIE_BATCH;
		found.erase(end, found.end());
		row_ids = strategy == FilterStrategy::POST ? Test(found) : Take(found);
	}
	return row_ids;
}

//===--------------------------------------------------------------------===//
// With a filter
//===--------------------------------------------------------------------===//
double CandidateSearch::Selectivity() const {
	const auto share =
	    accepted ? (double(accepted->Rows().Count()) + 1) / (double(costs.row_count) + 1) : estimate.value_or(1);
	return MinValue(1.0, share);
}

void CandidateSearch::ChooseStrategy() {
	estimate = bind_data.selectivity;
	if (request.rows) {
		CollectAccepted();
	} else if (!estimate) {
		estimate = EstimateSelectivity(context, storage, *request.filter);
	}
	strategy = bind_data.filter_strategy;
	if (MaySwitch()) {
		const auto selectivity = Selectivity();
		strategy = costs.Choose(selectivity, accepted.has_value(), request.row_count, bind_data.search_list_size);
		// With the set at hand, guiding the search costs no more than a trial.
		trial_tests = accepted || strategy == FilterStrategy::POST ? 0 : costs.TrialTests(selectivity);
		is_trial = trial_tests > 0;
	}
}

void CandidateSearch::CollectAccepted() {
	if (!accepted) {
		accepted = CollectRows(context, storage, *request.filter, request.rows);
	}
}

void CandidateSearch::Switch(FilterStrategy next, const string &reason) {
	switches += StringUtil::Format("%s%s to %s: %s", switches.empty() ? "" : "; ", FilterStrategyName(strategy),
	                               FilterStrategyName(next), reason);
	strategy = next;
}

std::vector<row_t> CandidateSearch::FindExactly() {
	const auto qualifying = Selectivity() * double(costs.row_count);
	if (!accepted && costs.Fetch(qualifying) < costs.Rank(qualifying, false)) {
		CollectAccepted();
	}
	const auto answer =
	    FindNearestExactly(context, storage, bind_data.column, bind_data.index->Configuration()->metric, request.query,
	                       *request.filter, accepted ? &accepted->Rows() : nullptr, request.row_count);
	exact_count = answer.ranked_count;
	is_exhausted = true;
	is_complete = answer.unranked_count == 0;
	has_all_ties = true;
	if (!is_complete && bind_data.is_descending) {
		return {}; // rows without a distance come first
	}
	return answer.row_ids;
}

std::vector<row_t> CandidateSearch::SwitchToExact(const string &reason) {
	Switch(FilterStrategy::EXACT, reason);
	return FindExactly();
}

std::vector<row_t> CandidateSearch::NextTested(idx_t missing) {
	// Rows that qualify may be the rule near the query: the list is that of a query without a filter until tests show
	// otherwise, and for the first tests of a trial a short one.
	const auto whole_list = uint32_t(MaxValue<idx_t>(bind_data.search_list_size, request.row_count));
	if (!cursor) {
		StartTraversal(is_trial ? MinValue<uint32_t>(whole_list, 2 * trial_tests) : whole_list, 0);
	}
	std::vector<row_t> passed;
	// The whole list may bring rows that are nearer than those of the short one.
	const auto is_promising = [&] { return is_trial && tested_count == trial_tests && passed_count > 0; };
	while ((passed.size() < missing || is_promising()) && !is_exhausted) {
		if (context.interrupted) {
			throw InterruptException();
		}
		if (is_promising()) {
			list_size = whole_list;
		}
		// The second half of a list is there to make the first half reliable.
		const auto reliable = list_size / 2;
		const auto has_failed = is_trial && tested_count >= trial_tests && passed_count == 0;
		const auto share = tested_count > 0 ? double(passed_count + 1) / double(tested_count + 2) : Selectivity();
		const auto open = passed.size() < missing ? missing - passed.size() : 1;
		// As many again as before at most: few that passed say little.
		const auto wanted_max = MinValue<idx_t>(MaxValue<idx_t>(tested_count, reliable), STANDARD_VECTOR_SIZE);
		auto wanted = MinValue<idx_t>(idx_t(double(open) / share * 1.2) + 8, wanted_max);
		if (is_trial && tested_count == 0) {
			wanted = trial_tests;
		} else if (tested_count < reliable && !has_failed) {
			wanted = MinValue<idx_t>(wanted, reliable - tested_count);
		} else if (MaySwitch() && !MayGoOnTesting(open)) {
			return NextAfterTests(std::move(passed), missing);
		}
		list_size = MaxValue<uint32_t>(list_size, uint32_t(2 * (tested_count + wanted)));
		cursor->Widen(list_size);
		const auto candidates = cursor->Next(wanted);
		is_exhausted = candidates.size() < wanted;
		const auto row_ids = Test(candidates);
		passed.insert(passed.end(), row_ids.begin(), row_ids.end());
	}
	if (is_trial) {
		EndTrial(FilterStrategy::POST);
	}
	return passed;
}

void CandidateSearch::EndTrial(FilterStrategy next) {
	is_trial = false;
	if (next != strategy) {
		Switch(next, StringUtil::Format("%llu of the %llu nearest passed", passed_count, tested_count));
	}
}

std::optional<double> CandidateSearch::ShareNearby() const {
	const auto selectivity = Selectivity();
	const auto tested = double(tested_count);
	if (passed_count == 0) {
		return tested * selectivity < EXPECTED_PASSES ? std::optional<double>(selectivity) : std::nullopt;
	}
	return SmoothedShare(double(passed_count), tested);
}

double CandidateSearch::SmoothedShare(double passed, double seen) const {
	const auto selectivity = Selectivity();
	const auto weight = MinValue(PRIOR_PASSES / selectivity, seen);
	return (passed + weight * selectivity) / (seen + weight);
}

bool CandidateSearch::MayGoOnTesting(idx_t open) {
	const auto selectivity = Selectivity();
	const auto spent = costs.Visits(list_size) + costs.Tests(double(tested_count));
	const auto exact = costs.Exact(selectivity * double(costs.row_count), accepted.has_value());
	// A step is at most as long as all before it.
	if (strategy == FilterStrategy::POST && 2 * spent <= PATIENCE * exact) {
		return true;
	}
	const auto share = ShareNearby();
	auto next = FilterStrategy::EXACT;
	if (share) {
		const auto post = costs.Post(double(open) / *share);
		const auto visits =
		    double(FilteredListSize(request.row_count, bind_data.search_list_size, selectivity)) / *share;
		const auto graph = costs.Graph(MaxValue(visits - double(list_size), 0.0), accepted.has_value());
		next = costs.Cheapest(exact, graph, post);
	}
	EndTrial(next);
	return strategy == FilterStrategy::POST;
}

std::vector<row_t> CandidateSearch::NextAfterTests(std::vector<row_t> passed, idx_t missing) {
	if (strategy == FilterStrategy::EXACT) {
		return FindExactly();
	}
	auto row_ids = NextGuided(missing - passed.size());
	// The exact way has found again what passed.
	if (strategy == FilterStrategy::GRAPH) {
		row_ids.insert(row_ids.begin(), passed.begin(), passed.end());
	}
	return row_ids;
}

std::vector<row_t> CandidateSearch::Test(const std::vector<lm_diskann::Neighbor> &candidates) {
	if (!selector) {
		selector = make_uniq<RowSelector>(context, *request.filter);
		tested_columns = request.filter->Columns();
		tested_columns.emplace_back(COLUMN_IDENTIFIER_ROW_ID);
		auto types = request.filter->Types();
		types.emplace_back(LogicalType::ROW_TYPE);
		tested_rows.Initialize(context, types);
	}
	Vector row_ids(LogicalType::ROW_TYPE);
	const auto ids = FlatVector::GetData<row_t>(row_ids);
	for (idx_t i = 0; i < candidates.size(); i++) {
		ids[i] = candidates[i].row_id.value;
	}
	ColumnFetchState fetch;
	tested_rows.Reset();
	storage.Fetch(DuckTransaction::Get(context, storage.db), tested_rows, tested_columns, row_ids, candidates.size(),
	              fetch);
	selector->Keep(tested_rows);
	tested_count += candidates.size();
	passed_count += tested_rows.size();
	tested_rows.data.back().Flatten(tested_rows.size());
	const auto passed = FlatVector::GetData<row_t>(tested_rows.data.back());
	std::vector<lm_diskann::Neighbor> neighbors;
	// The order is that of the candidates.
	for (idx_t i = 0, candidate = 0; i < tested_rows.size(); candidate++) {
		if (candidates[candidate].row_id.value == passed[i]) {
			if (!request.rows || request.rows->Contains(candidates[candidate].row_id)) {
				neighbors.push_back(candidates[candidate]);
			}
			i++;
		}
	}
	return Take(neighbors);
}

std::vector<row_t> CandidateSearch::NextGuided(idx_t missing) {
	if (!is_guided) {
		is_guided = true;
		CollectAccepted();
		const auto selectivity = Selectivity();
		if (MaySwitch() && tested_count == 0 &&
		    costs.Choose(selectivity, true, request.row_count, bind_data.search_list_size) == FilterStrategy::EXACT) {
			return SwitchToExact(StringUtil::Format("%llu rows qualify", accepted->Rows().Count()));
		}
		const auto size = FilteredListSize(request.row_count, bind_data.search_list_size, Selectivity());
		if (!cursor) {
			StartTraversal(size, 0);
		}
		list_size = size;
		cursor->SetFilter([this](lm_diskann::RowId row_id) { return accepted->Rows().Contains(row_id); }, size);
		string doubt;
		if (MaySwitch() && !Settle(doubt)) {
			return SwitchToExact(doubt);
		}
	}
	auto row_ids = Take(cursor->Next(missing));
	is_exhausted = row_ids.size() < missing;
	return row_ids;
}

bool CandidateSearch::Settle(string &doubt) {
	const auto selectivity = Selectivity();
	const auto visit_max = costs.Exact(double(accepted->Rows().Count()), true) / costs.Visits(1);
	const auto start = cursor->Progress();
	auto last_gain = start;
	auto now = start;
	while (!cursor->Advance(now.visited + STEP_VISITS)) {
		if (context.interrupted) {
			throw InterruptException();
		}
		now = cursor->Progress();
		if (now.listed > last_gain.listed) {
			last_gain = now;
		}
		const auto visited = double(now.visited - start.visited);
		const auto gained = double(now.listed - start.listed);
		const auto missing = double(list_size - now.listed);
		// Without another row for so long there is no telling how far the next one is.
		const auto patience = (gained == 0 ? EXPECTED_PASSES : 2 * EXPECTED_PASSES) / selectivity;
		const auto dry_max = std::max({double(WINDOW_VISITS), PATIENCE * visit_max, patience});
		const auto is_dry = missing > 0 && double(now.visited - last_gain.visited) > dry_max;
		const auto is_slow =
		    gained > 0 && visited >= WINDOW_VISITS && missing / SmoothedShare(gained, visited) > REGRET * visit_max;
		if (visited > REGRET * visit_max || is_dry || is_slow) {
			doubt = StringUtil::Format("%llu of %llu nodes near the query qualify", now.listed, now.visited);
			return false;
		}
	}
	return true;
}

void CandidateSearch::Describe(InsertionOrderPreservingMap<string> &result) const {
	if (strategy == FilterStrategy::AUTO) {
		return;
	}
	result["Filter Strategy"] = FilterStrategyName(strategy);
	if (!switches.empty()) {
		result["Strategy Switches"] = switches;
	}
	if (accepted) {
		result["Rows Qualifying"] = std::to_string(accepted->Rows().Count());
	} else {
		result["Selectivity Estimate"] = StringUtil::Format("%.4f", estimate.value_or(1));
	}
	const auto progress = cursor ? cursor->Progress() : lm_diskann::SearchProgress();
	const auto filtered = is_guided ? progress.visited - progress.accepted : tested_count - passed_count;
	result["Rows Filtered"] = std::to_string(filtered);
	if (exact_count > 0) {
		result["Rows Ranked"] = std::to_string(exact_count);
	}
}

lm_diskann::SearchCounters CandidateSearch::Counters() const {
	auto counters = cursor ? cursor->Counters() : lm_diskann::SearchCounters();
	counters.distances_exact += exact_count;
	return counters;
}

} // namespace duckdb
