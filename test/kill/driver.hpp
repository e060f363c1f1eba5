// The parent of a kill test: starts workers, kills each at an instant of its choice, and checks what is left.
//
// Instants: half of the kills come at any time; the others wait for a phase, each as likely, and fall uniformly into a
// little more than its mean duration. A killed database goes on with the next worker; now and then a fresh one begins.
#pragma once

#include "kill/child_process.hpp"
#include "kill/table_model.hpp"

#include "base/random.hpp"

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace kill_test {

class Driver {
public:
	//! Works in `folder`, which must be empty. `seed` decides everything but the instants.
	Driver(std::filesystem::path folder_p, uint64_t seed);

	//! One worker, one kill, one check. Empty when all is well. Else the folder holds the database as it was found:
	//! "before" as the kill left it, "database" after the check, and "log" with all that was reported since its start.
	std::vector<std::string> Kill();

	//! Figures for a person.
	std::string Summary() const;

private:
	struct Phase {
		uint64_t count = 0;
		uint64_t kill_count = 0;
		double total_seconds = 0;
	};

	void StartDatabase();
	//! Lets the worker run until the chosen instant. False when it ended by itself or hung.
	bool WaitForInstant(ChildProcess &worker);
	void Take(const std::string &line);
	void EndPhase();

	const std::filesystem::path folder;
	lm_diskann::Random random;
	std::ofstream log;
	//! What is committed for sure.
	Contents committed;
	std::vector<Change> in_flight;
	bool is_committing = false;
	std::vector<std::string> violations;

	std::string current_phase;
	Clock::time_point phase_start;
	std::map<std::string, Phase> phases;
	std::map<std::string, uint64_t> refusals;
	uint64_t kill_count = 0, database_count = 0, statement_count = 0, commit_count = 0, rollback_count = 0;
	uint64_t in_flight_kept = 0, in_flight_lost = 0;
};

//! When `argc` and `argv` are those of a worker that a Driver starts: runs it, and the result is the exit code.
//! Call first in main.
bool IsWorker(int argc, char **argv);
int RunAsWorker(char **argv);

} // namespace kill_test
