#include "dml/dml_sim.hpp"

#include "lm_diskann_extension.hpp"

#include <algorithm>
#include <cmath>
#include <set>

namespace dml_test {

namespace {

constexpr int DIMS = 6;
constexpr size_t ROWS_WANTED = 700;
//! Vectors are points of a grid: (id * A + version * B + dimension * C) % M, as SQL and C++ compute alike.
constexpr int64_t FACTOR_ID = 7919, FACTOR_VERSION = 104729, FACTOR_DIMENSION = 1299709, GRID = 1009;

constexpr const char *CREATE_FIRST_INDEX =
    "CREATE INDEX IF NOT EXISTS by_l2 ON t USING LM_DISKANN (v) WITH (R = 12, L_build = 24)";

std::string Text(int64_t value) {
	return std::to_string(value);
}

std::string MessageOf(const std::string &sql, const std::string &problem) {
	return problem + "\n  " + sql;
}

} // namespace

const std::vector<DmlSim::Step> DmlSim::STEPS = {
    {240, &DmlSim::Insert},          {120, &DmlSim::Update},        {120, &DmlSim::Delete},
    {8, &DmlSim::DeleteRange},       {60, &DmlSim::Begin},          {60, &DmlSim::Commit},
    {30, &DmlSim::Rollback},         {340, &DmlSim::Query},         {10, &DmlSim::Checkpoint},
    {3, &DmlSim::Compact},           {2, &DmlSim::Vacuum},          {1, &DmlSim::Rebuild},
    {3, &DmlSim::CreateSecondIndex}, {3, &DmlSim::DropSecondIndex}, {2, &DmlSim::UseAttached},
    {2, &DmlSim::UseTemporary},      {2, &DmlSim::Restart},         {3, &DmlSim::DropFirstIndex},
    {10, &DmlSim::CreateFirstIndex},
};

DmlSim::DmlSim(uint64_t seed, std::filesystem::path folder_p) : random(seed), folder(std::move(folder_p)) {
	std::filesystem::remove_all(folder);
	std::filesystem::create_directories(folder);
	Open();
	Execute(sessions[0], "CREATE TABLE t(id BIGINT, version BIGINT, v FLOAT[" + Text(DIMS) + "])");
	Execute(sessions[0], CREATE_FIRST_INDEX);
}

DmlSim::~DmlSim() {
	Close();
	std::filesystem::remove_all(folder);
}

void DmlSim::Open() {
	duckdb::DBConfig config;
	config.options.maximum_threads = 2;
	database = std::make_unique<duckdb::DuckDB>((folder / "t.duckdb").string(), &config);
	database->LoadStaticExtension<duckdb::LmDiskannExtension>();
	for (size_t i = 0; i < CONNECTION_COUNT; i++) {
		sessions.push_back({std::make_unique<duckdb::Connection>(*database), std::nullopt, {}});
	}
}

void DmlSim::Close() {
	sessions.clear();
	database.reset();
}

duckdb::unique_ptr<duckdb::QueryResult> DmlSim::Run(Session &session, const std::string &sql,
                                                    const Meanwhile &meanwhile) {
	if (!meanwhile) {
		return session.connection->Query(sql);
	}
	auto planned = session.connection->PendingQuery(sql);
	meanwhile();
	return planned->Execute();
}

bool DmlSim::Execute(Session &session, const std::string &sql, bool may_fail, const Meanwhile &meanwhile) {
	totals.statements++;
	const auto result = Run(session, sql, meanwhile);
	if (!result->HasError()) {
		return true;
	}
	totals.refused++;
	if (!may_fail) {
		throw DmlViolation(MessageOf(sql, result->GetError()));
	}
	if (session.view) {
		// An error ends a transaction.
		session.connection->Query("ROLLBACK");
		session.view.reset();
	}
	return false;
}

DmlTotals DmlSim::Run(uint64_t statement_count) {
	uint64_t weight_sum = 0;
	for (const Step &step : STEPS) {
		weight_sum += step.weight;
	}
	while (totals.statements < statement_count) {
		uint64_t choice = random() % weight_sum;
		const Step *step = STEPS.data();
		while (choice >= step->weight) {
			choice -= step->weight;
			step++;
		}
		(this->*step->run)(sessions[random() % CONNECTION_COUNT]);
	}
	Restart(sessions[0]);
	CheckIndexes();
	return totals;
}

// --- rows ------------------------------------------------------------------------------------------------------------

void DmlSim::Note(Session &session, int64_t id, std::optional<int64_t> version) {
	Rows &rows = session.view ? *session.view : committed;
	if (version) {
		rows[id] = *version;
	} else {
		rows.erase(id);
	}
	if (session.view) {
		session.changes[id] = version;
	}
}

std::optional<int64_t> DmlSim::AnyId(Session &session) {
	const Rows &rows = Visible(session);
	if (rows.empty()) {
		return std::nullopt;
	}
	auto row = rows.lower_bound(int64_t(random() % uint64_t(next_id + 1)));
	const auto own = int64_t(&session - sessions.data());
	for (; row != rows.end(); ++row) {
		if (row->first % int64_t(CONNECTION_COUNT) == own) {
			return row->first;
		}
	}
	return std::nullopt;
}

std::vector<float> DmlSim::VectorOf(int64_t id, int64_t version) const {
	std::vector<float> vector;
	for (int64_t x = 0; x < DIMS; x++) {
		const auto point =
		    (id * FACTOR_ID + version * FACTOR_VERSION + (x + 1) * (id + version) * FACTOR_DIMENSION) % GRID;
		vector.push_back(float(point) / 1000.0F);
	}
	return vector;
}

std::string DmlSim::VectorSql(int64_t id, int64_t version) const {
	std::string text = "[";
	for (const float value : VectorOf(id, version)) {
		text +=
		    (text.size() > 1 ? "," : "") + std::to_string(int64_t(std::lround(value * 1000))) + "::FLOAT / 1000::FLOAT";
	}
	return text + "]::FLOAT[" + Text(DIMS) + "]";
}

// --- changes ---------------------------------------------------------------------------------------------------------

void DmlSim::Insert(Session &session) {
	if (Visible(session).size() > ROWS_WANTED && random() % 4 != 0) {
		Delete(session);
		return;
	}
	const auto count = int64_t(random() % 50 == 0 ? 100 : 1 + random() % 8);
	const auto own = int64_t(&session - sessions.data());
	std::string values;
	std::vector<std::pair<int64_t, int64_t>> rows;
	for (int64_t i = 0; i < count; i++) {
		const auto id = (next_id++) * int64_t(CONNECTION_COUNT) + own;
		rows.emplace_back(id, next_version++);
		values += (values.empty() ? "(" : ", (") + Text(id) + ", " + Text(rows.back().second) + ", " +
		          VectorSql(id, rows.back().second) + ")";
	}
	Execute(session, "INSERT INTO t VALUES " + values);
	for (const auto &[id, version] : rows) {
		Note(session, id, version);
	}
}

void DmlSim::Update(Session &session) {
	const auto id = AnyId(session);
	if (!id) {
		return;
	}
	const auto version = next_version++;
	Execute(session, "UPDATE t SET version = " + Text(version) + ", v = " + VectorSql(*id, version) +
	                     " WHERE id = " + Text(*id));
	Note(session, *id, version);
}

void DmlSim::Delete(Session &session) {
	std::string ids;
	for (uint64_t i = 0; i < 1 + random() % 8; i++) {
		const auto id = AnyId(session);
		if (id && ids.find(" " + Text(*id) + ",") == std::string::npos) {
			ids += " " + Text(*id) + ",";
		}
	}
	if (ids.empty()) {
		return;
	}
	ids.pop_back();
	Execute(session, "DELETE FROM t WHERE id IN (" + ids + ")");
	for (size_t at = 0; at < ids.size();) {
		const auto end = std::min(ids.find(',', at), ids.size());
		Note(session, std::stoll(ids.substr(at, end - at)), std::nullopt);
		at = end + 1;
	}
}

void DmlSim::DeleteRange(Session &session) {
	const auto own = int64_t(&session - sessions.data());
	const auto id = AnyId(session);
	if (!id || random() % 3 == 0) {
		return;
	}
	const auto end = *id + 120;
	Execute(session, "DELETE FROM t WHERE id >= " + Text(*id) + " AND id < " + Text(end) + " AND id % " +
	                     Text(CONNECTION_COUNT) + " = " + Text(own));
	std::vector<int64_t> gone;
	for (auto row = Visible(session).lower_bound(*id); row != Visible(session).end() && row->first < end; ++row) {
		if (row->first % int64_t(CONNECTION_COUNT) == own) {
			gone.push_back(row->first);
		}
	}
	for (const auto other : gone) {
		Note(session, other, std::nullopt);
	}
}

void DmlSim::Begin(Session &session) {
	if (session.view) {
		return;
	}
	Execute(session, "BEGIN");
	// The snapshot is taken with the first look at the database.
	Execute(session, "SELECT count(*) FROM t");
	session.view = committed;
	session.changes.clear();
}

void DmlSim::Commit(Session &session) {
	if (!session.view) {
		return;
	}
	Execute(session, "COMMIT");
	session.view.reset();
	for (const auto &[id, version] : session.changes) {
		Note(session, id, version);
	}
}

void DmlSim::Rollback(Session &session) {
	if (session.view) {
		Execute(session, "ROLLBACK");
		session.view.reset();
	}
}

// --- maintenance -----------------------------------------------------------------------------------------------------

void DmlSim::Checkpoint(Session &session) {
	Execute(session, "CHECKPOINT", true);
}

void DmlSim::Compact(Session &session) {
	Execute(session, "PRAGMA lm_diskann_compact('by_l2')", true);
}

void DmlSim::Vacuum(Session &session) {
	Execute(session, "VACUUM ANALYZE t", true);
}

void DmlSim::Rebuild(Session &session) {
	Execute(session, "PRAGMA lm_diskann_rebuild('by_l2')", true);
}

void DmlSim::CreateFirstIndex(Session &session) {
	Execute(session, CREATE_FIRST_INDEX, true);
}

void DmlSim::DropFirstIndex(Session &session) {
	Session &other = sessions[random() % CONNECTION_COUNT];
	const auto drop = [&] {
		totals.drops_beside += Execute(session, "DROP INDEX by_l2", true) && &other != &session ? 1 : 0;
	};
	if (random() % 2 == 0) {
		// Background work is asked for, and may be under way.
		Vacuum(session);
	}
	if (&other == &session) {
		drop();
	} else if (random() % 3 == 0) {
		Execute(other, "PRAGMA lm_diskann_compact('by_l2')", true, drop);
	} else {
		CheckAnswer(other, "array_distance", 1 + random() % 12, 0, drop);
	}
	if (random() % 2 == 0) {
		CreateFirstIndex(session);
	}
}

void DmlSim::CreateSecondIndex(Session &session) {
	Execute(session,
	        "CREATE INDEX IF NOT EXISTS by_cosine ON t USING LM_DISKANN (v) WITH (metric = 'cosine', R = 10, "
	        "L_build = 20)",
	        true);
}

void DmlSim::DropSecondIndex(Session &session) {
	Execute(session, "DROP INDEX IF EXISTS by_cosine", true);
}

void DmlSim::UseAttached(Session &session) {
	if (session.view) {
		return;
	}
	const bool is_in_memory = random() % 2 == 0;
	const auto path = is_in_memory ? std::string(":memory:") : (folder / "other.duckdb").string();
	Execute(session, "ATTACH '" + path + "' AS other");
	UseOtherTable(session, "other.main.u");
	DetachBeside(session, sessions[random() % CONNECTION_COUNT]);
	if (!is_in_memory) {
		Execute(session, "ATTACH '" + path + "' AS other (READ_ONLY)");
		Execute(session, "SELECT id FROM other.main.u ORDER BY array_distance(v, " + VectorSql(5, 5) + ") LIMIT 3");
		Execute(session, "DETACH other");
		std::filesystem::remove(path);
		std::filesystem::remove_all(path + ".lmdiskann");
	}
}

void DmlSim::DetachBeside(Session &session, Session &reader) {
	const auto detach = [&] { Execute(session, "DETACH other"); };
	if (&reader == &session || reader.view) {
		detach();
		return;
	}
	const auto sql = "SELECT id FROM other.main.u ORDER BY array_distance(v, " + VectorSql(-1, 0) + ") LIMIT 1";
	totals.statements++;
	const auto found = Run(reader, sql, detach);
	totals.drops_beside++;
	if (found->HasError()) {
		totals.refused++;
		return;
	}
	auto &rows = found->Cast<duckdb::MaterializedQueryResult>();
	if (rows.RowCount() != 1 || rows.GetValue<int64_t>(0, 0) != -1) {
		throw DmlViolation(MessageOf(sql, "another row is the nearest while its table is detached"));
	}
}

void DmlSim::UseTemporary(Session &session) {
	if (!session.view) {
		UseOtherTable(session, "temp.main.u");
		Execute(session, "DROP TABLE temp.main.u");
	}
}

void DmlSim::UseOtherTable(Session &session, const std::string &table) {
	const std::string temporary = table.rfind("temp", 0) == 0 ? "TEMP " : "";
	Execute(session, "CREATE " + temporary + "TABLE " + table + " AS SELECT id, v FROM t LIMIT 50");
	Execute(session, "CREATE INDEX u_idx ON " + table + " USING LM_DISKANN (v) WITH (R = 8, L_build = 16)");
	Execute(session, "INSERT INTO " + table + " VALUES (-1, " + VectorSql(-1, 0) + ")");
	Execute(session, "DELETE FROM " + table + " WHERE id % 5 = 0");
	const auto result = session.connection->Query("SELECT id FROM " + table + " ORDER BY array_distance(v, " +
	                                              VectorSql(-1, 0) + ") LIMIT 1");
	if (result->HasError() || result->RowCount() != 1 || result->GetValue(0, 0).GetValue<int64_t>() != -1) {
		throw DmlViolation("the row just inserted into " + table + " is not the nearest: " + result->ToString());
	}
}

void DmlSim::Restart(Session &) {
	Close();
	Open();
	totals.restarts++;
	CheckIndexes();
}

// --- checks ----------------------------------------------------------------------------------------------------------

void DmlSim::Query(Session &session) {
	static constexpr const char *DISTANCES[] = {"array_distance", "array_distance", "array_cosine_distance"};
	CheckAnswer(session, DISTANCES[random() % 3], 1 + random() % 12, random() % 4 == 0 ? random() % 5 : 0);
}

void DmlSim::CheckAnswer(Session &session, const std::string &distance, size_t k, size_t offset,
                         const Meanwhile &meanwhile) {
	const auto id = int64_t(random() % 100000);
	const std::string order = " FROM t ORDER BY " + distance + "(v, " + VectorSql(id, id) + ") LIMIT " +
	                          Text(int64_t(k)) + " OFFSET " + Text(int64_t(offset));
	const std::string sql = "SELECT id, version, " + distance + "(v, " + VectorSql(id, id) + ")" + order;
	totals.statements++;
	totals.queries++;
	const auto result = Run(session, sql, meanwhile);
	if (result->HasError()) {
		throw DmlViolation(MessageOf(sql, result->GetError()));
	}
	auto &found = result->Cast<duckdb::MaterializedQueryResult>();
	const Rows &rows = Visible(session);
	const auto wanted = rows.size() > offset ? std::min(k, rows.size() - offset) : 0;
	if (found.RowCount() != wanted) {
		throw DmlViolation(MessageOf(sql, Text(int64_t(found.RowCount())) + " rows of " + Text(int64_t(rows.size()))));
	}
	std::set<int64_t> met;
	const auto query = VectorOf(id, id);
	for (duckdb::idx_t i = 0; i < found.RowCount(); i++) {
		const auto row_id = found.GetValue(0, i).GetValue<int64_t>();
		const auto row = rows.find(row_id);
		const bool is_visible = row != rows.end() && row->second == found.GetValue(1, i).GetValue<int64_t>();
		if (!is_visible || !met.insert(row_id).second) {
			throw DmlViolation(MessageOf(sql, "row " + Text(row_id) + " is not visible, or twice"));
		}
	}
	if (distance != "array_distance" || offset > 0 || wanted == 0) {
		return;
	}
	std::vector<double> exact;
	const auto square = [&](int64_t other, int64_t version) {
		double sum = 0;
		const auto vector = VectorOf(other, version);
		for (size_t x = 0; x < vector.size(); x++) {
			sum += (double(vector[x]) - query[x]) * (double(vector[x]) - query[x]);
		}
		return sum;
	};
	for (const auto &[other, version] : rows) {
		exact.push_back(square(other, version));
	}
	std::nth_element(exact.begin(), exact.begin() + ptrdiff_t(wanted - 1), exact.end());
	totals.wanted += wanted;
	for (const auto row_id : met) {
		totals.hits += square(row_id, rows.at(row_id)) <= exact[wanted - 1] + 1e-6 ? 1 : 0;
	}
}

void DmlSim::CheckIndexes() {
	Execute(sessions[0], CREATE_FIRST_INDEX);
	auto &connection = *sessions[0].connection;
	const auto states =
	    connection.Query("SELECT index_name, state, state_reason FROM lm_diskann_index_info() WHERE state NOT "
	                     "IN ('ready', 'merging')");
	if (states->HasError() || states->RowCount() > 0) {
		throw DmlViolation("an index is not ready: " + states->ToString());
	}
	const auto violations = connection.Query("SELECT violation FROM lm_diskann_verify('by_l2')");
	if (violations->HasError() || violations->RowCount() > 0) {
		throw DmlViolation("by_l2 is not sound: " + violations->ToString());
	}
	const auto count = connection.Query("SELECT count(*), sum(version) FROM t");
	int64_t sum = 0;
	for (const auto &row : committed) {
		sum += row.second;
	}
	if (count->GetValue(0, 0).GetValue<int64_t>() != int64_t(committed.size()) ||
	    (sum > 0 && count->GetValue(1, 0).GetValue<int64_t>() != sum)) {
		throw DmlViolation("the table and the oracle differ: " + count->ToString());
	}
}

} // namespace dml_test
