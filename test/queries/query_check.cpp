#include "queries/query_check.hpp"

#include "lm_diskann_extension.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <stdexcept>

namespace query_test {

namespace {

using Rows = std::vector<std::vector<std::string>>;

//! As DuckDB orders distances: numbers, NaN, NULL.
double Order(const std::string &distance) {
	if (distance == "NULL") {
		return std::numeric_limits<double>::infinity();
	}
	const auto number = std::stod(distance);
	return number == number ? number : std::numeric_limits<double>::max();
}

std::string Join(const std::vector<std::string> &row) {
	std::string text;
	for (const auto &value : row) {
		text += value + "|";
	}
	return text;
}

//! Distances of the rows of each left row, ascending; of all rows, when there is no join.
std::map<std::string, std::vector<double>> DistancesByKey(const Rows &rows, bool is_join) {
	std::map<std::string, std::vector<double>> distances;
	for (const auto &row : rows) {
		distances[is_join ? row[0] : ""].push_back(Order(row.back()));
	}
	for (auto &[key, values] : distances) {
		std::sort(values.begin(), values.end());
	}
	return distances;
}

//! The same, but for rounding, which decides between rows that are equally far.
bool AreSame(const std::vector<double> &found, const std::vector<double> &exact) {
	return std::equal(found.begin(), found.end(), exact.begin(), exact.end(), [](double a, double b) {
		return a == b || std::abs(a - b) <= 1e-5 * std::max(1.0, std::abs(a));
	});
}

//! Rows of the index that are no farther than the last of the exact ones.
uint64_t CountHits(const std::vector<double> &found, const std::vector<double> &exact) {
	const auto bound = exact.back() + 1e-5;
	return std::min<uint64_t>(exact.size(),
	                          uint64_t(std::upper_bound(found.begin(), found.end(), bound) - found.begin()));
}

} // namespace

QueryCheck::QueryCheck(uint64_t seed) : generator(seed) {
	database = std::make_unique<duckdb::DuckDB>(nullptr);
	database->LoadStaticExtension<duckdb::LmDiskannExtension>();
	for (int i = 0; i < 2; i++) {
		sessions.push_back({std::make_unique<duckdb::Connection>(*database), false});
	}
	// Two threads for one query of so few rows cost more than they gain; but some joins shall have them.
	Execute(*sessions[0].connection, generator.OneIn(4) ? "SET threads = 2" : "SET threads = 1");
	Execute(*sessions[0].connection, generator.MakeTables(80 + generator.Below(300)));
}

QueryCheck::~QueryCheck() = default;

void QueryCheck::Execute(duckdb::Connection &connection, const std::string &sql) {
	const auto result = connection.Query(sql);
	if (result->HasError()) {
		throw std::runtime_error(sql + "\n" + result->GetError());
	}
}

//! Two writers of the same row conflict: then the transaction is over.
void QueryCheck::Change(Session &session) {
	auto &connection = *session.connection;
	if (!session.is_in_transaction && generator.OneIn(3)) {
		Execute(connection, "BEGIN");
		session.is_in_transaction = true;
	}
	const auto sql = generator.Change();
	const auto result = connection.Query(sql);
	if (result->HasError()) {
		if (result->GetErrorType() != duckdb::ExceptionType::TRANSACTION) {
			throw std::runtime_error(sql + "\n" + result->GetError());
		}
		if (session.is_in_transaction) {
			Execute(connection, "ROLLBACK");
			session.is_in_transaction = false;
		}
	}
	if (session.is_in_transaction && generator.OneIn(4)) {
		const auto end = generator.OneIn(3) ? "ROLLBACK" : "COMMIT";
		const auto ended = connection.Query(end);
		if (ended->HasError() && ended->GetErrorType() != duckdb::ExceptionType::TRANSACTION) {
			throw std::runtime_error(end + ("\n" + ended->GetError()));
		}
		session.is_in_transaction = false;
	}
}

void QueryCheck::Maintain() {
	for (const auto &session : sessions) {
		if (session.is_in_transaction) {
			return;
		}
	}
	const auto statement =
	    generator.Below(2) == 0 ? "PRAGMA lm_diskann_compact('t_idx')" : "PRAGMA lm_diskann_rebuild('t_idx')";
	Execute(*sessions[0].connection, statement);
}

Rows QueryCheck::Select(duckdb::Connection &connection, const GeneratedQuery &query, const std::string &sql) {
	const bool is_prepared = !query.preparation.empty() && sql == query.sql;
	if (is_prepared) {
		Execute(connection, query.preparation);
	}
	const auto result = connection.Query(sql);
	if (result->HasError()) {
		throw std::runtime_error(query.preparation + "\n" + sql + "\n" + result->GetError());
	}
	Rows rows;
	for (duckdb::idx_t row = 0; row < result->RowCount(); row++) {
		rows.emplace_back();
		for (duckdb::idx_t column = 0; column < result->ColumnCount(); column++) {
			rows.back().push_back(result->GetValue(column, row).ToString());
		}
	}
	if (is_prepared) {
		Execute(connection, "DEALLOCATE near");
	}
	return rows;
}

bool QueryCheck::IsByIndex(duckdb::Connection &connection, const GeneratedQuery &query) {
	GeneratedQuery explained = query;
	explained.sql = "EXPLAIN " + query.sql;
	const auto rows = Select(connection, explained, explained.sql);
	return rows[0][1].find("LM_DISKANN_INDEX") != std::string::npos;
}

std::string QueryCheck::Compare(const GeneratedQuery &query, const Rows &found, const Rows &exact, const Rows &universe,
                                bool must_be_exact, ShapeFigures &figures) const {
	std::set<std::string> possible;
	for (const auto rows : {&exact, &universe}) {
		for (const auto &row : *rows) {
			possible.insert(Join(row));
		}
	}
	std::set<std::string> seen;
	for (const auto &row : found) {
		if (possible.count(Join(row)) == 0) {
			return "a row that is none: " + Join(row);
		}
		if (!seen.insert(Join(row)).second) {
			return "a row twice: " + Join(row);
		}
	}
	const auto found_distances = DistancesByKey(found, query.is_join);
	const auto exact_distances = DistancesByKey(exact, query.is_join);
	for (const auto &[key, distances] : exact_distances) {
		const auto place = found_distances.find(key);
		const auto rows = place == found_distances.end() ? std::vector<double>() : place->second;
		if (query.has_fixed_count ? rows.size() != distances.size() : rows.size() > distances.size()) {
			return std::to_string(rows.size()) + " rows in place of " + std::to_string(distances.size()) +
			       (key.empty() ? "" : " for the left row " + key);
		}
		if (must_be_exact && !AreSame(rows, distances)) {
			return "other distances, though L covers the table" + (key.empty() ? "" : ", for the left row " + key);
		}
		figures.exact_rows += distances.size();
		figures.hits += CountHits(rows, distances);
	}
	if (found_distances.size() > exact_distances.size()) {
		return "a left row that the exact plan does not return";
	}
	return "";
}

std::string QueryCheck::Step(Figures &figures) {
	if (generator.OneIn(3)) {
		Change(sessions[size_t(generator.Below(2))]);
	}
	if (generator.OneIn(80)) {
		Maintain();
	}
	auto &connection = *sessions[size_t(generator.Below(2))].connection;
	const auto query = generator.Query();
	const bool covers_all = generator.OneIn(3);
	Execute(connection, std::string("SET lm_diskann_l_search = ") + (covers_all ? "10000" : "100"));
	const auto found = Select(connection, query, query.sql);
	auto &sums = figures[query.shape];
	if (generator.OneIn(4)) {
		sums.explained++;
		sums.by_index += IsByIndex(connection, query) ? 1 : 0;
	}
	Execute(connection, "SET lm_diskann_enable_index_scan = false");
	const auto exact = Select(connection, query, query.sql);
	const auto universe = Select(connection, query, query.universe);
	Execute(connection, "SET lm_diskann_enable_index_scan = true");

	sums.queries++;
	const auto problem = Compare(query, found, exact, universe, covers_all, sums);
	return problem.empty() ? "" : query.shape + ": " + problem + "\n" + query.preparation + "\n" + query.sql;
}

} // namespace query_test
