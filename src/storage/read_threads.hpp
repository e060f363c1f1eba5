// A few threads that wait for the device on behalf of others, where io_uring is not allowed.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace lm_diskann {

//! Thread-safe. The threads start with the first work and end with the object.
class ReadThreads {
public:
	static constexpr size_t COUNT = 4;

	~ReadThreads();

	//! Calls `work(item)` for all items, one of them here; returns when all are done. `work` does not throw.
	void ForEach(size_t item_count, const std::function<void(size_t)> &work);

private:
	struct Batch {
		const std::function<void(size_t)> &work;
		size_t left;
	};
	struct Item {
		Batch *batch;
		size_t index;
	};

	void Run();
	//! `guard` holds `lock`, also afterwards.
	void Do(Item item, std::unique_lock<std::mutex> &guard);

	std::mutex lock;
	std::condition_variable has_items;
	std::condition_variable is_done;
	std::deque<Item> items;
	std::vector<std::thread> threads;
	bool is_ending = false;
};

} // namespace lm_diskann
