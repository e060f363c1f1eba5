#include "storage/read_threads.hpp"

namespace lm_diskann {

ReadThreads::~ReadThreads() {
	{
		const std::lock_guard<std::mutex> guard(lock);
		is_ending = true;
	}
	has_items.notify_all();
	for (std::thread &thread : threads) {
		thread.join();
	}
}

void ReadThreads::ForEach(size_t item_count, const std::function<void(size_t)> &work) {
	if (item_count == 0) {
		return;
	}
	Batch batch = {work, item_count};
	std::unique_lock<std::mutex> guard(lock);
	while (threads.size() < COUNT) {
		threads.emplace_back([this] { Run(); });
	}
	for (size_t i = 1; i < item_count; i++) {
		items.push_back({&batch, i});
	}
	has_items.notify_all();
	Do({&batch, 0}, guard);
	is_done.wait(guard, [&] { return batch.left == 0; });
}

void ReadThreads::Run() {
	std::unique_lock<std::mutex> guard(lock);
	while (true) {
		has_items.wait(guard, [&] { return is_ending || !items.empty(); });
		if (items.empty()) {
			return;
		}
		const Item item = items.front();
		items.pop_front();
		Do(item, guard);
	}
}

void ReadThreads::Do(Item item, std::unique_lock<std::mutex> &guard) {
	guard.unlock();
	item.batch->work(item.index);
	guard.lock();
	if (--item.batch->left == 0) {
		is_done.notify_all();
	}
}

} // namespace lm_diskann
