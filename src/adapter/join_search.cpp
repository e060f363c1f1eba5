#include "adapter/join_search.hpp"

#include "adapter/query_vector.hpp"

#include "base/error.hpp"

#include "duckdb/main/client_context.hpp"
#include "duckdb/storage/data_table.hpp"
#include "duckdb/storage/table/scan_state.hpp"

namespace duckdb {

namespace {

//! A lossy form of the vectors in the index orders candidates only roughly.
constexpr idx_t LOSSY_FACTOR = 2, LOSSY_EXTRA = 10;
//! Reading a row through the index costs as much as so many rows of a scan.
constexpr idx_t SCAN_ADVANTAGE = 100;
constexpr idx_t TESTED_MIN = 1000;
//! Rows to test before the share that passes is believed.
constexpr idx_t SHARE_SAMPLE = 2000;

idx_t TargetCount(const IndexJoinSpec &spec) {
	const auto count = spec.limit + spec.offset;
	const bool is_native = spec.index->Configuration()->vectors == lm_diskann::VectorStorage::NATIVE;
	return is_native ? count : count * LOSSY_FACTOR + LOSSY_EXTRA;
}

vector<const_reference<Expression>> Filters(const IndexJoinSpec &spec,
                                            const vector<unique_ptr<Expression>> &expressions) {
	vector<const_reference<Expression>> filters;
	for (idx_t i = 0; i < spec.filter_count; i++) {
		filters.push_back(*expressions[LogicalIndexJoin::FIRST_FILTER + i]);
	}
	return filters;
}

} // namespace

void JoinProgress::NoteFallback(const string &reason) {
	const lock_guard<mutex> guard(lock);
	fallback_reason = reason;
}

string JoinProgress::FallbackReason() {
	const lock_guard<mutex> guard(lock);
	return fallback_reason;
}

void JoinProgress::Add(const lm_diskann::SearchCounters &counters) {
	const lock_guard<mutex> guard(lock);
	sums.blocks_read += counters.blocks_read;
	sums.cache_hits += counters.cache_hits;
	sums.hops += counters.hops;
	sums.distances_exact += counters.distances_exact;
	sums.distances_estimated += counters.distances_estimated;
}

lm_diskann::SearchCounters JoinProgress::Counters() {
	const lock_guard<mutex> guard(lock);
	return sums;
}

JoinSearch::JoinSearch(ClientContext &context_p, const IndexJoinSpec &spec_p,
                       const vector<unique_ptr<Expression>> &expressions, const vector<LogicalType> &left_types,
                       const TableRows &table_p, JoinFilter &filter_p, std::shared_ptr<lm_diskann::AnnIndex> core_p,
                       JoinProgress &progress_p)
    : context(context_p), spec(spec_p), table(table_p), filter(filter_p), core(std::move(core_p)), progress(progress_p),
      matcher(context, left_types, spec.column_types, *expressions[LogicalIndexJoin::DISTANCE],
              Filters(spec, expressions)),
      nearest(spec.limit + spec.offset), target_count(TargetCount(spec)),
      tested_max(target_count * 2 + MaxValue<idx_t>(TESTED_MIN, table.Storage().GetTotalRows() / SCAN_ADVANTAGE)) {
	candidates.Initialize(context, table.Types());
	scratch.Initialize(context, table.Types());
}

bool JoinSearch::Next(JoinQueries &queries, JoinMatches &matches) {
	while (true) {
		if (context.interrupted) {
			throw InterruptException();
		}
		if (position < batch.end) {
			const auto &left = batch.group->rows[position++];
			progress.queries++;
			if (SearchIndex(left, matches)) {
				return true;
			}
			unanswered.push_back(left);
			continue;
		}
		if (!unanswered.empty()) {
			SearchTable();
		}
		if (!exact_matches.empty()) {
			matches = std::move(exact_matches.back());
			exact_matches.pop_back();
			return true;
		}
		if (!queries.Next(batch)) {
			return false;
		}
		position = batch.begin;
	}
}

void JoinSearch::SetLeftRow(const JoinQueryGroup::Row &left) {
	matcher.SetLeftRow(*batch.group->chunks[left.chunk], left.row);
}

bool JoinSearch::SearchIndex(const JoinQueryGroup::Row &left, JoinMatches &matches) {
	if (!left.is_searchable || !spec.index->IsReady() || filter.Strategy() == FilterStrategy::EXACT ||
	    !IsWorthAnIndex() ||
	    !ReadQueryVector(*batch.group->query_vectors[left.chunk], left.row, spec.index->Configuration()->metric,
	                     query)) {
		return false;
	}
	SetLeftRow(left);
	nearest.Clear();
	try {
		if (!Traverse()) {
			return false;
		}
	} catch (const lm_diskann::CorruptionError &error) {
		spec.index->DegradeForFile(core.get(), error.what());
		progress.NoteFallback(error.what());
		return false;
	} catch (const lm_diskann::FileError &error) {
		// A read that fails once may succeed later: the index stays.
		progress.NoteFallback(error.what());
		return false;
	}
	matches.left = left;
	matches.rows = nearest.TakeFrom(spec.offset);
	matches.are_candidates = candidate_chunks == 1 && table.LocalCount() == 0;
	return true;
}

//! When few rows pass the conditions, a scan of the table meets them sooner.
bool JoinSearch::IsWorthAnIndex() const {
	const idx_t tested = progress.tested;
	return tested < SHARE_SAMPLE || target_count * tested / MaxValue<idx_t>(progress.passed, 1) <= tested_max;
}

//! False: the index does not know enough rows that pass, or not soon enough.
bool JoinSearch::Traverse() {
	auto cursor = core->Search(query.data(), target_count, spec.search_list_size, spec.beam_width);
	const bool is_answered = (filter.Strategy() != FilterStrategy::GRAPH || Guide(cursor)) && TakeFrom(cursor);
	progress.Add(cursor.Counters());
	if (!is_answered) {
		return false;
	}
	for (idx_t i = 0; i < table.LocalChunkCount(); i++) {
		table.FetchLocal(i, scratch);
		matcher.Offer(scratch, nearest);
	}
	return true;
}

//! Lets the rows that qualify guide the search. False: they are far from the query.
bool JoinSearch::Guide(lm_diskann::SearchCursor &cursor) {
	const auto &accepted = filter.Accepted();
	cursor.SetFilter([&accepted](lm_diskann::RowId row_id) { return accepted.Contains(row_id); }, filter.ListSize());
	if (spec.filter_strategy == FilterStrategy::AUTO && !cursor.Advance(filter.VisitMax())) {
		progress.NoteFallback("few rows near the query pass the conditions");
		return false;
	}
	return true;
}

bool JoinSearch::TakeFrom(lm_diskann::SearchCursor &cursor) {
	idx_t passed = 0;
	idx_t tested = 0;
	std::vector<row_t> row_ids;
	candidate_chunks = 0;
	while (passed < target_count) {
		// Conditions are rarely met by all: one that leaves out the left row itself costs one row more.
		const auto ask =
		    MinValue<idx_t>(STANDARD_VECTOR_SIZE, tested == 0 ? target_count + (spec.filter_count > 0 ? 1 : 0)
		                                                      : MaxValue<idx_t>(tested, target_count - passed));
		if (tested > tested_max) {
			progress.NoteFallback("few rows pass the conditions");
			return false;
		}
		row_ids.clear();
		for (const auto &neighbor : cursor.Next(ask)) {
			row_ids.push_back(neighbor.row_id.value);
		}
		// Rows that are deleted, or not committed by others, drop out here.
		table.Fetch(row_ids.data(), row_ids.size(), candidates);
		candidate_chunks++;
		const auto count = candidates.size() > 0 ? matcher.Offer(candidates, nearest) : 0;
		tested += row_ids.size();
		passed += count;
		progress.tested += candidates.size();
		progress.passed += count;
		if (passed < target_count && row_ids.size() < ask) {
			progress.NoteFallback("the index reaches fewer rows than the query asks for");
			return false;
		}
	}
	return true;
}

void JoinSearch::OfferToUnanswered(DataChunk &rows, std::vector<NearestRows> &answers) {
	for (idx_t i = 0; i < unanswered.size(); i++) {
		SetLeftRow(unanswered[i]);
		matcher.Offer(rows, answers[i]);
	}
}

//! Answers all left rows of the batch that the index could not answer, or not as cheaply, from the rows that qualify
//! for all of them, or else in one scan.
void JoinSearch::SearchTable() {
	std::vector<NearestRows> answers(unanswered.size(), NearestRows(spec.limit + spec.offset));
	if (const auto rows = filter.QualifyingRows()) {
		for (idx_t i = 0; i < rows->ChunkCount(); i++) {
			if (context.interrupted) {
				throw InterruptException();
			}
			rows->FetchChunk(i, scratch);
			OfferToUnanswered(scratch, answers);
		}
		for (idx_t i = 0; i < table.LocalChunkCount(); i++) {
			table.FetchLocal(i, scratch);
			OfferToUnanswered(scratch, answers);
		}
	} else {
		const auto scan = table.StartScan();
		while (table.NextOfScan(*scan, scratch)) {
			OfferToUnanswered(scratch, answers);
		}
	}
	for (idx_t i = 0; i < unanswered.size(); i++) {
		JoinMatches matches;
		matches.left = unanswered[i];
		matches.rows = answers[i].TakeFrom(spec.offset);
		exact_matches.push_back(std::move(matches));
	}
	progress.exact_queries += unanswered.size();
	if (core && filter.Strategy() != FilterStrategy::EXACT) {
		core->Counters().fallbacks += unanswered.size();
	}
	unanswered.clear();
}

} // namespace duckdb
