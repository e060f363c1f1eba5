#include "kill/database_check.hpp"

#include "lm_diskann_extension.hpp"

#include "base/random.hpp"

#include "duckdb.hpp"

#include <algorithm>
#include <stdexcept>

namespace kill_test {

using duckdb::Connection;
using duckdb::DuckDB;

std::filesystem::path DatabaseFile(const std::filesystem::path &folder) {
	return folder / "t.duckdb";
}

std::unique_ptr<DuckDB> OpenDatabase(const std::filesystem::path &folder) {
	duckdb::DBConfig config;
	config.SetOptionByName("threads", duckdb::Value::BIGINT(2));
	auto database = std::make_unique<DuckDB>(DatabaseFile(folder).string(), &config);
	database->LoadStaticExtension<duckdb::LmDiskannExtension>();
	return database;
}

std::string Query(Connection &connection, const std::string &sql) {
	const auto result = connection.Query(sql);
	if (result->HasError()) {
		throw std::runtime_error(sql + "\n" + result->GetError());
	}
	return result->RowCount() == 0 ? "" : result->GetValue(0, 0).ToString();
}

std::unique_ptr<Connection> Connect(DuckDB &database) {
	auto connection = std::make_unique<Connection>(database);
	Query(*connection, SetupSql());
	Query(*connection, "SET lm_diskann_l_search = 10000");
	// The index answers, however many rows are asked for.
	Query(*connection, "SET lm_diskann_filter_strategy = 'post'");
	// Damage must show, not heal.
	Query(*connection, "SET lm_diskann_auto_rebuild = false");
	return connection;
}

void CreateTable(const std::filesystem::path &folder) {
	const auto database = OpenDatabase(folder);
	const auto connection = Connect(*database);
	Query(*connection,
	      "CREATE TABLE t (id BIGINT PRIMARY KEY, version BIGINT, tag BIGINT, v FLOAT[" + std::to_string(DIMS) + "])");
}

Contents ReadContents(Connection &connection) {
	Contents contents;
	const auto rows = connection.Query("SELECT id, version, tag, v IS NOT DISTINCT FROM vec(id, version) FROM t");
	if (rows->HasError()) {
		throw std::runtime_error(rows->GetError());
	}
	for (size_t i = 0; i < rows->RowCount(); i++) {
		if (!rows->GetValue<bool>(3, i)) {
			throw std::runtime_error("the vector of row " + rows->GetValue(0, i).ToString() + " is not its version's");
		}
		contents.rows[rows->GetValue<int64_t>(0, i)] = {rows->GetValue<int64_t>(1, i), rows->GetValue<int64_t>(2, i)};
	}
	const auto names = connection.Query("SELECT index_name FROM duckdb_indexes() WHERE table_name = 't'");
	for (size_t i = 0; i < names->RowCount(); i++) {
		contents.indexes.insert(names->GetValue(0, i).ToString());
	}
	return contents;
}

namespace {

//! Distance and id, ascending; rows without a vector come last, and which of them is open.
std::vector<std::string> TopK(Connection &connection, const std::string &sql) {
	const auto result = connection.Query(sql);
	if (result->HasError()) {
		throw std::runtime_error(sql + "\n" + result->GetError());
	}
	std::vector<std::string> rows;
	for (size_t i = 0; i < result->RowCount(); i++) {
		const auto distance = result->GetValue(1, i);
		rows.push_back(distance.IsNull() ? "no vector" : distance.ToString() + " " + result->GetValue(0, i).ToString());
	}
	std::sort(rows.begin(), rows.end());
	return rows;
}

void CheckFolder(Connection &connection, const std::filesystem::path &folder, std::vector<std::string> &violations) {
	std::set<std::string> expected, found;
	const auto files = connection.Query("SELECT file_path FROM lm_diskann_index_info()");
	for (size_t i = 0; i < files->RowCount(); i++) {
		expected.insert(std::filesystem::path(files->GetValue(0, i).ToString()).filename().string());
	}
	const auto index_folder = DatabaseFile(folder).string() + ".lmdiskann";
	if (std::filesystem::exists(index_folder)) {
		for (const auto &entry : std::filesystem::directory_iterator(index_folder)) {
			found.insert(entry.path().filename().string());
		}
	}
	for (const auto &name : found) {
		if (expected.count(name) == 0) {
			violations.push_back("file \"" + name + "\" belongs to no index");
		}
	}
	for (const auto &name : expected) {
		if (found.count(name) == 0) {
			violations.push_back("file \"" + name + "\" of an index is missing");
		}
	}
}

} // namespace

std::string CompareTopK(Connection &connection, const IndexKind &kind, int64_t query, int64_t k) {
	// Version 1 has a vector for every id.
	const auto sql = "SELECT id, " + std::string(kind.distance) + "(v, vec(" + std::to_string(query) +
	                 ", 1)) AS distance FROM t ORDER BY distance LIMIT " + std::to_string(k);
	const auto plan = connection.Query("EXPLAIN " + sql)->ToString();
	if (plan.find("LM_DISKANN_INDEX_SCAN") == std::string::npos) {
		return std::string("index \"") + kind.name + "\" is not used by: " + sql;
	}
	const auto indexed = TopK(connection, sql);
	Query(connection, "SET lm_diskann_enable_index_scan = false");
	const auto exact = TopK(connection, sql);
	Query(connection, "SET lm_diskann_enable_index_scan = true");
	if (indexed == exact) {
		return "";
	}
	std::vector<std::string> missed;
	std::set_difference(exact.begin(), exact.end(), indexed.begin(), indexed.end(), std::back_inserter(missed));
	return std::string("index \"") + kind.name + "\": of " + std::to_string(exact.size()) + " nearest rows " +
	       std::to_string(indexed.size()) + " were found, " + std::to_string(missed.size()) + " are missing" +
	       (missed.empty() ? "" : ", first \"" + missed[0] + "\"") + ": " + sql;
}

std::vector<std::string> CheckIndexes(Connection &connection, const std::set<std::string> &indexes, uint64_t seed) {
	std::vector<std::string> violations;
	std::set<std::string> listed;
	const auto states = connection.Query("SELECT index_name, state, state_reason FROM lm_diskann_index_info()");
	if (states->HasError()) {
		return {states->GetError()};
	}
	for (size_t i = 0; i < states->RowCount(); i++) {
		const auto name = states->GetValue(0, i).ToString();
		listed.insert(name);
		const auto state = states->GetValue(1, i).ToString();
		// The background goes on with what it had before the kill.
		if (state != "merging" && (state != "ready" || !states->GetValue(2, i).IsNull())) {
			violations.push_back("index \"" + name + "\" is in state " + state + ": " +
			                     states->GetValue(2, i).ToString());
		}
	}
	if (listed != indexes) {
		violations.push_back("lm_diskann_index_info() lists other indexes than duckdb_indexes()");
	}
	if (!violations.empty()) {
		return violations;
	}
	lm_diskann::Random random(seed);
	for (const auto &kind : INDEX_KINDS) {
		if (indexes.count(kind.name) == 0) {
			continue;
		}
		const auto found = connection.Query("FROM lm_diskann_verify('" + std::string(kind.name) + "')");
		if (found->HasError() || found->RowCount() > 0) {
			violations.push_back("lm_diskann_verify: " + found->ToString());
		}
		for (const auto k : {1, 10, 100, 5000}) {
			const auto problem = CompareTopK(connection, kind, int64_t(random.Next() % 100000), k);
			if (!problem.empty()) {
				violations.push_back(problem);
			}
		}
	}
	return violations;
}

size_t CheckDatabase(const std::filesystem::path &folder, const std::vector<Contents> &allowed, bool checkpoints,
                     uint64_t seed, std::vector<std::string> &violations) {
	try {
		const auto database = OpenDatabase(folder);
		const auto connection = Connect(*database);
		if (!checkpoints) {
			Query(*connection, "PRAGMA disable_checkpoint_on_shutdown");
		}
		const auto found = ReadContents(*connection);
		for (auto &violation : CheckIndexes(*connection, found.indexes, seed)) {
			violations.push_back(std::move(violation));
		}
		CheckFolder(*connection, folder, violations);
		const auto match = std::find(allowed.begin(), allowed.end(), found);
		if (match != allowed.end()) {
			return size_t(match - allowed.begin());
		}
		for (const auto &expected : allowed) {
			violations.push_back("the table is not as expected:\n" + expected.Difference(found));
		}
	} catch (const std::exception &error) {
		violations.push_back(error.what());
	}
	return 0;
}

} // namespace kill_test
