// Stops threads by signal: all of them for the moment of a write, where an int3 cannot be used (a debugger is attached,
// which would take it for its own affair, or a thread may block SIGTRAP); or one that never sleeps, to see where it is.
// A system call of a parked thread may end with EINTR where the kernel does not restart it.
#pragma once

#include "code_ranges.h"
#include "failure.h"
#include "process.h"

#include <ucontext.h>

namespace hot_fix {

/** Parks all threads outside of the tails, or fails within two seconds with nobody parked. They go on by themselves after
 * so many seconds, should nobody tell them to. */
bool park_threads(List<CodeRange> &tails, Failure &failure, unsigned seconds = 3);
void unpark_threads();

/** Where a thread was interrupted that is parked, as long as it is; null when it is not. */
const ucontext_t *parked_context(int tid);

/** What a thread that blocks the program's signals lets in all the same, so that it can be parked; 0: nothing. */
int signal_to_let_in();

/** Whether that is the handler of the signal by which threads are parked. Async-signal-safe. */
bool is_parking_handler(std::uintptr_t handler);

/** Parks a thread that is running for as long as it takes to count what it holds: in its program counter, in its
 * registers and on its stack. Returns its stack pointer; 0, and nothing is counted, when it is not running, does not let
 * the signal in, or gets no processor for long. */
std::uintptr_t count_running(const MemoryMap &map, int tid, Ranges &ranges);

} // namespace hot_fix
