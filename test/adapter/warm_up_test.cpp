// Property: an index that was opened reads the blocks that searches begin with by itself, and nobody waits for it: not
// who detaches or drops, and no checkpoint. What fails it is left to the query that wants the block.
#include "host.hpp"

#include <atomic>
#include <thread>

namespace lmd_test {
namespace {

constexpr int64_t ROWS = 2000;
//! AnnIndex::WarmUp reads so many at once.
constexpr uint64_t BATCH_BLOCKS = 16;

//! Of a database that was opened: binds them, which opens their files.
void OpenIndexes(Connection &connection) {
	EXPECT_EQ(Info(connection, "DISTINCT state"), "ready");
}

//! Asks until `is_so()`, for a minute at most.
template <class CONDITION>
bool Becomes(CONDITION &&is_so) {
	const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
	while (!is_so()) {
		if (std::chrono::steady_clock::now() > deadline) {
			return false;
		}
		std::this_thread::yield();
	}
	return true;
}

//! Counts reads of index files by other threads, and holds the first one until Release.
class HeldRead {
public:
	explicit HeldRead(const Host &host) : hooks(host.hooks) {
		// DuckDB has no other threads then that read.
		Execute(host, "SET threads = 1");
		hooks->Set([shared = state, own_thread = std::this_thread::get_id()](FileCall call, const std::string &path) {
			if (call == FileCall::READ && path.find(".lmdiskann") != std::string::npos &&
			    std::this_thread::get_id() != own_thread && shared->count++ == 0) {
				shared->begun.set_value();
				shared->release.get_future().wait();
			}
		});
	}
	~HeldRead() {
		hooks->Set(nullptr);
	}
	bool WaitUntilBegun() {
		return state->begun.get_future().wait_for(std::chrono::minutes(1)) == std::future_status::ready;
	}
	void Release() {
		state->release.set_value();
	}
	uint64_t Count() const {
		return state->count;
	}

private:
	//! Outlives a call of the hook.
	struct State {
		std::promise<void> begun, release;
		std::atomic<uint64_t> count {0};
	};

	const std::shared_ptr<FileHooks> hooks;
	const std::shared_ptr<State> state = std::make_shared<State>();
};

//! A closed database with the table and its index.
Host MakeClosed() {
	Host host;
	MakeTable(host, ROWS);
	host.Close();
	return host;
}

TEST(WarmUp, TheBlocksThatSearchesBeginWithAreReadWithoutAQuery) {
	const std::string count_entries = "SELECT count(DISTINCT page) FROM lm_diskann_nodes('t_idx') WHERE is_entry";
	Host host = MakeClosed();
	for (const bool is_read_only : {false, true}) {
		HostOptions options;
		options.is_read_only = is_read_only;
		host.Open(options);
		const auto entry_blocks = std::stoull(Execute(host, count_entries));
		ASSERT_GT(entry_blocks, BATCH_BLOCKS);

		host.Open(options);
		OpenIndexes(host);
		EXPECT_TRUE(Becomes([&] { return std::stoull(Info(host, "cache_bytes")) >= entry_blocks * 4096; }));
		EXPECT_EQ(Execute(host, "SELECT queries + blocks_read + cache_hits FROM lm_diskann_stats()"), "0");
		Execute(host, NearestQuery());
		EXPECT_EQ(Execute(host, "SELECT queries, cache_hits > 0 FROM lm_diskann_stats()"), "1|true");
	}
}

TEST(WarmUp, DetachDoesNotWaitAndEndsItWithABatch) {
	Host host;
	const std::string path = (host.folder / "other.duckdb").string();
	const std::string attach = "ATTACH '" + path + "' AS other";
	Execute(host, attach);
	Execute(host, "CREATE TABLE other.t AS " + SomeRows(0, ROWS));
	Execute(host, "CREATE INDEX other_idx ON other.t USING LM_DISKANN (v)");
	const std::string state = "SELECT state FROM lm_diskann_index_info() WHERE index_name = 'other_idx'";
	for (const bool is_stopped : {false, true}) {
		Execute(host, "DETACH other");
		Execute(host, attach);
		HeldRead read(host);
		EXPECT_EQ(Execute(host, state), "ready");
		ASSERT_TRUE(read.WaitUntilBegun());
		if (is_stopped) {
			Execute(host, "DETACH other");
		}
		read.Release();
		if (is_stopped) {
			// The file is free for the next one when the thread has let go of it.
			Execute(host, attach);
			EXPECT_LE(read.Count(), BATCH_BLOCKS);
		} else {
			EXPECT_TRUE(Becomes([&] { return read.Count() > BATCH_BLOCKS; }));
		}
		EXPECT_EQ(Execute(host, state), "ready");
	}
}

TEST(WarmUp, DropAndCheckpointDoNotWaitForIt) {
	Host host = MakeClosed();
	host.Open();
	HeldRead read(host);
	OpenIndexes(host);
	ASSERT_TRUE(read.WaitUntilBegun());
	WithinAMinute([&] {
		Execute(host, "INSERT INTO t " + SomeRows(ROWS, 10));
		Execute(host, "CHECKPOINT");
		EXPECT_EQ(Info(host, "state, delta_count"), "ready|10");
		ExpectExactAnswer(host);
		Execute(host, "DROP INDEX t_idx");
		EXPECT_EQ(host.IndexFileCount(), 0U);
	});
	read.Release();
	EXPECT_LE(read.Count(), BATCH_BLOCKS);
}

TEST(WarmUp, ADatabaseCanBeClosedAsSoonAsItIsOpen) {
	Host host = MakeClosed();
	for (int64_t round = 0; round < 10; round++) {
		host.Open();
		OpenIndexes(host);
		Execute(host, "INSERT INTO t " + SomeRows(ROWS + round, 1));
	}
	host.Open();
	EXPECT_EQ(Info(host, "row_count"), std::to_string(ROWS + 10));
	ExpectSound(host);
}

TEST(WarmUp, AReadThatFailsHarmsNothing) {
	Host host = MakeClosed();
	host.Open();
	EnableLog(host);
	Execute(host, "SET threads = 1");
	std::atomic<bool> has_failed {false};
	host.hooks->Set([&, own_thread = std::this_thread::get_id()](FileCall call, const std::string &path) {
		if (call == FileCall::READ && path.find(".lmdiskann") != std::string::npos &&
		    std::this_thread::get_id() != own_thread) {
			has_failed = true;
			throw duckdb::IOException("the test fails this call");
		}
	});
	OpenIndexes(host);
	EXPECT_TRUE(Becomes([&] { return has_failed.load(); }));
	host.hooks->Set(nullptr);
	EXPECT_EQ(Warnings(host), "");
	ExpectSound(host);
}

TEST(WarmUp, OpeningMergesNothing) {
	Host host;
	MakeTable(host, 100);
	Execute(host, "CREATE TABLE u AS " + SomeRows(0, 100));
	Execute(host, "CREATE INDEX u_idx ON u USING LM_DISKANN (v)");
	host.Open();
	HeldRead read(host);
	OpenIndexes(host);
	ASSERT_TRUE(read.WaitUntilBegun());
	// The thread that would merge them is held.
	Execute(host, "INSERT INTO t " + SomeRows(100, 3000));
	Execute(host, "CHECKPOINT");
	Host copy = Host::CopyOf(host.Path());
	read.Release();

	copy.Open();
	Execute(copy, "EXPLAIN " + NearestQuery());
	const std::string info = " FROM lm_diskann_index_info() WHERE index_name = ";
	// The thread takes one index after the other.
	EXPECT_TRUE(Becomes([&] { return Execute(copy, "SELECT cache_bytes > 0" + info + "'u_idx'") == "true"; }));
	EXPECT_EQ(Execute(copy, "SELECT delta_count" + info + "'t_idx'"), "3000");
	ExpectSound(copy);
}

} // namespace
} // namespace lmd_test
