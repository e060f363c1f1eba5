// soak_dml STATEMENTS [SEED]: random SQL against an exact oracle (dml_sim.hpp); exits with 1 and the seed on a
// violation, or when fewer than 95 % of the answers are among the exact ones.
#include "dml/dml_sim.hpp"

#include <cstdio>
#include <cstdlib>
#include <ctime>

int main(int argument_count, char **arguments) {
	const auto statements = argument_count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 0;
	if (statements == 0 || argument_count > 3) {
		std::fprintf(stderr, "usage: soak_dml STATEMENTS [SEED]\n");
		return 2;
	}
	const auto seed = argument_count > 2 ? std::strtoull(arguments[2], nullptr, 10) : uint64_t(time(nullptr));
	constexpr double RECALL_MIN = 0.95;
	const auto folder = std::filesystem::temp_directory_path() / ("lmd_dml_" + std::to_string(std::random_device()()));
	try {
		dml_test::DmlSim sim(seed, folder);
		const auto totals = sim.Run(statements);
		std::printf("soak_dml: seed %llu, %llu statements, %llu refused, %llu queries with recall %.4f, %llu restarts, "
		            "%llu drops beside others\n",
		            static_cast<unsigned long long>(seed), static_cast<unsigned long long>(totals.statements),
		            static_cast<unsigned long long>(totals.refused), static_cast<unsigned long long>(totals.queries),
		            totals.Recall(), static_cast<unsigned long long>(totals.restarts),
		            static_cast<unsigned long long>(totals.drops_beside));
		if (totals.Recall() < RECALL_MIN) {
			std::fprintf(stderr, "violation: seed %llu: recall is below %.2f\n", static_cast<unsigned long long>(seed),
			             RECALL_MIN);
			return 1;
		}
	} catch (const std::exception &error) {
		std::fprintf(stderr, "violation: seed %llu: %s\n", static_cast<unsigned long long>(seed), error.what());
		return 1;
	}
	return 0;
}
