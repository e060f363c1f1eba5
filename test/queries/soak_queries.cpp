// Property: every query, whatever its shape, filter and transaction, returns by the index as many rows as by DuckDB's
// own plan, each of them a row that qualifies and is visible, none twice, the very nearest when L covers the table and
// nearly so else.
//
//   soak_queries QUERIES [SEED]
//
// Prints figures for each shape. After a violation it exits with 1, with the seed and number of the query.
#include "queries/query_check.hpp"

#include <cstdio>
#include <cstdlib>
#include <exception>

namespace {

constexpr double RECALL_FLOOR = 0.97;
//! So many queries on one database.
constexpr uint64_t QUERIES_A_DATABASE = 200;

int Report(const query_test::Figures &figures) {
	query_test::ShapeFigures total;
	for (const auto &[shape, sums] : figures) {
		std::printf("%-24s %6llu queries, %5llu of %5llu by the index, recall %.4f\n", shape.c_str(),
		            static_cast<unsigned long long>(sums.queries), static_cast<unsigned long long>(sums.by_index),
		            static_cast<unsigned long long>(sums.explained),
		            sums.exact_rows == 0 ? 1.0 : double(sums.hits) / double(sums.exact_rows));
		total.queries += sums.queries;
		total.exact_rows += sums.exact_rows;
		total.hits += sums.hits;
	}
	const auto recall = total.exact_rows == 0 ? 1.0 : double(total.hits) / double(total.exact_rows);
	std::printf("%llu queries, 0 violations, recall %.4f\n", static_cast<unsigned long long>(total.queries), recall);
	if (recall < RECALL_FLOOR) {
		std::printf("recall must be at least %.2f\n", RECALL_FLOOR);
		return 1;
	}
	return 0;
}

} // namespace

int main(int argc, char **argv) {
	if (argc < 2 || argc > 3) {
		std::fprintf(stderr, "usage: soak_queries QUERIES [SEED]\n");
		return 2;
	}
	const auto query_count = std::strtoull(argv[1], nullptr, 10);
	const auto seed = argc == 3 ? std::strtoull(argv[2], nullptr, 10) : std::random_device()();
	std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
	query_test::Figures figures;
	std::unique_ptr<query_test::QueryCheck> check;
	for (uint64_t query = 0; query < query_count; query++) {
		std::string problem;
		try {
			if (query % QUERIES_A_DATABASE == 0) {
				check = std::make_unique<query_test::QueryCheck>(seed + query);
			}
			problem = check->Step(figures);
		} catch (const std::exception &error) {
			problem = error.what();
		}
		if (!problem.empty()) {
			std::printf("query %llu of seed %llu: %s\n", static_cast<unsigned long long>(query),
			            static_cast<unsigned long long>(seed), problem.c_str());
			return 1;
		}
	}
	return Report(figures);
}
