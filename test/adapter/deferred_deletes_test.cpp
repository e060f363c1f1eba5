// Deletes that DuckDB 1.5 tells at commit. Property: a row is removed once, and not before every transaction that began
// before the commit of its delete has ended, nor after its id has come back.
#include "adapter/deferred_deletes.hpp"

#include <gtest/gtest.h>
#include <map>
#include <random>
#include <set>

namespace {

using duckdb::DeferredDeletes;
using duckdb::TransactionTimes;
using lm_diskann::RowId;
using lm_diskann::Span;

void Add(DeferredDeletes &deferred, int64_t row, const TransactionTimes &now) {
	const RowId id(row);
	deferred.Add(Span<const RowId>(&id, 1), now);
}

std::set<int64_t> Settle(DeferredDeletes &deferred, const TransactionTimes &now) {
	std::set<int64_t> removed;
	deferred.Settle(now, [&](Span<const RowId> ids) {
		for (const auto &id : ids) {
			EXPECT_TRUE(removed.insert(id.value).second) << "row " << id.value << " was removed twice";
		}
	});
	return removed;
}

TEST(DeferredDeletes, ARowWaitsForTheReaderThatBeganBeforeItsDelete) {
	DeferredDeletes deferred;
	Add(deferred, 7, {4, 5}); // a reader began at 5, the delete commits at 6
	EXPECT_TRUE(Settle(deferred, {4, 5}).empty());
	EXPECT_TRUE(Settle(deferred, {6, 5}).empty());
	EXPECT_EQ(Settle(deferred, {6, 7}), std::set<int64_t>({7}));
	EXPECT_TRUE(Settle(deferred, {6, 7}).empty());
}

TEST(DeferredDeletes, NothingWaitsWhenNoTransactionRuns) {
	DeferredDeletes deferred;
	Add(deferred, 7, {4, 5});
	EXPECT_EQ(Settle(deferred, {4, std::nullopt}), std::set<int64_t>({7}));
}

TEST(DeferredDeletes, ARowThatComesBackStays) {
	DeferredDeletes deferred;
	Add(deferred, 7, {4, 5});
	Add(deferred, 8, {4, 5});
	const RowId back(7);
	deferred.Withdraw(Span<const RowId>(&back, 1));
	EXPECT_EQ(Settle(deferred, {6, 7}), std::set<int64_t>({8}));
}

//! Transactions that begin, delete, fail and end at random, and what each of them still sees.
TEST(DeferredDeletes, NoTransactionMissesARowItSees) {
	const uint64_t seed = std::random_device()();
	SCOPED_TRACE("seed " + std::to_string(seed));
	std::mt19937_64 random(seed);
	DeferredDeletes deferred;
	uint64_t clock = 2;
	TransactionTimes now;
	std::multiset<uint64_t> running;
	std::map<int64_t, uint64_t> waiting; // row to the time of its delete's commit
	for (int64_t row = 0; row < 5000; row++) {
		const auto choice = random() % 4;
		if (choice == 0) {
			running.insert(clock++);
		} else if (choice == 1 && !running.empty()) {
			running.erase(std::next(running.begin(), int64_t(random() % running.size())));
		} else if (choice == 2) {
			const auto began = running.insert(clock++);
			now.oldest_begin = *running.begin();
			Add(deferred, row, now);
			const auto commit = clock++;
			if (random() % 8 == 0) {
				const RowId back(row);
				deferred.Withdraw(Span<const RowId>(&back, 1));
			} else {
				now.last_commit = commit;
				waiting[row] = commit;
			}
			running.erase(began);
		}
		now.oldest_begin = running.empty() ? std::nullopt : std::optional<uint64_t>(*running.begin());
		for (const auto removed : Settle(deferred, now)) {
			ASSERT_EQ(waiting.count(removed), 1U) << "row " << removed;
			ASSERT_TRUE(running.empty() || *running.begin() > waiting[removed]) << "row " << removed;
			waiting.erase(removed);
		}
	}
	now.oldest_begin.reset();
	EXPECT_EQ(Settle(deferred, now).size(), waiting.size());
}

} // namespace
