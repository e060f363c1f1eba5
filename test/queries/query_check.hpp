// Runs random queries by the index and by DuckDB's own plans, and compares.
#pragma once

#include "queries/query_generator.hpp"

#include "duckdb.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace query_test {

//! Figures of one shape, summed.
struct ShapeFigures {
	uint64_t queries = 0;
	//! Those that were explained, and where EXPLAIN names an operator of the index.
	uint64_t explained = 0;
	uint64_t by_index = 0;
	//! Rows that the exact plan returns, and those of the index that are as near.
	uint64_t exact_rows = 0;
	uint64_t hits = 0;
};

using Figures = std::map<std::string, ShapeFigures>;

//! One database with two connections that change it in transactions of their own. Everything follows from the seed.
class QueryCheck {
public:
	explicit QueryCheck(uint64_t seed);
	~QueryCheck();

	//! Some changes, perhaps, then one query. Returns what is wrong with its answer; empty: nothing.
	std::string Step(Figures &figures);

private:
	using Rows = std::vector<std::vector<std::string>>;
	struct Session {
		std::unique_ptr<duckdb::Connection> connection;
		bool is_in_transaction = false;
	};

	void Change(Session &session);
	void Maintain();
	void Execute(duckdb::Connection &connection, const std::string &sql);
	Rows Select(duckdb::Connection &connection, const GeneratedQuery &query, const std::string &sql);
	bool IsByIndex(duckdb::Connection &connection, const GeneratedQuery &query);
	std::string Compare(const GeneratedQuery &query, const Rows &found, const Rows &exact, const Rows &universe,
	                    bool must_be_exact, ShapeFigures &figures) const;

	QueryGenerator generator;
	std::unique_ptr<duckdb::DuckDB> database;
	std::vector<Session> sessions;
};

} // namespace query_test
