#include "graph/phases.hpp"

#include <algorithm>

namespace lm_diskann {

PhasedWork::PhasedWork(std::function<bool(Phase &)> next_p) : next(std::move(next_p)) {
}

void PhasedWork::Advance() {
	do {
		progress_reached = std::max(progress_reached, phase.progress_end);
		phase = Phase();
		next_item = 0;
		done_items = 0;
		is_finished = !next(phase);
	} while (!is_finished && phase.item_count == 0);
}

WorkState PhasedWork::Work() {
	std::unique_lock<std::mutex> guard(mutex);
	try {
		if (failure) {
			std::rethrow_exception(failure);
		}
		if (!has_started) {
			has_started = true;
			Advance();
		}
		if (is_finished) {
			return WorkState::FINISHED;
		}
		if (next_item == phase.item_count) {
			return WorkState::WAITING;
		}
		const size_t item = next_item++;
		guard.unlock();
		phase.run(item);
		guard.lock();
		if (++done_items == phase.item_count) {
			Advance();
		}
		return is_finished ? WorkState::FINISHED : WorkState::WORKED;
	} catch (...) {
		if (!guard.owns_lock()) {
			guard.lock();
		}
		failure = std::current_exception();
		throw;
	}
}

double PhasedWork::Progress() const {
	const std::lock_guard<std::mutex> guard(mutex);
	if (is_finished) {
		return 1;
	}
	const double done = phase.item_count > 0 ? double(done_items) / double(phase.item_count) : 0.0;
	return std::max(progress_reached, phase.progress_begin + done * (phase.progress_end - phase.progress_begin));
}

const char *PhasedWork::PhaseName() const {
	const std::lock_guard<std::mutex> guard(mutex);
	return phase.name;
}

} // namespace lm_diskann
