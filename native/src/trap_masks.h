// Whether a thread may come to an int3 with SIGTRAP blocked. The kernel would end the process for it.
//
// Masks that are set through pthread_sigmask and sigprocmask never hold SIGTRAP (signal_mask.h). What remains are the
// system call itself, and the calls of libc that bring a mask along or a context: ppoll, sigsuspend, setcontext and
// their like. A program that has none of them in its code cannot block the signal. One that has may, at any moment:
// that no thread blocks it now says nothing of the next microsecond.
#pragma once

namespace hot_fix {

/** Whether some module of the process has code that can block SIGTRAP behind the runtime's back. */
bool can_block_trap();

/** Whether a thread blocks it at this moment that may yet run code of the program, or the threads cannot be listed. */
bool is_trap_blocked();

} // namespace hot_fix
