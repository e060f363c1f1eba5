#include "kill/child_process.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace kill_test {

namespace {

void Require(bool is_done, const char *call) {
	if (!is_done) {
		throw std::system_error(errno, std::generic_category(), call);
	}
}

} // namespace

ChildProcess::ChildProcess(const std::vector<std::string> &arguments) {
	int ends[2];
	Require(pipe(ends) == 0, "pipe");
	fcntl(ends[0], F_SETFD, FD_CLOEXEC);
	// Everything is prepared before the fork: between fork and exec only simple system calls are safe.
	std::vector<std::string> texts {"/proc/self/exe"};
	texts.insert(texts.end(), arguments.begin(), arguments.end());
	texts.push_back(std::to_string(ends[1]));
	std::vector<char *> argv;
	for (auto &text : texts) {
		argv.push_back(text.data());
	}
	argv.push_back(nullptr);
	const auto parent = getpid();
	pid = fork();
	Require(pid >= 0, "fork");
	if (pid == 0) {
		// The child must not outlive a parent that is stopped.
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent) {
			execv(argv[0], argv.data());
		}
		_exit(127);
	}
	close(ends[1]);
	descriptor = ends[0];
}

ChildProcess::~ChildProcess() {
	Kill();
	close(descriptor);
}

void ChildProcess::Kill() {
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		pid = -1;
	}
}

std::string ChildProcess::Wait() {
	if (pid > 0) {
		waitpid(pid, &status, 0);
		pid = -1;
	}
	if (WIFSIGNALED(status)) {
		return WTERMSIG(status) == SIGKILL ? "" : std::string("ended by signal ") + strsignal(WTERMSIG(status));
	}
	return WEXITSTATUS(status) == 0 ? "" : "exit code " + std::to_string(WEXITSTATUS(status));
}

bool ChildProcess::Read() {
	char bytes[4096];
	const auto count = read(descriptor, bytes, sizeof bytes);
	if (count <= 0) {
		has_closed = true;
		return false;
	}
	unread.append(bytes, size_t(count));
	return true;
}

std::optional<std::string> ChildProcess::TakeLine() {
	const auto end = unread.find('\n');
	if (end == std::string::npos) {
		return std::nullopt;
	}
	auto line = unread.substr(0, end);
	unread.erase(0, end + 1);
	return line;
}

std::optional<std::string> ChildProcess::ReadLine(Clock::time_point deadline) {
	while (true) {
		if (auto line = TakeLine()) {
			return line;
		}
		const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(deadline - Clock::now()).count();
		if (left <= 0 || has_closed) {
			return std::nullopt;
		}
		const timespec timeout {left / 1'000'000'000, left % 1'000'000'000};
		pollfd entry {descriptor, POLLIN, 0};
		if (ppoll(&entry, 1, &timeout, nullptr) > 0) {
			Read();
		}
	}
}

std::vector<std::string> ChildProcess::Drain() {
	while (Read()) {
	}
	std::vector<std::string> lines;
	while (auto line = TakeLine()) {
		lines.push_back(std::move(*line));
	}
	return lines;
}

void ReportLine(int descriptor, const std::string &line) {
	const auto text = line + "\n";
	// Below PIPE_BUF a write is whole or absent.
	if (write(descriptor, text.data(), text.size()) != ssize_t(text.size())) {
		_exit(126);
	}
}

} // namespace kill_test
