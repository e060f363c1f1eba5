// Long work on indexes while it goes on: what lm_diskann_progress() shows.
#pragma once

#include "duckdb/common/common.hpp"
#include "duckdb/common/mutex.hpp"

#include <chrono>
#include <functional>
#include <list>
#include <memory>

namespace duckdb {

//! How far something is. `done` 0..1; negative: not known.
struct OperationProgress {
	string phase;
	double done = -1;
};

struct OperationStatus {
	string index_name;
	string operation;
	OperationProgress progress;
	double seconds = 0;
};

//! Of one instance. Thread-safe.
class OperationList : public std::enable_shared_from_this<OperationList> {
public:
	//! On the list for as long as it lives. `poll` is called by other threads, under the list's lock.
	class Entry {
	public:
		Entry(std::shared_ptr<OperationList> list_p, string index_name, string operation,
		      std::function<OperationProgress()> poll);
		~Entry();
		Entry(const Entry &) = delete;
		Entry &operator=(const Entry &) = delete;

	private:
		friend class OperationList;
		struct State {
			string index_name;
			string operation;
			std::function<OperationProgress()> poll;
			std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
		};
		std::shared_ptr<OperationList> list;
		std::list<State>::iterator position;
	};

	vector<OperationStatus> All();

private:
	mutex lock;
	std::list<Entry::State> entries;
};

} // namespace duckdb
