// The extension inside a host with several connections: CREATE INDEX that is interrupted, refused or raced by writers;
// queries beside inserts, updates, deletes and checkpoints. Oracle: the table itself, read by DuckDB's exact plan.
#include "host.hpp"

#include <atomic>
#include <thread>

namespace {

using namespace lmd_test; // NOLINT

//! `count` random vectors of 64 dimensions, ids from `first`.
std::string RandomRows(int64_t first, int64_t count) {
	return "SELECT " + std::to_string(first) +
	       " + i AS id, list_transform(range(64), x -> random())::FLOAT[64] AS v FROM range(" + std::to_string(count) +
	       ") r(i)";
}

const char *const QUERY = "array_distance(v, list_value(0.5).list_resize(64, 0.5)::FLOAT[64])";

TEST(Host, InterruptedCreateIndexLeavesNoFileAndAUsableTable) {
	Host host;
	Connection connection(*host.database);
	Execute(connection, "CREATE TABLE t AS " + RandomRows(0, 30000));
	std::string error;
	std::chrono::steady_clock::time_point interrupted_at;
	std::thread creator([&] {
		const auto result = connection.Query("CREATE INDEX i ON t USING LM_DISKANN (v) WITH (L_build = 2000)");
		error = result->HasError() ? result->GetError() : "";
	});
	while (host.IndexFileCount() == 0) { // the build begins with its file
		std::this_thread::yield();
	}
	interrupted_at = std::chrono::steady_clock::now();
	connection.Interrupt();
	creator.join();
	EXPECT_LT(std::chrono::steady_clock::now() - interrupted_at, std::chrono::seconds(5));
	EXPECT_NE(error.find("nterrupt"), std::string::npos) << error;
	EXPECT_EQ(host.IndexFileCount(), 0U);
	EXPECT_EQ(Execute(connection, "SELECT count(*) FROM t"), "30000");
	EXPECT_EQ(Execute(connection, "SELECT count(*) FROM duckdb_indexes()"), "0");
	Execute(connection, "INSERT INTO t " + RandomRows(30000, 10));
}

TEST(Host, BuildMemoryIsAHardBudget) {
	Host host;
	Connection connection(*host.database);
	Execute(connection, "CREATE TABLE t AS " + RandomRows(0, 20000));
	Execute(connection, "SET lm_diskann_build_memory = '2MB'");
	const auto result = connection.Query("CREATE INDEX i ON t USING LM_DISKANN (v)");
	ASSERT_TRUE(result->HasError());
	EXPECT_NE(result->GetError().find("lm_diskann_build_memory"), std::string::npos) << result->GetError();
	EXPECT_EQ(host.IndexFileCount(), 0U);
	EXPECT_EQ(Execute(connection, "SELECT count(*) FROM t"), "20000");
}

//! Queries use the only index; the background may be at work on it.
void ExpectInUse(Connection &connection) {
	const auto state = Execute(connection, "SELECT state FROM lm_diskann_index_info()");
	EXPECT_TRUE(state == "ready" || state == "merging") << state;
}

TEST(Host, CreateIndexKeepsRowsCommittedMeanwhile) {
	Host host;
	auto connected = std::make_unique<Connection>(*host.database);
	auto &creator = *connected;
	Execute(creator, "CREATE TABLE t AS " + RandomRows(0, 5000));
	std::atomic<bool> is_done {false};
	std::thread writer([&] {
		Connection connection(*host.database);
		for (int64_t first = 5000; !is_done; first += 20) {
			Execute(connection, "INSERT INTO t " + RandomRows(first, 20));
			Execute(connection, "DELETE FROM t WHERE id = " + std::to_string(first - 4000));
		}
	});
	Execute(creator, "CREATE INDEX i ON t USING LM_DISKANN (v)");
	is_done = true;
	writer.join();
	ExpectInUse(creator);
	EXPECT_EQ(Execute(creator, "SELECT count(*) FROM lm_diskann_verify('i')"), "0");
	connected.reset();
	host.Open();
	Connection reopened(*host.database);
	EXPECT_EQ(Execute(reopened, "SELECT count(*) FROM lm_diskann_verify('i')"), "0");
}

TEST(Host, QueriesBesideWritersAlwaysReturnKVisibleRows) {
	Host host;
	Connection setup(*host.database);
	Execute(setup, "CREATE TABLE t AS " + RandomRows(0, 3000));
	Execute(setup, "CREATE INDEX i ON t USING LM_DISKANN (v)");
	std::atomic<bool> is_done {false};
	std::vector<std::thread> threads;
	for (int reader = 0; reader < 2; reader++) {
		threads.emplace_back([&] {
			Connection connection(*host.database);
			const std::string query = "SELECT id FROM t ORDER BY " + std::string(QUERY) + " LIMIT 10";
			EXPECT_NE(connection.Query("EXPLAIN " + query)->ToString().find("LM_DISKANN_INDEX_SCAN"),
			          std::string::npos);
			while (!is_done) {
				EXPECT_EQ(Execute(connection, "SELECT count(DISTINCT id) FROM (" + query + ")"), "10");
			}
		});
	}
	Connection writer(*host.database);
	for (int64_t round = 0; round < 60; round++) {
		Execute(writer, "INSERT INTO t " + RandomRows(3000 + round * 10, 10));
		Execute(writer, "DELETE FROM t WHERE id = " + std::to_string(round * 7));
		Execute(writer, "UPDATE t SET v = list_transform(range(64), x -> random())::FLOAT[64] WHERE id = " +
		                    std::to_string(1000 + round));
		if (round % 20 == 10) {
			Execute(writer, "FORCE CHECKPOINT");
		}
		Execute(writer, "BEGIN");
		Execute(writer, "INSERT INTO t " + RandomRows(100000, 5));
		Execute(writer, "ROLLBACK");
	}
	is_done = true;
	for (std::thread &thread : threads) {
		thread.join();
	}
	ExpectInUse(writer);
	EXPECT_EQ(Execute(writer, "SELECT count(*) FROM lm_diskann_verify('i')"), "0");
	// k beyond all rows returns all rows.
	EXPECT_EQ(Execute(writer, "SELECT count(*) FROM (SELECT id FROM t ORDER BY " + std::string(QUERY) + " LIMIT 9000)"),
	          Execute(writer, "SELECT count(*) FROM t"));
}

TEST(Host, DropUnderARunningQueryIsSafe) {
	Host host;
	Connection connection(*host.database);
	Execute(connection, "CREATE TABLE t AS " + RandomRows(0, 2000));
	for (int round = 0; round < 10; round++) {
		Execute(connection, "CREATE INDEX i ON t USING LM_DISKANN (v)");
		std::thread reader([&] {
			Connection other(*host.database);
			for (int i = 0; i < 20; i++) {
				EXPECT_EQ(Execute(other, "SELECT count(*) FROM (SELECT id FROM t ORDER BY " + std::string(QUERY) +
				                             " LIMIT 5)"),
				          "5");
			}
		});
		Execute(connection, "DROP INDEX i");
		reader.join();
	}
	EXPECT_EQ(host.IndexFileCount(), 0U);
}

} // namespace
