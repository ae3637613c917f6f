// The interposed pthread_sigmask, sigprocmask and sigaction (signal_mask.cc).
#pragma once

namespace hot_fix {

/** Does nothing: a reference to it brings the interposed functions into a program that links the static library. */
void link_signal_mask();

/** Whether calls of them come to the runtime before libc. They do not where it was loaded after libc: in a process that
 * was attached to, and in the programs of a terminal. */
bool is_interposed();

} // namespace hot_fix
