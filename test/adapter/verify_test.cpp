// lm_diskann_verify against the table: vectors, not row ids alone; and what of the graph searches cannot reach.
#include "host.hpp"

#include "adapter/catalog_indexes.hpp"
#include "adapter/instance_state.hpp"
#include "graph/node.hpp"
#include "storage/page_check.hpp"

#include <gmock/gmock.h>

namespace lmd_test {
namespace {

//! Gives the index other vectors for some of its rows, behind the table's back.
template <class ELEMENT>
void PutOtherVectors(Connection &connection, const std::vector<int64_t> &row_ids) {
	std::vector<lm_diskann::RowId> rows;
	std::vector<ELEMENT> elements;
	for (const int64_t row_id : row_ids) {
		rows.push_back(lm_diskann::RowId(row_id));
		for (int i = 0; i < 8; i++) {
			elements.push_back(ELEMENT(i + 1));
		}
	}
	lm_diskann::VectorBatch batch;
	batch.row_ids = rows.data();
	batch.count = rows.size();
	if constexpr (std::is_same_v<ELEMENT, float>) {
		batch.floats = elements.data();
	} else {
		batch.bytes = elements.data();
	}
	connection.context->RunFunctionInTransaction(
	    [&] { duckdb::FindOneIndex(*connection.context, "t_idx", "the test").index.live->Core()->Append(batch); });
}

std::string Violations(Connection &connection) {
	return Execute(connection, "SELECT violation FROM lm_diskann_verify('t_idx') ORDER BY ALL");
}

TEST(Verify, FindsOtherVectorsInDeltaGraphAndFile) {
	for (const std::string options : {"", "(metric = 'cosine')", "(metric = 'ip', vectors = 'f16')",
	                                  "(vectors = 'int8')", "(metric = 'cosine', vectors = 'int8')"}) {
		SCOPED_TRACE(options);
		Host host;
		MakeTable(host, 200, options);
		Execute(host, "INSERT INTO t " + SomeRows(200, 50));
		EXPECT_EQ(Violations(host), "");
		PutOtherVectors<float>(host, {7, 77, 222});
		const std::string expected = "row 222 of the index has another vector than in the table\n"
		                             "row 7 of the index has another vector than in the table\n"
		                             "row 77 of the index has another vector than in the table";
		EXPECT_EQ(Violations(host), expected);
		Execute(host, "PRAGMA lm_diskann_compact('t_idx')");
		EXPECT_EQ(Info(host, "delta_count"), "0");
		EXPECT_EQ(Violations(host), expected);
		host.Open();
		EXPECT_EQ(Violations(host), expected);
		Execute(host, "PRAGMA lm_diskann_rebuild('t_idx')");
		EXPECT_EQ(Violations(host), "");
	}
}

TEST(Verify, FindsOtherBytes) {
	Host host;
	Execute(host,
	        "CREATE TABLE t AS SELECT i AS id, list_transform(range(8), x -> (i * (x + 3)) % 120)::TINYINT[8] AS v "
	        "FROM range(100) r(i)");
	Execute(host, "CREATE INDEX t_idx ON t USING LM_DISKANN (v)");
	EXPECT_EQ(Violations(host), "");
	PutOtherVectors<int8_t>(host, {9});
	EXPECT_EQ(Violations(host), "row 9 of the index has another vector than in the table");
}

TEST(Verify, FindsVectorsOfRowsThatHaveNone) {
	Host host;
	MakeTable(host, 50, "(metric = 'cosine')");
	Execute(host, "INSERT INTO t VALUES (50, NULL), (51, [0, 0, 0, 0, 0, 0, 0, 0]), (52, [1, 2, NULL, 4, 5, 6, 7, 8])");
	EXPECT_EQ(Violations(host), "");
	PutOtherVectors<float>(host, {50, 51, 52});
	EXPECT_EQ(Violations(host), "row 50 of the index has no vector in the table that can be indexed\n"
	                            "row 51 of the index has no vector in the table that can be indexed\n"
	                            "row 52 of the index has no vector in the table that can be indexed");
}

TEST(Verify, ListsAHundredRowsOfAKind) {
	Host host;
	MakeTable(host, 300);
	std::vector<int64_t> row_ids;
	for (int64_t row_id = 0; row_id < 250; row_id++) {
		row_ids.push_back(row_id);
	}
	PutOtherVectors<float>(host, row_ids);
	EXPECT_EQ(Execute(host, "SELECT count(*), count(*) FILTER (violation = '150 further rows: each of the index has "
	                        "another vector than in the table') FROM lm_diskann_verify('t_idx')"),
	          "101|1");
}

//! Takes all edges from the nodes in the file of an index on 8 floats WITH (R = 8, codes = '4bit'); the checksums fit.
void DropEdges(const std::filesystem::path &path, uint32_t page_size) {
	using namespace lm_diskann; // NOLINT
	const auto layout =
	    NodeLayout::Create(page_size, 8, ElementType::FLOAT32, VectorStorage::NATIVE, 8, CodeFamily::FOUR_BIT);
	auto bytes = ReadBytes(path);
	for (uint64_t at = FILE_HEAD_SIZE; at + page_size <= bytes.size(); at += page_size) {
		const ByteSpan page(reinterpret_cast<uint8_t *>(&bytes[at]), page_size);
		const auto head = ReadPageHead(ConstByteSpan(page.data(), page.size()));
		if (head.kind != PageKind::NODES) {
			continue;
		}
		for (uint32_t place = 0; place < layout.nodes_per_page; place++) {
			EdgeEdit edit;
			edit.node = NodeId(place);
			EditNode(layout, page.data(), edit);
		}
		SealPage(page, {head.kind, head.id}, Generation(head.generation));
	}
	WriteBytes(path, bytes);
}

TEST(Verify, FindsRowsThatSearchesCannotReach) {
	Host host;
	MakeTable(host, 200, "(R = 8, codes = '4bit')");
	EXPECT_EQ(Violations(host), "");
	const auto file = host.IndexFile();
	const auto page_size = uint32_t(std::stoul(Info(host, "block_size_bytes")));
	host.Close();
	DropEdges(file, page_size);
	host.Open();
	EXPECT_THAT(Violations(host),
	            testing::MatchesRegex("rows of the index that searches cannot reach, returning farther ones in their "
	                                  "place: 1[0-9][0-9], the first of them row [0-9]+; "
	                                  "PRAGMA lm_diskann_rebuild.'t_idx'. mends that"));
	// Answers are worse, not wrong: it stays in use, and they have all rows.
	EXPECT_EQ(Info(host, "state"), "ready");
	EXPECT_EQ(Execute(host, "SELECT count(*) FROM (" + NearestQuery(150) + ")"), "150");
	Execute(host, "PRAGMA lm_diskann_rebuild('t_idx')");
	EXPECT_EQ(Violations(host), "");
}

TEST(Verify, CountsWhatItKeepsOfEachRow) {
	constexpr uint64_t ROWS = 3000;
	Host host;
	MakeTable(host, ROWS);
	Execute(host, "CHECKPOINT");
	const auto account = duckdb::InstanceState::Get(*host.database->instance)->Account();
	const auto before = account->UsedBytes();
	uint64_t during = 0;
	host.hooks->Set([&](FileCall, const std::string &) { during = std::max(during, account->UsedBytes()); });
	EXPECT_EQ(Violations(host), "");
	host.hooks->Set({});
	EXPECT_GE(during, before + 16 * ROWS);
	EXPECT_EQ(account->UsedBytes(), before);
}

//! Columns whose compression may join zeros of both signs.
TEST(Verify, TakesZeroForZero) {
	Host host;
	Execute(host,
	        "CREATE TABLE t AS SELECT i AS id, [0, -0.0, 0, 0, -0.0, 0, 0, CASE WHEN i % 3 = 0 THEN 0 ELSE -0.0 END]"
	        "::FLOAT[8] AS v FROM range(5000) r(i)");
	Execute(host, "CREATE INDEX t_idx ON t USING LM_DISKANN (v) WITH (R = 8, L_build = 10)");
	EXPECT_EQ(Violations(host), "");
	Execute(host, "CHECKPOINT");
	EXPECT_EQ(Violations(host), "");
	host.Open();
	EXPECT_EQ(Violations(host), "");
}

} // namespace
} // namespace lmd_test
