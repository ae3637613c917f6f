// The interposed pthread_sigmask and sigprocmask (signal_mask.cc).
#pragma once

namespace hot_fix {

/** Does nothing: a reference to it brings the interposed functions into a program that links the static library. */
void link_signal_mask();

} // namespace hot_fix
