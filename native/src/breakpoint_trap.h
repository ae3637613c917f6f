// The SIGTRAP handler: what happens to a thread that meets an int3 which the runtime put at a function's entry. The
// thread waits while entries are held, and then goes where the entry leads. Traps of others go to the handler that
// was there before. Async-signal-safe: no allocation, no lock.
#pragma once

#include "failure.h"

namespace hot_fix {

/** Puts the handler in place, again when the program has installed one of its own meanwhile, and takes SIGTRAP out
 * of the masks of all other handlers: the int3 of a thread that blocks SIGTRAP would kill the process. */
bool claim_breakpoint_trap(Failure &failure);

/** Whether that is still so: the program may have installed handlers since, through sigaction without the trap in
 * their masks. */
bool handlers_let_trap();

/** From here on threads that meet an int3 wait. Bounded: without release_threads they go on after some seconds. */
void hold_threads();
void release_threads();

/** The tid of the worker, which is never held: it is the one that releases. */
void exempt_thread(int tid);

} // namespace hot_fix
