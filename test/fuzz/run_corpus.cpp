// Runs a fuzz target on each file of the folders named, without libFuzzer: what was found once stays fixed.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argument_count, char **arguments) {
	std::vector<std::filesystem::path> paths;
	for (int i = 1; i < argument_count; i++) {
		const std::filesystem::directory_iterator folder(arguments[i]);
		std::transform(begin(folder), end(folder), std::back_inserter(paths),
		               [](const auto &entry) { return entry.path(); });
	}
	std::sort(paths.begin(), paths.end());
	for (const std::filesystem::path &path : paths) {
		std::ifstream file(path, std::ios::binary);
		const std::vector<char> bytes {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
		std::fprintf(stderr, "%s\n", path.filename().c_str()); // The last name is the culprit when the run crashes.
		LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size());
	}
	std::printf("%zu inputs\n", paths.size());
	return paths.empty() ? 1 : 0;
}
