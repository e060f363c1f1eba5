// The child of a kill test: runs random SQL on the database until it is killed, and reports every step before and
// after.
//
// Lines: "phase NAME" before each step; "begin", then "change TEXT" for each change before it is made, then "commit"
// before and "done" after the commit, or "rollback"; "problem TEXT" for what must not be.
#pragma once

#include <cstdint>
#include <string>

namespace kill_test {

//! Ends only with a problem: then returns 0 after reporting it.
int RunWorker(const std::string &folder, uint64_t seed, int descriptor);

} // namespace kill_test
