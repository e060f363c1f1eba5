#include "subject.hpp"

#include "base/error.hpp"

#include <atomic>
#include <thread>

namespace lm_diskann {

std::unique_ptr<Subject> MakeSubject(const std::string &name) {
	if (name == "lm_diskann" || name == "lm_diskann_cold") {
		return MakeLmDiskann(name == "lm_diskann_cold");
	}
	if (name == "hnswlib") {
		return MakeHnswlib();
	}
	if (name == "faiss") {
		return MakeFaiss();
	}
	throw UsageError("unknown index \"" + name + "\"");
}

void ForEachItem(size_t item_count, size_t thread_count, const std::function<void(size_t item, size_t thread)> &work) {
	std::atomic<size_t> next {0};
	auto run = [&](size_t thread) {
		for (size_t item = next++; item < item_count; item = next++) {
			work(item, thread);
		}
	};
	std::vector<std::thread> others;
	for (size_t thread = 1; thread < thread_count; thread++) {
		others.emplace_back(run, thread);
	}
	run(0);
	for (std::thread &other : others) {
		other.join();
	}
}

} // namespace lm_diskann
