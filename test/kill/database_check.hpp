// Opens the database of a kill test and compares table, indexes and folder with each other and with what is expected.
#pragma once

#include "kill/table_model.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace duckdb {
class Connection;
class DuckDB;
} // namespace duckdb

namespace kill_test {

//! A folder with the file t.duckdb, and beside it the folder of its indexes.
std::filesystem::path DatabaseFile(const std::filesystem::path &folder);

//! The database with the extension loaded. Throws what DuckDB throws.
std::unique_ptr<duckdb::DuckDB> OpenDatabase(const std::filesystem::path &folder);
//! A connection with `vec` defined, on which searches are exact: L is larger than any table of these tests.
std::unique_ptr<duckdb::Connection> Connect(duckdb::DuckDB &database);
//! First value of the result as text, "" for none. Throws std::runtime_error with the statement and the error.
std::string Query(duckdb::Connection &connection, const std::string &sql);

//! Creates the table, empty and without an index.
void CreateTable(const std::filesystem::path &folder);
Contents ReadContents(duckdb::Connection &connection);

//! Problems of the indexes as they are in this session: state, verification, top-k against the exact plan.
std::vector<std::string> CheckIndexes(duckdb::Connection &connection, const std::set<std::string> &indexes,
                                      uint64_t seed);
//! The nearest `k` rows through the index must be those of the exact plan; `kind` must exist. "" when they are.
std::string CompareTopK(duckdb::Connection &connection, const IndexKind &kind, int64_t query, int64_t k);

//! Everything above right after opening: the contents must equal one of `allowed`, whose position is returned.
//! `checkpoints` at the end or leaves the log. Problems are appended to `violations`.
size_t CheckDatabase(const std::filesystem::path &folder, const std::vector<Contents> &allowed, bool checkpoints,
                     uint64_t seed, std::vector<std::string> &violations);

} // namespace kill_test
