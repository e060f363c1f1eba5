// Property: whenever the process is killed, the database opens again with every committed change and no other, and the
// indexes are ready, sound and exact without a rebuild.
//
//   soak_kill KILLS [SEED]
//
// Prints figures. After a violation it exits with 1, and names the seed and the folder it keeps.
#include "kill/driver.hpp"

#include <cstdio>
#include <cstdlib>
#include <random>

int main(int argc, char **argv) {
	if (kill_test::IsWorker(argc, argv)) {
		return kill_test::RunAsWorker(argv);
	}
	if (argc < 2 || argc > 3) {
		std::fprintf(stderr, "usage: soak_kill KILLS [SEED]\n");
		return 2;
	}
	const auto kill_count = std::strtoull(argv[1], nullptr, 10);
	const auto seed = argc == 3 ? std::strtoull(argv[2], nullptr, 10) : std::random_device()();
	const auto folder = std::filesystem::temp_directory_path() /
	                    ("lmd_kill_" + std::to_string(seed) + "_" + std::to_string(std::random_device()()));
	std::filesystem::create_directories(folder);
	std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
	kill_test::Driver driver(folder, seed);
	for (unsigned long long kill = 1; kill <= kill_count; kill++) {
		const auto violations = driver.Kill();
		if (violations.empty()) {
			continue;
		}
		std::printf("kill %llu of seed %llu left a violation; the files are in %s\n", kill,
		            static_cast<unsigned long long>(seed), folder.c_str());
		for (const auto &violation : violations) {
			std::printf("%s\n", violation.c_str());
		}
		std::printf("%s", driver.Summary().c_str());
		return 1;
	}
	std::filesystem::remove_all(folder);
	std::printf("%s0 violations\n", driver.Summary().c_str());
	return 0;
}
