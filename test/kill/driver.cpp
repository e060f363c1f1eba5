#include "kill/driver.hpp"

#include "kill/database_check.hpp"
#include "kill/worker.hpp"

#include <cstring>
#include <iterator>
#include <sstream>

namespace kill_test {

namespace {

constexpr const char *WORKER_ARGUMENT = "--worker";
//! A worker that reports nothing for so long hangs.
constexpr auto SILENCE_MAX = std::chrono::seconds(60);
//! A phase that does not come for so long is given up.
constexpr auto PATIENCE = std::chrono::seconds(3);
constexpr auto FREE_RUN_MAX = std::chrono::microseconds(1'500'000);
//! One in so many kills is followed by a fresh database.
constexpr uint64_t KILLS_PER_DATABASE = 25;

constexpr const char *TARGET_PHASES[] = {"open", "change",     "commit", "create",
                                         "drop", "checkpoint", "close",  "rebuild"};

std::chrono::microseconds Seconds(double seconds) {
	return std::chrono::microseconds(int64_t(seconds * 1e6));
}

} // namespace

Driver::Driver(std::filesystem::path folder_p, uint64_t seed) : folder(std::move(folder_p)), random(seed) {
	for (const auto name :
	     {"open", "change", "create", "drop", "commit", "rollback", "checkpoint", "close", "rebuild"}) {
		phases[name];
	}
}

void Driver::StartDatabase() {
	std::filesystem::remove_all(folder / "database");
	std::filesystem::create_directories(folder / "database");
	CreateTable(folder / "database");
	log = std::ofstream(folder / "log");
	committed = Contents();
	database_count++;
}

void Driver::EndPhase() {
	if (!current_phase.empty()) {
		auto &phase = phases[current_phase];
		phase.count++;
		phase.total_seconds += std::chrono::duration<double>(Clock::now() - phase_start).count();
	}
}

void Driver::Take(const std::string &line) {
	log << line << "\n";
	const auto space = line.find(' ');
	const auto word = line.substr(0, space);
	const auto rest = space == std::string::npos ? "" : line.substr(space + 1);
	if (word == "phase") {
		EndPhase();
		current_phase = rest;
		phase_start = Clock::now();
		statement_count++;
	} else if (word == "begin") {
		in_flight.clear();
		is_committing = false;
	} else if (word == "change") {
		in_flight.push_back(Change::FromText(rest));
	} else if (word == "commit") {
		is_committing = true;
	} else if (word == "done") {
		for (const auto &change : in_flight) {
			committed.Apply(change);
		}
		commit_count++;
	} else if (word == "rollback") {
		rollback_count++;
	} else if (word == "refused") {
		refusals[rest]++;
	} else {
		violations.push_back(line);
	}
	if (word == "done" || word == "rollback") {
		in_flight.clear();
		is_committing = false;
	}
}

bool Driver::WaitForInstant(ChildProcess &worker) {
	std::string target;
	auto deadline = Clock::now() + std::chrono::microseconds(random.Next() % uint64_t(FREE_RUN_MAX.count()));
	if (random.Next() % 2 == 0) {
		target = TARGET_PHASES[random.Next() % std::size(TARGET_PHASES)];
		deadline = Clock::now() + PATIENCE;
	}
	// The first of its kind is as good as the tenth, but a later one finds more to lose.
	auto occurrence = 1 + random.Next() % 4;
	auto silence_end = Clock::now() + SILENCE_MAX;
	while (true) {
		const auto line = worker.ReadLine(std::min(deadline, silence_end));
		if (line) {
			Take(*line);
			silence_end = Clock::now() + SILENCE_MAX;
			if (!target.empty() && *line == "phase " + target && --occurrence == 0) {
				const auto &phase = phases[target];
				const auto mean = phase.count == 0 ? 0.01 : phase.total_seconds / double(phase.count);
				deadline = Clock::now() + Seconds(mean * 1.2 * double(random.Next() % 1000) / 1000);
				target.clear();
			}
			continue;
		}
		if (worker.HasClosed()) {
			violations.push_back("the worker ended by itself in phase " + current_phase);
			return false;
		}
		return true;
	}
}

std::vector<std::string> Driver::Kill() {
	violations.clear();
	if (database_count == 0 || random.Next() % KILLS_PER_DATABASE == 0) {
		StartDatabase();
	}
	const auto database = folder / "database";
	ChildProcess worker({WORKER_ARGUMENT, database.string(), std::to_string(random.Next())});
	current_phase.clear();
	if (WaitForInstant(worker)) {
		worker.Kill();
	}
	const auto end = worker.Wait();
	if (!end.empty()) {
		violations.push_back("the worker " + end);
	}
	for (const auto &line : worker.Drain()) {
		Take(line);
	}
	kill_count++;
	log << "killed" << std::endl;
	phases[current_phase].kill_count++;

	std::filesystem::remove_all(folder / "before");
	std::filesystem::copy(database, folder / "before", std::filesystem::copy_options::recursive);
	std::vector<Contents> allowed {committed};
	if (is_committing) {
		allowed.push_back(committed);
		for (const auto &change : in_flight) {
			allowed.back().Apply(change);
		}
	}
	log << (is_committing ? "committing\n" : "") << "check" << std::endl;
	const auto position = CheckDatabase(database, allowed, random.Next() % 2 == 0, random.Next(), violations);
	if (allowed.size() > 1) {
		(position == 0 ? in_flight_lost : in_flight_kept)++;
	}
	committed = allowed[position];
	in_flight.clear();
	is_committing = false;
	if (!violations.empty()) {
		violations.push_back("killed in phase " + current_phase);
	}
	return std::move(violations);
}

std::string Driver::Summary() const {
	std::ostringstream text;
	text << kill_count << " kills, " << database_count << " databases, " << statement_count << " statements, "
	     << commit_count << " commits, " << rollback_count << " rollbacks; in flight: " << in_flight_kept << " kept, "
	     << in_flight_lost << " lost\n";
	for (const auto &[name, phase] : phases) {
		text << "  " << (name.empty() ? "before the first report" : name) << ": " << phase.count << " completed, "
		     << phase.kill_count << " killed\n";
	}
	for (const auto &[error, count] : refusals) {
		text << "  refused " << count << " times: " << error << "\n";
	}
	return text.str();
}

bool IsWorker(int argc, char **argv) {
	return argc == 5 && std::strcmp(argv[1], WORKER_ARGUMENT) == 0;
}

int RunAsWorker(char **argv) {
	return RunWorker(argv[2], std::stoull(argv[3]), std::stoi(argv[4]));
}

} // namespace kill_test
