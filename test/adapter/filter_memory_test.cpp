// Property: the set of the rows that satisfy a WHERE counts in memory_limit while the query lasts, and not after it.
#include "adapter/accounted_row_set.hpp"
#include "adapter/instance_state.hpp"
#include "host.hpp"

namespace {

using namespace lmd_test; // NOLINT

constexpr uint64_t ROW_COUNT = 5000;
//! Of the half of so many rows that is spread over all.
constexpr uint64_t SET_BYTES_MIN = ROW_COUNT / 8;

uint64_t UsedBytes(const Host &host) {
	return duckdb::InstanceState::Get(*host.database->instance)->Account()->UsedBytes();
}

//! Bytes that an execution of `sql` holds when its first rows are there, and that are free after its end.
uint64_t BytesOf(Host &host, const std::string &sql) {
	Connection &connection = host;
	const auto before = UsedBytes(host);
	auto result = connection.SendQuery(sql);
	EXPECT_FALSE(result->HasError()) << result->GetError();
	const auto chunk = result->Fetch();
	EXPECT_TRUE(chunk && chunk->size() == 10);
	const auto during = UsedBytes(host);
	result.reset();
	// DuckDB takes a statement down when the next one begins.
	Execute(connection, "SELECT 1");
	EXPECT_EQ(UsedBytes(host), before) << sql;
	return during - before;
}

TEST(FilterMemory, TheRowsThatQualifyAreCountedWhileTheQueryLasts) {
	Host host;
	Execute(host,
	        "CREATE TABLE t AS SELECT i AS id, [sin(i), cos(i * 3), sin(i * 7), i % 11]::FLOAT[4] AS v FROM range(" +
	            std::to_string(ROW_COUNT) + ") r(i)");
	Execute(host, "CREATE INDEX t_idx ON t USING LM_DISKANN (v)");
	Execute(host, "SET lm_diskann_filter_strategy = 'graph'");
	const std::string order = " ORDER BY array_distance(v, [1, 0, 0, 0]::FLOAT[4]) LIMIT 10";
	EXPECT_EQ(BytesOf(host, "SELECT id FROM t" + order), 0U);
	EXPECT_GE(BytesOf(host, "SELECT id FROM t WHERE hash(id) % 2 = 0" + order), SET_BYTES_MIN);
	EXPECT_GE(BytesOf(host, "SELECT id FROM t WHERE id IN (SELECT i * 2 FROM range(2500) r(i))" + order),
	          SET_BYTES_MIN);
}

TEST(FilterMemory, ASetThatMemoryLimitHasNoRoomForIsRefused) {
	Host host;
	Execute(host, "SET memory_limit = '8MB'");
	Connection &connection = host;
	duckdb::AccountedRowSet rows(*connection.context);
	std::vector<lm_diskann::RowId> batch;
	// A bit for every other row: 8 MiB are enough for 64 million.
	const auto fill = [&] {
		for (int64_t row_id = 0; row_id < int64_t(1) << 27; row_id += 2) {
			batch.push_back(lm_diskann::RowId(row_id));
			if (batch.size() == 65536) {
				rows.Insert(lm_diskann::Span<const lm_diskann::RowId>(batch.data(), batch.size()));
				batch.clear();
			}
		}
	};
	EXPECT_THROW(fill(), duckdb::OutOfMemoryException);
}

} // namespace
