// The interposed pthread_sigmask, sigprocmask and sigaction (signal_mask.cc).
#pragma once

namespace hot_fix {

/** Does nothing: a reference to it brings the interposed functions into a program that links the static library. */
void link_signal_mask();

/** Whether calls of one of them by that name come to the runtime first. They do not in a process that was attached to. */
bool is_interposed(const char *name);

} // namespace hot_fix
