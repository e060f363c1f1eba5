// What is measured: one index library over one data set.
#pragma once

#include "data_set.hpp"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace lm_diskann {

//! Sums over queries, by name; empty for libraries that do not count.
using SubjectCounters = std::vector<std::pair<std::string, double>>;

class Subject {
public:
	virtual ~Subject() = default;

	//! Builds from `set` on `thread_count` threads and stores the index at `path`.
	virtual void Build(const DataSet &set, const std::string &path, size_t thread_count) = 0;
	//! Opens what Build stored; everything is in RAM afterwards, unless the subject is cold.
	virtual void Open(const DataSet &set, const std::string &path) = 0;
	//! The length of the search list of the searches that follow; at least their k.
	virtual void SetListSize(size_t list_size) = 0;
	//! The `k` nearest rows to `query`, in any order; missing ones are UINT32_MAX. Any `thread` below THREADS_MAX.
	virtual void Search(const float *query, size_t k, size_t thread, uint32_t *found) = 0;
	//! Since Open.
	virtual SubjectCounters Counters() const {
		return {};
	}

	static constexpr size_t THREADS_MAX = 16;
};

//! lm_diskann: "lm_diskann", or "lm_diskann_cold" with a cache of 2 % of the file and direct I/O.
std::unique_ptr<Subject> MakeLmDiskann(bool is_cold);
//! hnswlib and faiss with M = 16 and efConstruction = 200.
std::unique_ptr<Subject> MakeHnswlib();
std::unique_ptr<Subject> MakeFaiss();
//! By name; throws UsageError.
std::unique_ptr<Subject> MakeSubject(const std::string &name);

//! Calls `work(item, thread)` for all items on `thread_count` threads.
void ForEachItem(size_t item_count, size_t thread_count, const std::function<void(size_t item, size_t thread)> &work);

} // namespace lm_diskann
