// The calls that a blocked thread is in, where they can be proven: its frames by the unwind records, from where it sleeps
// to where the kernel or libc started it. Where one link is missing there is no proof, and nothing is said.
#pragma once

#include "process.h"
#include "threads.h"

#include <cstdint>

namespace hot_fix {

/** The program counter and the return addresses of a blocked thread. False, with anything in `counters`, unless all of
 * this holds: it sleeps in a system call; each frame has a record that needs no register but those which are known; each
 * return address follows a call; all frames lie above each other on one stack; the last one is the program's entry or
 * libc's start of a thread. So it is false on an alternate signal stack, above a signal handler, on the stack of a
 * coroutine, for code without records, and for what a just-in-time compiler wrote. */
bool find_frames(const MemoryMap &map, const ThreadState &state, List<std::uintptr_t> &counters);

} // namespace hot_fix
