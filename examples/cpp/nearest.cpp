// A C++ program that uses the extension through DuckDB's own C++ interface.
//
//   g++ -std=c++17 -DNDEBUG -I <DuckDB headers> nearest.cpp -L <release> -lduckdb -Wl,-rpath,<release> -o nearest
//   ./nearest <release>/lm_diskann.duckdb_extension
#include <duckdb.hpp>

#include <cstdio>
#include <string>

namespace {

//! Runs a statement; throws DuckDB's exception when it fails.
duckdb::unique_ptr<duckdb::MaterializedQueryResult> Run(duckdb::Connection &connection, const std::string &sql) {
	auto result = connection.Query(sql);
	if (result->HasError()) {
		result->ThrowError();
	}
	return result;
}

void Search(const std::string &extension) {
	duckdb::DBConfig config;
	config.SetOptionByName("allow_unsigned_extensions", duckdb::Value::BOOLEAN(true));
	duckdb::DuckDB database(nullptr, &config);
	duckdb::Connection connection(database);
	Run(connection, "LOAD '" + extension + "'");

	Run(connection,
	    "CREATE TABLE points AS SELECT i AS id, [i % 100, i // 100]::FLOAT[2] AS place FROM range(10000) t(i)");
	Run(connection, "CREATE INDEX points_idx ON points USING LM_DISKANN (place)");

	// Prepared once, run for each query; the vector is a value like any other.
	auto statement = connection.Prepare(
	    "SELECT id, array_distance(place, $1::FLOAT[2]) FROM points "
	    "ORDER BY array_distance(place, $1::FLOAT[2]) LIMIT 3");
	for (const float x : {10.1F, 42.4F}) {
		duckdb::vector<duckdb::Value> query {duckdb::Value::FLOAT(x), duckdb::Value::FLOAT(7)};
		auto result = statement->Execute(duckdb::Value::ARRAY(duckdb::LogicalType::FLOAT, std::move(query)));
		if (result->HasError()) {
			result->ThrowError();
		}
		std::printf("nearest to (%.1f, 7):", x);
		for (auto &row : *result) {
			std::printf("  %lld at %.2f", static_cast<long long>(row.GetValue<int64_t>(0)), row.GetValue<float>(1));
		}
		std::printf("\n");
	}
	auto stats = Run(connection, "SELECT queries FROM lm_diskann_stats()");
	std::printf("searches through the index: %s\n", stats->GetValue(0, 0).ToString().c_str());
}

} // namespace

int main(int argc, char **argv) {
	if (argc != 2) {
		std::fprintf(stderr, "usage: nearest lm_diskann.duckdb_extension\n");
		return 1;
	}
	try {
		Search(argv[1]);
	} catch (const std::exception &error) {
		std::fprintf(stderr, "%s\n", duckdb::ErrorData(error).Message().c_str());
		return 1;
	}
	return 0;
}
