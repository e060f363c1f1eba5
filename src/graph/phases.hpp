// Work cut into phases of independent items, done by however many threads come by.
//
// The owner of the threads (DuckDB's scheduler, a test) calls Work again and again; nobody blocks inside, so it can
// update a progress bar and notice an interrupt between two items. A phase starts when all items of the one before are
// done. Results may depend on the item, never on the worker: that is what makes a build the same for any thread count.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>

namespace lm_diskann {

//! What a call of Work did. WAITING: others still work on the present phase; call again (yield first).
enum class WorkState : uint8_t { WORKED, WAITING, FINISHED };

//! `item_count` calls of `run`, in any order and on any thread.
struct Phase {
	const char *name = "";
	size_t item_count = 0;
	std::function<void(size_t item)> run;
	//! The part of the progress that it makes: from 0..1 to 0..1.
	double progress_begin = 0;
	double progress_end = 0;

	//! Sees the phase as part of a larger work, in which it makes the progress from `begin` to `end`.
	void Rescale(double begin, double end) {
		progress_begin = begin + (end - begin) * progress_begin;
		progress_end = begin + (end - begin) * progress_end;
	}
};

//! Thread-safe.
class PhasedWork {
public:
	//! `next` is asked for the phase after the present one, under the lock and after all its items; false: finished.
	//! It may do short serial work. Phases without items are passed over.
	explicit PhasedWork(std::function<bool(Phase &)> next_p);

	//! Does one item. After an item threw, every call rethrows that exception.
	WorkState Work();
	const char *PhaseName() const;
	//! 0..1, and never less than it was.
	double Progress() const;

private:
	void Advance();

	std::function<bool(Phase &)> next;
	mutable std::mutex mutex;
	Phase phase;
	size_t next_item = 0;
	size_t done_items = 0;
	double progress_reached = 0;
	bool has_started = false;
	bool is_finished = false;
	std::exception_ptr failure;
};

} // namespace lm_diskann
