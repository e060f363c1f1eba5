// Random tables, changes and queries for a comparison of the index with DuckDB's own plans.
#pragma once

#include <cstdint>
#include <random>
#include <string>

namespace query_test {

//! A query whose rows are (key, values ..., distance), all different from each other.
struct GeneratedQuery {
	//! What kind it is, for figures and messages.
	std::string shape;
	//! Runs before it; may be empty.
	std::string preparation;
	std::string sql;
	//! Every row that `sql` could return if its LIMIT were another.
	std::string universe;
	//! For each value of the first column as many rows as the exact plan returns. A range may miss some.
	bool has_fixed_count = true;
	//! The first column is the key of a left row.
	bool is_join = false;
};

//! Everything follows from the seed. Tables: t(id, g, flag, name, v FLOAT[8]) and q(id, g, v FLOAT[8]), with NULLs and
//! duplicates among the vectors.
class QueryGenerator {
public:
	explicit QueryGenerator(uint64_t seed) : random(seed) {
	}

	//! Statements that make the tables; `metric` is one of the index.
	std::string MakeTables(int64_t row_count);
	//! One INSERT, DELETE, UPDATE or the like on t.
	std::string Change();
	GeneratedQuery Query();
	//! 0 .. count - 1.
	int64_t Below(int64_t count) {
		return int64_t(random() % uint64_t(count));
	}
	bool OneIn(int64_t count) {
		return Below(count) == 0;
	}

private:
	std::string Rows(int64_t count);
	std::string Condition(const std::string &table);
	std::string Where(const std::string &table);
	std::string Vector();
	//! Between a query vector and the vector of the table, the arguments either way round.
	std::string Distance(const std::string &table, const std::string &query);
	std::string Limit();
	GeneratedQuery TopK();
	GeneratedQuery Range();
	GeneratedQuery Join();

	std::mt19937_64 random;
	int64_t next_id = 0;
};

} // namespace query_test
