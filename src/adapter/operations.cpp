#include "adapter/operations.hpp"

namespace duckdb {

OperationList::Entry::Entry(std::shared_ptr<OperationList> list_p, string index_name, string operation,
                            std::function<OperationProgress()> poll)
    : list(std::move(list_p)) {
	State state;
	state.index_name = std::move(index_name);
	state.operation = std::move(operation);
	state.poll = std::move(poll);
	lock_guard<mutex> guard(list->lock);
	position = list->entries.insert(list->entries.end(), std::move(state));
}

OperationList::Entry::~Entry() {
	lock_guard<mutex> guard(list->lock);
	list->entries.erase(position);
}

vector<OperationStatus> OperationList::All() {
	lock_guard<mutex> guard(lock);
	vector<OperationStatus> result;
	for (const auto &entry : entries) {
		OperationStatus status;
		status.index_name = entry.index_name;
		status.operation = entry.operation;
		status.progress = entry.poll();
		status.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - entry.start).count();
		result.push_back(std::move(status));
	}
	return result;
}

} // namespace duckdb
