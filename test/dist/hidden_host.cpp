// A host that keeps its DuckDB to itself, as the Python package and DuckDB's command line do: it opens a library with
// dlopen(RTLD_LOCAL) and runs SQL through the C interface. The library is a copy with another SONAME, so the extension
// cannot find the host's DuckDB, neither by symbol nor by name.
// usage: hidden_host LIBRARY STATEMENT...
// Prints the first column of each result, a row a line; exit code 1 at the first error.
#include <duckdb.h>

#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>

namespace {

void *library = nullptr;

template <class FUNCTION>
FUNCTION Find(const char *name) {
	void *symbol = dlsym(library, name);
	if (!symbol) {
		std::fprintf(stderr, "%s\n", dlerror());
		std::exit(1);
	}
	return reinterpret_cast<FUNCTION>(symbol);
}

#define FIND(name) Find<decltype(&(name))>(#name)

int RunStatements(duckdb_connection connection, int count, char **statements) {
	for (int i = 0; i < count; i++) {
		duckdb_result result;
		if (FIND(duckdb_query)(connection, statements[i], &result) == DuckDBError) {
			std::fprintf(stderr, "%s\n", FIND(duckdb_result_error)(&result));
			return 1;
		}
		const idx_t rows = FIND(duckdb_column_count)(&result) == 0 ? 0 : FIND(duckdb_row_count)(&result);
		for (idx_t row = 0; row < rows; row++) {
			std::printf("%s\n", FIND(duckdb_value_varchar)(&result, 0, row));
		}
		FIND(duckdb_destroy_result)(&result);
	}
	return 0;
}

} // namespace

int main(int argc, char **argv) {
	library = argc < 2 ? nullptr : dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		std::fprintf(stderr, "usage: hidden_host LIBRARY STATEMENT...\n");
		return 1;
	}
	duckdb_config config;
	FIND(duckdb_create_config)(&config);
	FIND(duckdb_set_config)(config, "allow_unsigned_extensions", "true");
	duckdb_database database;
	duckdb_connection connection;
	char *error = nullptr;
	if (FIND(duckdb_open_ext)(":memory:", &database, config, &error) == DuckDBError) {
		std::fprintf(stderr, "%s\n", error);
		return 1;
	}
	FIND(duckdb_connect)(database, &connection);
	const int exit_code = RunStatements(connection, argc - 2, argv + 2);
	FIND(duckdb_disconnect)(&connection);
	FIND(duckdb_close)(&database);
	FIND(duckdb_destroy_config)(&config);
	return exit_code;
}
