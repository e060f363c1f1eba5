// How a simulation says that a property does not hold, and what it did: shared by the tests and the soak.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace lm_diskann {

//! A property that the simulation holds was broken.
class SimViolation : public std::runtime_error {
	using std::runtime_error::runtime_error;
};

//! Throws SimViolation with the claim when it does not hold.
inline void Require(bool holds, const char *claim) {
	if (!holds) {
		throw SimViolation(claim);
	}
}
inline void Require(bool holds, const std::string &claim) {
	Require(holds, claim.c_str());
}

//! What one or many simulations did.
struct SimTotals {
	uint64_t seeds = 0;
	//! Steps of scripts, most of them one call.
	uint64_t steps = 0;
	//! Operations of the file that failed or lied.
	uint64_t faults = 0;
	//! Losses of power.
	uint64_t crashes = 0;

	SimTotals &operator+=(const SimTotals &other) {
		seeds += other.seeds;
		steps += other.steps;
		faults += other.faults;
		crashes += other.crashes;
		return *this;
	}
};

} // namespace lm_diskann
