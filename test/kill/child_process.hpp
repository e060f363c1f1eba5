// This program started again as a child that reports lines through a pipe and may be killed at any instant.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace kill_test {

using Clock = std::chrono::steady_clock;

//! Not thread-safe. The parent must have no DuckDB instance open while it starts one: the files are locked by process.
class ChildProcess {
public:
	//! Runs /proc/self/exe with `arguments` and, as the last one, the number of the descriptor to report to.
	explicit ChildProcess(const std::vector<std::string> &arguments);
	ChildProcess(const ChildProcess &) = delete;
	ChildProcess &operator=(const ChildProcess &) = delete;
	//! Kills what is still running.
	~ChildProcess();

	//! The next line, or nothing when `deadline` passes or the child has closed its end.
	std::optional<std::string> ReadLine(Clock::time_point deadline);
	//! All lines that were written and not read. Call after the end of the child.
	std::vector<std::string> Drain();
	bool HasClosed() const {
		return has_closed;
	}
	//! Sends SIGKILL and waits for the end.
	void Kill();
	//! Waits for the end. "" when it was killed or exited with 0, else what happened.
	std::string Wait();

private:
	std::optional<std::string> TakeLine();
	//! False at the end of the pipe.
	bool Read();

	pid_t pid = -1;
	int descriptor = -1;
	int status = 0;
	bool has_closed = false;
	std::string unread;
};

//! Writes one line at once; the parent reads it even if this process is killed right after.
void ReportLine(int descriptor, const std::string &line);

} // namespace kill_test
