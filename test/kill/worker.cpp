#include "kill/worker.hpp"

#include "kill/child_process.hpp"
#include "kill/database_check.hpp"

#include "base/random.hpp"

#include "duckdb.hpp"

#include <algorithm>
#include <stdexcept>

namespace kill_test {

namespace {

using duckdb::Connection;
using duckdb::ErrorData;
using duckdb::ExceptionType;

//! Above this many rows every second one is removed: a search must stay exact with the largest L.
constexpr size_t ROW_COUNT_MAX = 4000;
constexpr int64_t VERSION_MAX = 1'000'000;

class Worker {
public:
	Worker(std::string folder_p, uint64_t seed, int descriptor_p)
	    : folder(std::move(folder_p)), descriptor(descriptor_p), random(seed) {
	}

	void Open();
	void Step();

private:
	uint64_t Draw(uint64_t count) {
		return random.Next() % count;
	}
	bool OneIn(uint64_t count) {
		return Draw(count) == 0;
	}
	void Phase(const std::string &name) {
		ReportLine(descriptor, "phase " + name);
	}
	Change DrawChange();
	Change DrawIndexChange();
	void RunTransaction();
	bool Run(Connection &on, const std::string &sql);
	bool Make(const Change &change);
	void Restart();
	void Checkpoint();
	void Rebuild();
	void Search();
	void Read();

	const std::string folder;
	const int descriptor;
	lm_diskann::Random random;
	std::unique_ptr<duckdb::DuckDB> database;
	std::unique_ptr<Connection> connection;
	//! Unset unless it has a transaction open.
	std::unique_ptr<Connection> reader;
	//! As committed and, inside a transaction, as that sees it.
	Contents contents;
	int64_t next_id = 0;
};

void Worker::Open() {
	Phase("open");
	database = OpenDatabase(folder);
	connection = Connect(*database);
	const char *const thresholds[] = {"1KB", "50KB", "500KB", "16MB", "16MB"};
	Query(*connection, "SET checkpoint_threshold = '" + std::string(thresholds[Draw(5)]) + "'");
	if (OneIn(2)) {
		Query(*connection, "PRAGMA disable_checkpoint_on_shutdown");
	}
	contents = ReadContents(*connection);
	next_id = std::max(next_id, contents.rows.empty() ? 0 : contents.rows.rbegin()->first + 1);
	// Something must bind the indexes before a checkpoint that does not (lifecycle trap 3). Each of these does.
	switch (Draw(3)) {
	case 0:
		Query(*connection, "FROM lm_diskann_index_info()");
		break;
	case 1:
		Checkpoint();
		break;
	default:
		Query(*connection, "DELETE FROM t WHERE id = -1");
		break;
	}
}

//! Draws no change whose commit can fail: a key that an open snapshot still holds is not written again. DuckDB 1.4.4
//! takes a failed commit back wrongly in every row group but the first: ArrayColumnData::RevertAppend leaves the
//! elements there, and the vectors of all later rows are those of others.
Change Worker::DrawChange() {
	Change change;
	change.value = int64_t(Draw(VERSION_MAX));
	const uint64_t sizes[] = {1, 1, 20, 20, 300, 300, 3000};
	change.count = int64_t(1 + Draw(sizes[Draw(7)]));
	const auto kind = Draw(10);
	if (contents.rows.size() > ROW_COUNT_MAX) {
		change.kind = ChangeKind::REMOVE;
		change.count = next_id;
		change.stride = 2;
		change.first = int64_t(Draw(2));
		return change;
	}
	if (kind < 5) {
		change.kind = ChangeKind::INSERT;
		change.first = next_id;
		next_id += change.count;
		return change;
	}
	const ChangeKind others[] = {ChangeKind::REMOVE, ChangeKind::UPDATE_VECTOR, ChangeKind::UPDATE_VECTOR,
	                             ChangeKind::UPDATE_TAG, ChangeKind::UPSERT};
	change.kind = others[kind - 5];
	if (reader && (change.kind == ChangeKind::UPDATE_VECTOR || change.kind == ChangeKind::UPSERT)) {
		change.kind = ChangeKind::UPDATE_TAG;
	}
	// Somewhere among the rows that are, and a little beyond the last one.
	const auto row = contents.rows.empty() ? contents.rows.end()
	                                       : std::next(contents.rows.begin(), int64_t(Draw(contents.rows.size())));
	change.first = row == contents.rows.end() ? 0 : row->first;
	change.stride = int64_t(1 + Draw(3));
	if (change.kind != ChangeKind::UPSERT && OneIn(100)) {
		change.first = 0;
		change.count = next_id;
		change.stride = 1;
	}
	next_id = std::max(next_id, change.first + change.count);
	return change;
}

Change Worker::DrawIndexChange() {
	Change change;
	change.value = int64_t(Draw(INDEX_KIND_COUNT));
	const bool is_there = contents.indexes.count(INDEX_KINDS[change.value].name) > 0;
	change.kind = is_there ? ChangeKind::DROP_INDEX : ChangeKind::CREATE_INDEX;
	return change;
}

//! False when the statement was refused for a reason that DuckDB may have: a key that an older snapshot still holds, or
//! another transaction. Throws for any other error, and for a commit that fails.
bool Worker::Run(Connection &on, const std::string &sql) {
	const auto result = on.Query(sql);
	if (!result->HasError()) {
		return true;
	}
	const auto type = result->GetErrorType();
	const bool is_commit = result->GetError().find("Failed to commit") != std::string::npos;
	if (!is_commit && (type == ExceptionType::CONSTRAINT || type == ExceptionType::TRANSACTION)) {
		ReportLine(descriptor, "refused " + result->GetError().substr(0, 100));
		return false;
	}
	throw std::runtime_error(sql + "\n" + result->GetError());
}

bool Worker::Make(const Change &change) {
	Phase(change.kind == ChangeKind::CREATE_INDEX ? "create"
	      : change.kind == ChangeKind::DROP_INDEX ? "drop"
	                                              : "change");
	ReportLine(descriptor, "change " + change.ToText());
	if (!Run(*connection, change.Sql())) {
		return false;
	}
	contents.Apply(change);
	return true;
}

void Worker::RunTransaction() {
	const auto before = contents;
	const auto change_count = OneIn(3) ? 1 + Draw(4) : 1;
	const bool is_explicit = change_count > 1 || OneIn(4);
	ReportLine(descriptor, "begin");
	bool is_kept = !is_explicit || Run(*connection, "BEGIN");
	if (!is_explicit) {
		ReportLine(descriptor, "commit");
	}
	for (uint64_t i = 0; is_kept && i < change_count; i++) {
		is_kept = Make(OneIn(12) ? DrawIndexChange() : DrawChange());
	}
	if (is_explicit && is_kept && !OneIn(4)) {
		Phase("commit");
		ReportLine(descriptor, "commit");
		is_kept = Run(*connection, "COMMIT");
	} else if (is_explicit) {
		is_kept = false;
		Phase("rollback");
		Run(*connection, "ROLLBACK");
	}
	if (is_kept) {
		ReportLine(descriptor, "done");
	} else {
		ReportLine(descriptor, "rollback");
		contents = before;
	}
}

void Worker::Restart() {
	Phase("close");
	reader.reset();
	connection.reset();
	database.reset();
	Open();
}

void Worker::Checkpoint() {
	Phase("checkpoint");
	Run(*connection, OneIn(2) ? "CHECKPOINT" : "FORCE CHECKPOINT");
}

void Worker::Rebuild() {
	if (!contents.indexes.empty()) {
		Phase("rebuild");
		Query(*connection, "PRAGMA lm_diskann_rebuild('" + *contents.indexes.begin() + "')");
	}
}

void Worker::Search() {
	Phase("search");
	for (const auto &kind : INDEX_KINDS) {
		if (contents.indexes.count(kind.name) > 0) {
			const auto problem = CompareTopK(*connection, kind, int64_t(Draw(100000)), int64_t(1 + Draw(50)));
			if (!problem.empty()) {
				throw std::runtime_error(problem);
			}
		}
	}
}

//! A reading transaction that stays open for some steps, and sees its own snapshot through the index, too.
void Worker::Read() {
	Phase("read");
	if (!reader) {
		reader = Connect(*database);
		Query(*reader, "BEGIN");
	}
	const auto row_count = Query(*reader, "SELECT count(*) FROM t");
	const auto found = Query(*reader, "SELECT count(*) FROM (FROM t ORDER BY " + std::string(INDEX_KINDS[0].distance) +
	                                      "(v, vec(0, 1)) LIMIT 6000)");
	if (row_count != found && std::stoll(row_count) <= 6000) {
		throw std::runtime_error("a snapshot has " + row_count + " rows, but a query for all found " + found);
	}
	if (OneIn(2)) {
		Query(*reader, "COMMIT");
		reader.reset();
	}
}

void Worker::Step() {
	const auto kind = Draw(40);
	if (kind < 30) {
		RunTransaction();
	} else if (kind < 34) {
		Checkpoint();
	} else if (kind == 34) {
		Rebuild();
	} else if (kind == 35) {
		Search();
	} else if (kind < 39) {
		Read();
	} else {
		Restart();
	}
}

} // namespace

int RunWorker(const std::string &folder, uint64_t seed, int descriptor) {
	try {
		Worker worker(folder, seed, descriptor);
		worker.Open();
		while (true) {
			worker.Step();
		}
	} catch (const std::exception &error) {
		std::string text = error.what();
		std::replace(text.begin(), text.end(), '\n', ' ');
		ReportLine(descriptor, "problem " + text.substr(0, 2000));
	}
	return 0;
}

} // namespace kill_test
