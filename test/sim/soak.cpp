// soak_sim SECONDS [FIRST_SEED]: random seeds of every simulator until the time is over; the same code as the tests.
//
// Prints one line. Exits with 1 and the seed on a violation, also on an exception that no caller may see and on a seed
// that does not come to its end.
#include "sim/ann_index_sim.hpp"
#include "sim/page_file_sim.hpp"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>

namespace lm_diskann {
namespace {

//! A seed takes some 20 ms, under sanitizers a second.
constexpr unsigned SECONDS_MAX = 120;

//! What is allowed in a signal handler: the seed is in the text already.
char hang_text[64];

void ReportHang(int) {
	const ssize_t written = write(STDERR_FILENO, hang_text, sizeof(hang_text));
	_exit(written < 0 ? 2 : 1);
}

//! Steps of a script; some seeds live long.
size_t StepCount(uint64_t seed) {
	return seed % 16 == 0 ? 1500 : 150;
}

int Soak(double seconds, uint64_t seed) {
	SimTotals totals;
	const auto start = std::chrono::steady_clock::now();
	const auto elapsed = [&] {
		return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
	};
	std::signal(SIGALRM, ReportHang);
	int violations = 0;
	for (; elapsed() < seconds && violations == 0; seed++) {
		std::snprintf(hang_text, sizeof(hang_text), "violation: seed %llu hangs\n",
		              static_cast<unsigned long long>(seed));
		alarm(SECONDS_MAX);
		try {
			totals += AnnIndexSim(seed).Run(StepCount(seed));
			totals += PageFileSim(seed).RunLives();
		} catch (const std::exception &error) {
			std::fprintf(stderr, "violation: seed %llu: %s\n", static_cast<unsigned long long>(seed), error.what());
			violations++;
		}
	}
	alarm(0);
	std::printf("soak_sim: %.0f seconds, %llu scripts up to seed %llu, %llu steps, %llu faults, %llu crashes, "
	            "%d violations\n",
	            elapsed(), static_cast<unsigned long long>(totals.seeds), static_cast<unsigned long long>(seed),
	            static_cast<unsigned long long>(totals.steps), static_cast<unsigned long long>(totals.faults),
	            static_cast<unsigned long long>(totals.crashes), violations);
	return violations == 0 ? 0 : 1;
}

} // namespace
} // namespace lm_diskann

int main(int argument_count, char **arguments) {
	char *end = nullptr;
	const double seconds = argument_count > 1 ? std::strtod(arguments[1], &end) : 0;
	if (argument_count < 2 || argument_count > 3 || *end != '\0' || seconds <= 0) {
		std::fprintf(stderr, "usage: soak_sim SECONDS [FIRST_SEED]\n");
		return 2;
	}
	// Seeds of different days differ, so that every run sees others.
	const uint64_t first_seed =
	    argument_count > 2 ? std::strtoull(arguments[2], nullptr, 10) : uint64_t(time(nullptr)) << 20;
	return lm_diskann::Soak(seconds, first_seed);
}
