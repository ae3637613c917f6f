// Stops all threads for the moment of a write, by signal. Only used when a debugger is attached, which would take
// an int3 for its own affair: a parked system call may end with EINTR where the kernel does not restart it.
#pragma once

#include "code_ranges.h"
#include "failure.h"

namespace hot_fix {

/** Parks all threads outside of the tails, or fails within two seconds with nobody parked. */
bool park_threads(List<CodeRange> &tails, Failure &failure);
void unpark_threads();

} // namespace hot_fix
