// Stops all threads for the moment of a write, by signal. Only used where an int3 cannot be: when a debugger is
// attached, which would take it for its own affair, or when a thread may block SIGTRAP. A system call of a parked
// thread may end with EINTR where the kernel does not restart it.
#pragma once

#include "code_ranges.h"
#include "failure.h"

namespace hot_fix {

/** Parks all threads outside of the tails, or fails within two seconds with nobody parked. */
bool park_threads(List<CodeRange> &tails, Failure &failure);
void unpark_threads();

} // namespace hot_fix
