// Random SQL from several connections, on one thread so that a seed gives the same run, against an exact oracle.
//
// The oracle is a map from id to version; a row's vector follows from both. Each connection sees the committed rows as
// they were when its transaction began, with its own changes. Connections write disjoint ids, so that no statement
// fails for a conflict; statements that wait for nobody in DuckDB but fail beside other transactions (checkpoints, DDL)
// may fail. Every answer must have as many rows as are visible, up to k, none twice and none that is not visible.
#pragma once

#include "duckdb.hpp"

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace dml_test {

struct DmlTotals {
	uint64_t statements = 0;
	uint64_t refused = 0;
	uint64_t queries = 0;
	uint64_t restarts = 0;
	//! Drops of the index, or of the database it is in, between planning and running what uses it.
	uint64_t drops_beside = 0;
	//! Answers that are among the exact ones, and how many those are.
	uint64_t hits = 0;
	uint64_t wanted = 0;

	double Recall() const {
		return wanted == 0 ? 1 : double(hits) / double(wanted);
	}
};

//! What must not happen, with the seed's last statement.
class DmlViolation : public std::runtime_error {
public:
	using std::runtime_error::runtime_error;
};

class DmlSim {
public:
	DmlSim(uint64_t seed, std::filesystem::path folder_p);
	~DmlSim();

	//! Throws DmlViolation.
	DmlTotals Run(uint64_t statement_count);

private:
	static constexpr size_t CONNECTION_COUNT = 3;
	//! id -> version.
	using Rows = std::map<int64_t, int64_t>;

	//! A table with an index, where it lives, and whether it outlives its connection.
	struct Session {
		std::unique_ptr<duckdb::Connection> connection;
		//! Set within a transaction: the rows it sees, and of its own ids what it changed.
		std::optional<Rows> view;
		std::map<int64_t, std::optional<int64_t>> changes;
	};
	struct Step {
		uint64_t weight;
		void (DmlSim::*run)(Session &session);
	};
	static const std::vector<Step> STEPS;

	void Open();
	void Close();
	//! What other sessions do between planning and running a statement.
	using Meanwhile = std::function<void()>;
	static duckdb::unique_ptr<duckdb::QueryResult> Run(Session &session, const std::string &sql,
	                                                   const Meanwhile &meanwhile);
	//! False if it failed, which only `may_fail` allows.
	bool Execute(Session &session, const std::string &sql, bool may_fail = false, const Meanwhile &meanwhile = {});
	const Rows &Visible(const Session &session) const {
		return session.view ? *session.view : committed;
	}
	void Note(Session &session, int64_t id, std::optional<int64_t> version);
	//! An id of the session's own that is visible to it.
	std::optional<int64_t> AnyId(Session &session);
	std::string VectorSql(int64_t id, int64_t version) const;
	std::vector<float> VectorOf(int64_t id, int64_t version) const;

	void Insert(Session &session);
	void Update(Session &session);
	void Delete(Session &session);
	void DeleteRange(Session &session);
	void Begin(Session &session);
	void Commit(Session &session);
	void Rollback(Session &session);
	void Query(Session &session);
	void Checkpoint(Session &session);
	void Compact(Session &session);
	void Vacuum(Session &session);
	void Rebuild(Session &session);
	void CreateFirstIndex(Session &session);
	void DropFirstIndex(Session &session);
	void CreateSecondIndex(Session &session);
	void DropSecondIndex(Session &session);
	void UseAttached(Session &session);
	void UseTemporary(Session &session);
	void Restart(Session &session);
	//! Creates a table with an index in `schema`, changes it and asks it; another than t.
	void UseOtherTable(Session &session, const std::string &table);
	//! Runs a query for the nearest row of that table while it is detached: right, or refused.
	void DetachBeside(Session &session, Session &reader);
	void CheckAnswer(Session &session, const std::string &distance, size_t k, size_t offset,
	                 const Meanwhile &meanwhile = {});
	void CheckIndexes();

	std::mt19937_64 random;
	std::filesystem::path folder;
	std::unique_ptr<duckdb::DuckDB> database;
	std::vector<Session> sessions;
	Rows committed;
	int64_t next_id = 0;
	int64_t next_version = 1;
	DmlTotals totals;
};

} // namespace dml_test
